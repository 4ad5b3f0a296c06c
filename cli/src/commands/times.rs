//! Parses ranges of time: an instant, a day, or how long ago.

use anyhow::{Result, bail};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil};
use myaku::platform::clock::{Now as _, SystemClock};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A range of time. It begins so many hours ago if nothing else is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Times<const HOURS: i64> {
    /// Begin at this time: 2026-11-21T03:00:00Z, 2026-11-21, or how long ago, such as 90m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value_t = Time::Ago(SignedDuration::from_hours(HOURS)))]
    since: Time,
    /// End before this time, in the same forms; now if not given.
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    At(Timestamp),
    Ago(SignedDuration),
}

impl<const HOURS: i64> Times<HOURS> {
    /// Returns the range in milliseconds since the epoch, without its end.
    pub(super) fn range(&self) -> Result<Range<i64>> {
        self.at(SystemClock.now_ms())
    }

    fn at(&self, now_ms: i64) -> Result<Range<i64>> {
        let ms = |time: Time| match time {
            Time::At(timestamp) => timestamp.as_millisecond(),
            Time::Ago(duration) => now_ms.saturating_sub(duration.as_millis() as i64),
        };
        let range = ms(self.since)..self.until.map_or(now_ms, ms);
        if range.is_empty() {
            bail!("--since must be before --until");
        }
        Ok(range)
    }
}

/// As it is parsed.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(timestamp) => timestamp.fmt(f),
            Self::Ago(duration) => write!(f, "{duration:#}"),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(timestamp) = text.parse() {
            return Ok(Self::At(timestamp));
        }
        if let Ok(date) = text.parse::<civil::Date>() {
            let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
            return midnight.map(Self::At).map_err(|error| error.to_string());
        }
        let ago = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
        match ago {
            Ok(ago) if !ago.is_negative() => Ok(Self::Ago(ago)),
            _ => {
                Err("it must be a time like 2026-11-21T03:00:00Z, a day like 2026-11-21, or an age like 90m, 24h or 7d"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_218_892_020;
    const HOUR_MS: i64 = 3_600_000;

    fn range(from: Option<&str>, to: Option<&str>) -> Result<Range<i64>> {
        let time = |text: &str| text.parse::<Time>().map_err(anyhow::Error::msg);
        let since = from.map_or(Ok(Time::Ago(SignedDuration::from_hours(3))), time)?;
        Times::<3> { since, until: to.map(time).transpose()? }.at(NOW_MS)
    }

    #[test]
    fn instants_days_and_ages_are_parsed() {
        assert_eq!(range(None, None).unwrap(), NOW_MS - 3 * HOUR_MS..NOW_MS);
        assert_eq!(range(Some("90m"), Some("30m")).unwrap(), NOW_MS - 90 * 60_000..NOW_MS - 30 * 60_000);
        assert_eq!(range(Some("7d"), None).unwrap(), NOW_MS - 7 * 24 * HOUR_MS..NOW_MS);
        let day = range(Some("2026-11-20"), Some("2026-11-20T23:00:00+00:00")).unwrap();
        assert_eq!(day, 1_795_132_800_000..1_795_132_800_000 + 23 * HOUR_MS);
        for text in ["3h", "2026-11-20T23:00:00Z"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_time_or_a_range_is_refused() {
        for bad in ["yesterday", "", "-3h", "2026-13-01"] {
            assert!(range(Some(bad), None).is_err(), "{bad}");
        }
        assert_eq!(range(Some("1h"), Some("2h")).unwrap_err().to_string(), "--since must be before --until");
    }
}
