//! Minimum sizes by the time of day: `07:00-19:00 8` keeps at least eight shards from 07:00 to 19:00 UTC.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A minimum number of shards from one time of each day to another, in UTC. It may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scheduled {
    /// The first minute of the day.
    from: u16,
    /// The minute of the day at which it ends.
    until: u16,
    /// The fewest shards during that time.
    pub shards: u32,
}

impl Scheduled {
    /// Whether it applies at `now_ms`, in milliseconds since the epoch.
    pub fn applies_at(&self, now_ms: i64) -> bool {
        let minute = u16::try_from(now_ms.div_euclid(60_000).rem_euclid(1_440)).unwrap_or(0);
        if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

impl FromStr for Scheduled {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not_a_schedule =
            || format!("{text:?} is not a schedule: write \"07:00-19:00 8\", two times in UTC and the shards");
        let (times, shards) = text.trim().split_once(' ').ok_or_else(not_a_schedule)?;
        let (from, until) = times.split_once('-').ok_or_else(not_a_schedule)?;
        let minute = |time: &str| {
            let (hour, minute) = time.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        Ok(Self {
            from: minute(from).ok_or_else(not_a_schedule)?,
            until: minute(until).ok_or_else(not_a_schedule)?,
            shards: shards.trim().parse().map_err(|_| not_a_schedule())?,
        })
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, shards } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02} {shards}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl TryFrom<String> for Scheduled {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scheduled> for String {
    fn from(scheduled: Scheduled) -> Self {
        scheduled.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_applies_from_its_first_minute_until_its_end_and_may_pass_midnight() {
        let at = |hour: i64, minute: i64| (hour * 60 + minute) * 60_000 + 7 * 86_400_000;
        let day: Scheduled = "07:00-19:30 8".parse().unwrap();
        assert_eq!(
            [at(6, 59), at(7, 0), at(19, 29), at(19, 30)].map(|ms| day.applies_at(ms)),
            [false, true, true, false]
        );
        let night: Scheduled = "22:00-02:00 3".parse().unwrap();
        assert_eq!(
            [at(21, 59), at(23, 0), at(1, 59), at(2, 0)].map(|ms| night.applies_at(ms)),
            [false, true, true, false]
        );
        assert_eq!(night.to_string(), "22:00-02:00 3");
    }

    #[test]
    fn an_invalid_schedule_is_an_error_with_an_example() {
        for text in ["", "07:00 8", "7-9 8", "07:00-24:00 8", "07:00-09:60 8", "07:00-09:00 x"] {
            let error = text.parse::<Scheduled>().unwrap_err();
            assert!(error.contains("07:00-19:00 8"), "{error}");
        }
    }
}
