//! The part of a profile that says into which windows of time the readings of a metric are aggregated.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The greatest number of windows of a metric.
pub const MAX_WINDOWS: usize = 4;
/// The greatest number of windows of one size that overlap.
pub const MAX_OVERLAPPING: u32 = 12;
/// The longest session, in milliseconds: a day. A longer one is cut there, so that it has a result at all.
pub const MAX_SESSION_MS: i64 = 86_400_000;
/// The longest window and the longest gap in seconds: a day.
const MAX_SECONDS: u32 = 86_400;
/// The longest window in days.
const MAX_DAYS: u32 = 31;
/// The longest allowed lateness, in seconds: an hour. The longer it is, the more readings the state must keep.
const MAX_LATENESS_SECONDS: u32 = 3_600;
/// The default lateness, in seconds: devices on a poor connection resend within a minute or two.
const DEFAULT_LATENESS_SECONDS: u32 = 120;

/// One size of window, as a profile has it: `seconds` (with `stepSeconds` for windows that overlap), `days` or `gapSeconds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowDocument {
    /// The length in seconds. Windows begin at multiples of it since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// The time between the beginnings of two windows, in seconds. Without it, `seconds`: each window begins where the one
    /// before ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_seconds: Option<u32>,
    /// The length in days of the profile's time zone. Windows of several days are counted from a Monday, so that 7 days are
    /// a week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// A session: readings that follow each other within less than so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_seconds: Option<u32>,
}

/// The windows of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// The windows. No two have the same length.
    pub list: Vec<Window>,
    /// How much older than the newest reading another may be and still count, in milliseconds.
    pub allowed_lateness_ms: i64,
}

/// One size of window, with its name in results: `300s`, `3600s/600s`, `1d`, `1d@Asia/Tokyo` or `gap600s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The name.
    pub name: String,
    /// The size.
    pub size: Size,
}

impl From<Size> for Window {
    fn from(size: Size) -> Self {
        Self { name: size.to_string(), size }
    }
}

/// Where windows begin and end.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// Windows that begin at multiples of a step since the epoch.
    Fixed {
        /// The length in milliseconds.
        length_ms: i64,
        /// The time between the beginnings of two windows in milliseconds, at most the length.
        step_ms: i64,
    },
    /// Calendar days.
    Days {
        /// How many.
        days: u32,
        /// Where they begin at midnight.
        zone: TimeZone,
    },
    /// Sessions: a gap ends them.
    Session {
        /// The shortest time between two readings that ends a session, in milliseconds.
        gap_ms: i64,
    },
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { length_ms, step_ms } => {
                write!(f, "{}s", length_ms / 1_000)?;
                if length_ms == step_ms { Ok(()) } else { write!(f, "/{}s", step_ms / 1_000) }
            }
            Self::Days { days, zone } => {
                write!(f, "{days}d")?;
                zone.iana_name().filter(|name| *name != "UTC").map_or(Ok(()), |name| write!(f, "@{name}"))
            }
            Self::Session { gap_ms } => write!(f, "gap{}s", gap_ms / 1_000),
        }
    }
}

impl Size {
    /// The length in seconds, without regard to days on which the clocks change; 0 for sessions, which have none. It names the
    /// rows of the window.
    pub fn seconds(&self) -> u32 {
        match self {
            Self::Fixed { length_ms, .. } => u32::try_from(length_ms / 1_000).unwrap_or(u32::MAX),
            Self::Days { days, .. } => days.saturating_mul(MAX_SECONDS),
            Self::Session { .. } => 0,
        }
    }
}

/// The time zone of an IANA name; UTC without a name. `None` if the name is unknown.
///
/// It comes from the database that is compiled in, so that days are the same wherever the program runs.
pub(super) fn zone(name: Option<&str>) -> Option<TimeZone> {
    name.map_or(Some(TimeZone::UTC), |name| TimeZoneDatabase::bundled().get(name).ok())
}

/// Compiles the windows of a metric, and calls `report` for each problem with its field, as JSON names it.
pub(super) fn compile(
    documents: &[WindowDocument],
    allowed_lateness_seconds: Option<u32>,
    zone: &TimeZone,
    mut report: impl FnMut(String, String),
) -> Option<Windows> {
    if documents.len() > MAX_WINDOWS {
        report("windows".to_owned(), format!("has {} windows, at most {MAX_WINDOWS} are allowed", documents.len()));
    }
    let lateness = allowed_lateness_seconds.unwrap_or(DEFAULT_LATENESS_SECONDS);
    if lateness > MAX_LATENESS_SECONDS {
        let problem = format!("must be from 0 to {MAX_LATENESS_SECONDS}, not {lateness}");
        report("allowedLatenessSeconds".to_owned(), problem);
    }
    if documents.is_empty() {
        if allowed_lateness_seconds.is_some() {
            report("allowedLatenessSeconds".to_owned(), "is only allowed with windows".to_owned());
        }
        return None;
    }
    let mut list: Vec<Window> = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        for (key, problem) in document.problems() {
            let dot = if key.is_empty() { "" } else { "." };
            report(format!("windows[{index}]{dot}{key}"), problem);
        }
        let window = Window::from(document.size(zone));
        if list.iter().any(|earlier| earlier.size.seconds() == window.size.seconds()) {
            report(format!("windows[{index}]"), "has the length of an earlier one, or is a second session".to_owned());
        }
        list.push(window);
    }
    Some(Windows { list, allowed_lateness_ms: i64::from(lateness) * 1_000 })
}

