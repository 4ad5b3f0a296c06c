//! `EventBridge`'s cron expressions, in UTC: minutes, hours, day of the month, month, day of the week, year.
//!
//! Fields can have numbers, names of months and days, lists, ranges and steps. `L`, `W` and `#` are errors here.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeSet;

/// The first and last year that an expression can name.
const YEARS: (u16, u16) = (1970, 2199);
/// How many days ahead to search. The next 29th of February can be eight years away, and the next one on a given day of
/// the week forty.
const DAYS_AHEAD: usize = 366 * 40;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<u16>,
    hours: BTreeSet<u16>,
    /// None for `?`: only the days of the week count.
    days: Option<BTreeSet<u16>>,
    months: BTreeSet<u16>,
    /// From 1 for Sunday to 7 for Saturday. None for `?`: only the days of the month count.
    weekdays: Option<BTreeSet<u16>>,
    years: BTreeSet<u16>,
}

/// Why a text is not a cron expression that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field:?} is not a valid {name} of a cron expression: {problem}")]
pub struct CronError {
    name: &'static str,
    field: String,
    problem: &'static str,
}

impl Cron {
    /// Parses the six fields inside `cron(…)`.
    pub fn parse(fields: &str) -> Result<Self, CronError> {
        let all: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, day, month, weekday, year] = all[..] else {
            return Err(CronError {
                name: "list of fields",
                field: fields.to_owned(),
                problem: "there must be six fields",
            });
        };
        // "You can't use * in both the Day-of-month and Day-of-week fields. If you use it in one, you must use ? in the
        // other."
        if (day == "?") == (weekday == "?") {
            let problem = "exactly one of day of month and day of week must be ?";
            return Err(CronError { name: "day", field: format!("{day} {weekday}"), problem });
        }
        let unless_question_mark = |field: &'static str, text: &str, bounds, names: &[&str]| {
            if text == "?" { Ok(None) } else { values(field, text, bounds, names).map(Some) }
        };
        Ok(Self {
            minutes: values("minute", minutes, (0, 59), &[])?,
            hours: values("hour", hours, (0, 23), &[])?,
            days: unless_question_mark("day of month", day, (1, 31), &[])?,
            months: values("month", month, (1, 12), &MONTHS)?,
            weekdays: unless_question_mark("day of week", weekday, (1, 7), &DAYS)?,
            years: values("year", year, YEARS, &[])?,
        })
    }

    /// The first matching time after `now_ms`, in milliseconds since the epoch; none if there is none for decades.
    pub fn next(&self, now_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(TimeZone::UTC).datetime();
        let days = now.date().series(1.day()).take(DAYS_AHEAD);
        days.filter(|day| self.matches(*day)).find_map(|day| self.first_on(day, now))
    }

    fn matches(&self, day: Date) -> bool {
        let weekday = day.weekday().to_sunday_one_offset() as u16;
        self.years.contains(&(day.year() as u16))
            && self.months.contains(&(day.month() as u16))
            && self.days.as_ref().is_none_or(|days| days.contains(&(day.day() as u16)))
            && self.weekdays.as_ref().is_none_or(|days| days.contains(&weekday))
    }

    /// The first matching time on a day, after `now`.
    fn first_on(&self, day: Date, now: DateTime) -> Option<i64> {
        let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        let mut times = times.map(|(hour, minute)| day.at(hour as i8, minute as i8, 0, 0));
        let time = times.find(|time| *time > now)?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    }
}

/// The values of a field: a list of numbers, ranges and steps.
fn values(
    name: &'static str,
    field: &str,
    (least, most): (u16, u16),
    names: &[&str],
) -> Result<BTreeSet<u16>, CronError> {
    let wrong = |problem| CronError { name, field: field.to_owned(), problem };
    let number = |text: &str| {
        let by_name = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|index| index as u16 + 1);
        let number = by_name
            .or_else(|| text.parse().ok())
            .ok_or_else(|| wrong("L, W, # and the like do not run on this machine"))?;
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
            // `5/15` continues to the end.
            None if step.is_some() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        match step.unwrap_or(1) {
            0 => return Err(wrong("a step must be more than 0")),
            step if from <= to => all.extend((from..=to).step_by(step)),
            _ => return Err(wrong("a range must not go backwards")),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next times after `from`.
    fn times<const N: usize>(fields: &str, from: &str) -> [String; N] {
        let cron = Cron::parse(fields).unwrap();
        let mut now_ms = from.parse::<Timestamp>().unwrap().as_millisecond();
        std::array::from_fn(|_| {
            now_ms = cron.next(now_ms).unwrap();
            Timestamp::from_millisecond(now_ms).unwrap().to_string()
        })
    }

    /// The user guide's examples.
    #[test]
    fn expressions_match_the_times_in_the_user_guide() {
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
    fn an_expression_for_a_past_year_is_never_due() {
        assert_eq!(Cron::parse("0 0 1 1 ? 2020").unwrap().next(1_795_218_892_020), None);
    }

    #[test]
    fn an_error_names_the_field() {
        for (fields, problem) in [
            ("0 12 * *", "\"0 12 * *\" is not a valid list of fields of a cron expression: there must be six"),
            ("0 12 * * * *", "\"* *\" is not a valid day of a cron expression: exactly one of day of month"),
            ("60 12 * * ? *", "\"60\" is not a valid minute of a cron expression: a number is out of range"),
            ("0 12 L * ? *", "\"L\" is not a valid day of month of a cron expression: L, W, # and the like"),
            ("0 12 ? * 6#3 *", "\"6#3\" is not a valid day of week of a cron expression: L, W, # and the like"),
            ("0/0 12 * * ? *", "\"0/0\" is not a valid minute of a cron expression: a step must be more than 0"),
            ("0 5-2 * * ? *", "\"5-2\" is not a valid hour of a cron expression: a range must not go back"),
        ] {
            let error = Cron::parse(fields).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{fields}: {error}");
        }
    }
}
