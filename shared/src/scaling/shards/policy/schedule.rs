//! Sizes by the hour: `07:00-19:00 8` keeps at least eight shards from seven to nineteen, UTC.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// At least so many shards from one time of each day to another, UTC. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scheduled {
    /// The first minute of the day.
    from: u16,
    /// The minute of the day before which it ends.
    until: u16,
    /// Shards, at least.
    pub shards: u32,
}

impl Scheduled {
    /// Whether it holds at `now_ms`.
    pub fn holds_at(&self, now_ms: i64) -> bool {
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
        let wrong = || format!("{text:?} is no schedule: it reads like \"07:00-19:00 8\", times UTC, then shards");
        let (times, shards) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (from, until) = times.split_once('-').ok_or_else(wrong)?;
        let minute = |time: &str| {
            let (hour, minute) = time.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        Ok(Self {
            from: minute(from).ok_or_else(wrong)?,
            until: minute(until).ok_or_else(wrong)?,
            shards: shards.trim().parse().map_err(|_| wrong())?,
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
    fn a_schedule_holds_from_its_first_minute_to_the_one_before_its_end_and_over_midnight() {
        let at = |hour: i64, minute: i64| (hour * 60 + minute) * 60_000 + 7 * 86_400_000;
        let day: Scheduled = "07:00-19:30 8".parse().unwrap();
        assert_eq!(
            [at(6, 59), at(7, 0), at(19, 29), at(19, 30)].map(|ms| day.holds_at(ms)),
            [false, true, true, false]
        );
        let night: Scheduled = "22:00-02:00 3".parse().unwrap();
        assert_eq!(
            [at(21, 59), at(23, 0), at(1, 59), at(2, 0)].map(|ms| night.holds_at(ms)),
            [false, true, true, false]
        );
        assert_eq!(night.to_string(), "22:00-02:00 3");
    }

    #[test]
    fn what_is_no_schedule_is_told_with_how_one_reads() {
        for text in ["", "07:00 8", "7-9 8", "07:00-24:00 8", "07:00-09:60 8", "07:00-09:00 x"] {
            let error = text.parse::<Scheduled>().unwrap_err();
            assert!(error.contains("07:00-19:00 8"), "{error}");
        }
    }
}