impl WindowDocument {
    /// What is wrong with it: the key, or an empty one for the whole, and the problem in words.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let sizes = [self.seconds, self.days, self.gap_seconds];
        if sizes.iter().flatten().count() != 1 {
            problems.push(("", "must have one of seconds, days and gapSeconds".to_owned()));
        }
        let mut check = |key, value: Option<u32>, least: u32, most: u32| {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                problems.push((key, format!("must be from {least} to {most}, not {value}")));
            }
        };
        check("seconds", self.seconds, 1, MAX_SECONDS);
        check("days", self.days, 1, MAX_DAYS);
        check("gapSeconds", self.gap_seconds, 1, MAX_SECONDS);
        match (self.seconds, self.step_seconds) {
            (None, Some(_)) => problems.push(("stepSeconds", "is only allowed with seconds".to_owned())),
            (Some(seconds), Some(step)) if step == 0 || step > seconds => {
                problems.push(("stepSeconds", format!("must be from 1 to seconds, not {step}")));
            }
            (Some(seconds), Some(step)) if seconds.div_ceil(step) > MAX_OVERLAPPING => {
                let problem =
                    format!("{} windows would overlap, at most {MAX_OVERLAPPING} may", seconds.div_ceil(step));
                problems.push(("stepSeconds", problem));
            }
            _ => {}
        }
        problems
    }

    /// The size that a document without problems has.
    fn size(&self, zone: &TimeZone) -> Size {
        let ms = |seconds: u32| i64::from(seconds.max(1)) * 1_000;
        match (self.days, self.gap_seconds) {
            (Some(days), _) => Size::Days { days: days.max(1), zone: zone.clone() },
            (_, Some(gap)) => Size::Session { gap_ms: ms(gap) },
            _ => {
                let length = self.seconds.unwrap_or(1);
                let step = self.step_seconds.unwrap_or(length).clamp(1, length.max(1));
                Size::Fixed { length_ms: ms(length), step_ms: ms(step) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(json: &str, lateness: Option<u32>, zone_name: Option<&str>) -> (Option<Windows>, Vec<String>) {
        let documents: Vec<WindowDocument> = serde_json::from_str(json).unwrap();
        let mut problems = Vec::new();
        let zone = zone(zone_name).unwrap();
        let windows = compile(&documents, lateness, &zone, |key, problem| problems.push(format!("{key}: {problem}")));
        (windows, problems)
    }

    #[test]
    fn each_size_of_window_has_a_name_of_its_own() {
        let json = r#"[{"seconds": 300}, {"seconds": 3600, "stepSeconds": 600}, {"days": 1}, {"gapSeconds": 600}]"#;
        let names = |zone| -> Vec<String> {
            let (windows, problems) = compiled(json, None, zone);
            assert_eq!(problems, [""; 0]);
            windows.unwrap().list.into_iter().map(|window| window.name).collect()
        };
        assert_eq!(names(None), ["300s", "3600s/600s", "1d", "gap600s"]);
        assert_eq!(names(Some("asia/tokyo"))[2], "1d@Asia/Tokyo");
        assert_eq!(compiled(json, None, None).0.unwrap().allowed_lateness_ms, 120_000);
    }

    #[test]
    fn a_name_that_is_not_a_time_zone_is_unknown() {
        assert_eq!(zone(None), Some(TimeZone::UTC));
        assert!(zone(Some("Europe/Berlin")).is_some());
        assert_eq!(zone(Some("Mars/Base")), None);
        assert_eq!(zone(Some("")), None);
    }

    #[test]
    fn every_problem_names_its_field() {
        let json = r#"[{}, {"seconds": 60, "days": 1}, {"seconds": 0}, {"days": 32}, {"gapSeconds": 86401}, {"seconds": 60},
            {"seconds": 60, "stepSeconds": 60}, {"days": 2, "stepSeconds": 1}, {"seconds": 60, "stepSeconds": 61},
            {"seconds": 60, "stepSeconds": 5}, {"seconds": 61, "stepSeconds": 5}]"#;
        insta::assert_snapshot!(compiled(json, Some(3_601), None).1.join("\n"), @r"
        windows: has 11 windows, at most 4 are allowed
        allowedLatenessSeconds: must be from 0 to 3600, not 3601
        windows[0]: must have one of seconds, days and gapSeconds
        windows[1]: must have one of seconds, days and gapSeconds
        windows[2].seconds: must be from 1 to 86400, not 0
        windows[2]: has the length of an earlier one, or is a second session
        windows[3].days: must be from 1 to 31, not 32
        windows[4].gapSeconds: must be from 1 to 86400, not 86401
        windows[6]: has the length of an earlier one, or is a second session
        windows[7].stepSeconds: is only allowed with seconds
        windows[8].stepSeconds: must be from 1 to seconds, not 61
        windows[8]: has the length of an earlier one, or is a second session
        windows[9]: has the length of an earlier one, or is a second session
        windows[10].stepSeconds: 13 windows would overlap, at most 12 may
        ");
        assert_eq!(
            compiled("[]", Some(1), None),
            (None, vec!["allowedLatenessSeconds: is only allowed with windows".to_owned()])
        );
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let error = serde_json::from_str::<WindowDocument>(r#"{"hours": 1}"#).unwrap_err();
        assert!(error.to_string().contains("hours"), "{error}");
    }
}
