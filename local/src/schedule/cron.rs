//! Cron expressions of `EventBridge`: minutes, hours, day of the month, month, day of the week, year. In UTC.
//!
//! Numbers, names of months and days, lists, ranges and steps; `L`, `W` and `#` are told to be beyond.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeSet;

/// The years that an expression can name.
const YEARS: (u16, u16) = (1970, 2199);
/// Days to look ahead for one that suits: a 29th of February can be eight years away, and be a given day of the week in
/// forty.
const DAYS_AHEAD: usize = 366 * 40;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<u16>,
    hours: BTreeSet<u16>,
    /// None for `?`: the days of the week decide.
    days: Option<BTreeSet<u16>>,
    months: BTreeSet<u16>,
    /// From 1 for Sunday to 7. None for `?`.
    weekdays: Option<BTreeSet<u16>>,
    years: BTreeSet<u16>,
}

/// A text that is no cron expression, or beyond what runs here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field:?} is no {name} of a cron expression that runs here: {problem}")]
pub struct CronError {
    name: &'static str,
    field: String,
    problem: &'static str,
}

impl Cron {
    /// Reads the six fields within `cron(…)`.
    pub fn parse(fields: &str) -> Result<Self, CronError> {
        let all: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, day, month, weekday, year] = all[..] else {
            return Err(CronError { name: "list of fields", field: fields.to_owned(), problem: "there must be six" });
        };
        // "You can't use * in both the Day-of-month and Day-of-week fields. If you use it in one, you must use ? in the
        // other."
        if (day == "?") == (weekday == "?") {
            let problem = "? must stand for one of day of month and day of week, and only for one";
            return Err(CronError { name: "day", field: format!("{day} {weekday}"), problem });
        }
        let unless_open = |field: &'static str, text: &str, bounds, names: &[&str]| {
            if text == "?" { Ok(None) } else { values(field, text, bounds, names).map(Some) }
        };
        Ok(Self {
            minutes: values("minute", minutes, (0, 59), &[])?,
            hours: values("hour", hours, (0, 23), &[])?,
            days: unless_open("day of month", day, (1, 31), &[])?,
            months: values("month", month, (1, 12), &MONTHS)?,
            weekdays: unless_open("day of week", weekday, (1, 7), &DAYS)?,
            years: values("year", year, YEARS, &[])?,
        })
    }

    /// The first time after `now_ms` that it names, in milliseconds since the epoch; none if there is none for decades.
    pub fn next(&self, now_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(TimeZone::UTC).datetime();
        let days = now.date().series(1.day()).take(DAYS_AHEAD);
        days.filter(|day| self.has(*day)).find_map(|day| self.first_on(day, now))
    }

    fn has(&self, day: Date) -> bool {
        let weekday = day.weekday().to_sunday_one_offset() as u16;
        self.years.contains(&(day.year() as u16))
            && self.months.contains(&(day.month() as u16))
            && self.days.as_ref().is_none_or(|days| days.contains(&(day.day() as u16)))
            && self.weekdays.as_ref().is_none_or(|days| days.contains(&weekday))
    }

    /// The first time on a day that is after `now`.
    fn first_on(&self, day: Date, now: DateTime) -> Option<i64> {
        let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        let mut times = times.map(|(hour, minute)| day.at(hour as i8, minute as i8, 0, 0));
        let time = times.find(|time| *time > now)?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    }
}

/// The values that a field names: a list of numbers, ranges and steps.
fn values(
    name: &'static str,
    field: &str,
    (least, most): (u16, u16),
    names: &[&str],
) -> Result<BTreeSet<u16>, CronError> {
    let wrong = |problem| CronError { name, field: field.to_owned(), problem };
    let number = |text: &str| {
        let by_name = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|index| index as u16 + 1);
        let number =
            by_name.or_else(|| text.parse().ok()).ok_or_else(|| wrong("L, W, # and others do not run here"))?;
        if (least..=most).contains(&number) { Ok(number) } else { Err(wrong("a number is out of range")) }
    };
    let mut all = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().map_err(|_| wrong("a step must be a number"))?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/15` goes on to the end.
            None if step.is_some() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        match step.unwrap_or(1) {
            0 => return Err(wrong("a step must be more than 0")),
            step if from <= to => all.extend((from..=to).step_by(step)),
            _ => return Err(wrong("a range must not go back")),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that follow one another from some time on.
    fn times<const N: usize>(fields: &str, from: &str) -> [String; N] {
        let cron = Cron::parse(fields).unwrap();
        let mut now_ms = from.parse::<Timestamp>().unwrap().as_millisecond();
        std::array::from_fn(|_| {
            now_ms = cron.next(now_ms).unwrap();
            Timestamp::from_millisecond(now_ms).unwrap().to_string()
        })
    }

    /// The examples of the user guide.
    #[test]
    fn expressions_name_the_times_that_the_guide_says() {
        let from = "2026-11-21T12:00:00Z";
        assert_eq!(times("0 10 * * ? *", from), ["2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z"]);
        assert_eq!(times("15 12 * * ? *", from), ["2026-11-21T12:15:00Z"]);
        assert_eq!(times("0 18 ? * MON-FRI *", from), ["2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"]);
        assert_eq!(times("0 8 1 * ? *", from), ["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"]);
        assert_eq!(times("0/15 * * * ? *", from), ["2026-11-21T12:15:00Z", "2026-11-21T12:30:00Z"]);
        assert_eq!(
            times("0/30 20-23,0-2 ? * MON-FRI *", "2026-11-20T23:00:00Z"),
            ["2026-11-20T23:30:00Z", "2026-11-23T00:00:00Z"]
        );
        assert_eq!(times("0 0 29 FEB ? *", from), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        assert_eq!(times("59 23 31 12 ? 2027-2030/2", from), ["2027-12-31T23:59:00Z", "2029-12-31T23:59:00Z"]);
    }

    #[test]
    fn a_year_that_is_over_never_comes_again() {
        assert_eq!(Cron::parse("0 0 1 1 ? 2020").unwrap().next(1_795_218_892_020), None);
    }

    #[test]
    fn what_does_not_run_is_told_with_its_field() {
        for (fields, problem) in [
            ("0 12 * *", "\"0 12 * *\" is no list of fields of a cron expression that runs here: there must be six"),
            ("0 12 * * * *", "\"* *\" is no day of a cron expression that runs here: ? must stand for one of"),
            ("60 12 * * ? *", "\"60\" is no minute of a cron expression that runs here: a number is out of range"),
            ("0 12 L * ? *", "\"L\" is no day of month of a cron expression that runs here: L, W, # and others"),
            ("0 12 ? * 6#3 *", "\"6#3\" is no day of week of a cron expression that runs here: L, W, # and others"),
            ("0/0 12 * * ? *", "\"0/0\" is no minute of a cron expression that runs here: a step must be more than 0"),
            ("0 5-2 * * ? *", "\"5-2\" is no hour of a cron expression that runs here: a range must not go back"),
        ] {
            let error = Cron::parse(fields).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{fields}: {error}");
        }
    }
}
