//! The part of a profile that says over which readings a moving average is calculated.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The greatest number of readings in a window. A window that is limited by time alone holds at most so many of the
/// newest.
pub const MAX_READINGS: u32 = 2_000;
/// The longest window by time, and the longest interval of history, in seconds: a day.
const MAX_SECONDS: u32 = 86_400;
/// The longest allowed lateness, in seconds: an hour. The longer it is, the more readings the state must keep.
const MAX_LATENESS_SECONDS: u32 = 3_600;
/// Readings that are remembered beyond those that the window holds, at most.
const RESERVE: usize = 500;
/// How often a reading is supposed to come where the profile does not say it.
const SPACING_ASSUMED: Duration = Duration::from_secs(1);
/// The default lateness, in seconds: devices on a poor connection resend within a minute or two.
const DEFAULT_LATENESS_SECONDS: u32 = 120;

/// The window of one metric: the last N readings, the readings of the last M seconds before the newest, or the readings
/// that satisfy both.
///
/// ```
/// let spec: myaku::device::profile::WindowSpec = serde_json::from_str(r#"{"last": 20, "seconds": 300}"#)?;
/// assert!(spec.problems().is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSpec {
    /// The number of readings, by their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// The length in seconds before the newest reading. A reading exactly so much older is not in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// The interval of the rows of history, in seconds. Without it, no history is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_seconds: Option<u32>,
    /// How much older than the newest reading another may be and still correct the history, in seconds.
    #[serde(default = "default_lateness")]
    pub allowed_lateness_seconds: u32,
}

const fn default_lateness() -> u32 {
    DEFAULT_LATENESS_SECONDS
}

impl WindowSpec {
    /// A window of the last `n` readings, with no history.
    pub const fn last(n: u32) -> Self {
        Self { last: Some(n), seconds: None, history_seconds: None, allowed_lateness_seconds: DEFAULT_LATENESS_SECONDS }
    }

    /// A window of the last `seconds`, with no history.
    pub const fn seconds(seconds: u32) -> Self {
        Self {
            last: None,
            seconds: Some(seconds),
            history_seconds: None,
            allowed_lateness_seconds: DEFAULT_LATENESS_SECONDS,
        }
    }

    /// Lists what is wrong with the window: the field, as JSON names it, and the problem in words. Empty if it is
    /// valid.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.last.is_none() && self.seconds.is_none() {
            problems.push(("last", "a window must have last, seconds, or both".to_owned()));
        }
        let mut check = |field, value: Option<u32>, least: u32, most: u32| {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                problems.push((field, format!("must be from {least} to {most}, not {value}")));
            }
        };
        check("last", self.last, 1, MAX_READINGS);
        check("seconds", self.seconds, 1, MAX_SECONDS);
        check("historySeconds", self.history_seconds, 1, MAX_SECONDS);
        check("allowedLatenessSeconds", Some(self.allowed_lateness_seconds), 0, MAX_LATENESS_SECONDS);
        problems
    }

    /// Says where the window allows more lateness than it can correct, because readings come so often that those of
    /// that time are not all remembered. `expected` is the expected time between two readings.
    pub(super) fn advice(&self, expected: Option<Duration>) -> Option<String> {
        let correctable_s = f64::from(self.allowed_lateness_seconds) + f64::from(self.history_seconds?);
        let (reach_s, remembered) = match (self.last, self.seconds) {
            // The window before the interval is remembered as well.
            (Some(_), _) => (correctable_s, RESERVE),
            (None, seconds) => (correctable_s + f64::from(seconds.unwrap_or_default()), self.remembered()),
        };
        let spacing_s = reach_s / remembered as f64;
        (expected.unwrap_or(SPACING_ASSUMED).as_secs_f64() < spacing_s).then(|| {
            format!(
                "where readings come more often than every {spacing_s:.1} s, {remembered} are remembered, which is less \
                 than the {} s in which a late one may correct the history; one that comes later corrects nothing, and \
                 counts as TooLate",
                self.allowed_lateness_seconds
            )
        })
    }

    /// The greatest number of readings that are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.capacity() + RESERVE
    }

    /// The greatest number of readings in the window.
    pub(crate) fn capacity(&self) -> usize {
        self.last.unwrap_or(MAX_READINGS).clamp(1, MAX_READINGS) as usize
    }

    /// The length of a window by time, in milliseconds.
    pub(crate) fn length_ms(&self) -> Option<i64> {
        self.seconds.map(|seconds| i64::from(seconds) * 1_000)
    }

    /// The interval of history, in milliseconds.
    pub(crate) fn history_ms(&self) -> Option<i64> {
        self.history_seconds.map(|seconds| i64::from(seconds.max(1)) * 1_000)
    }

    /// The allowed lateness, in milliseconds.
    pub(crate) fn lateness_ms(&self) -> i64 {
        i64::from(self.allowed_lateness_seconds) * 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_must_have_a_number_of_readings_or_a_length() {
        let spec: WindowSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec.problems(), [("last", "a window must have last, seconds, or both".to_owned())]);
        assert!(WindowSpec::last(1).problems().is_empty());
        assert!(WindowSpec::seconds(MAX_SECONDS).problems().is_empty());
    }

    #[test]
    fn a_problem_names_its_field() {
        let spec: WindowSpec = serde_json::from_str(
            r#"{"last": 0, "seconds": 86401, "historySeconds": 0, "allowedLatenessSeconds": 3601}"#,
        )
        .unwrap();
        let fields: Vec<_> = spec.problems().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["last", "seconds", "historySeconds", "allowedLatenessSeconds"]);
    }

    #[test]
    fn more_lateness_than_is_remembered_is_advised_against_by_how_often_readings_come() {
        let spec = |json: &str| serde_json::from_str::<WindowSpec>(json).unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let hour = spec(r#"{"last": 20, "historySeconds": 60, "allowedLatenessSeconds": 3600}"#);
        let advice = hour.advice(None).unwrap();
        assert!(advice.starts_with("where readings come more often than every 7.3 s, 500 are remembered"), "{advice}");
        assert_eq!((hour.advice(seconds(7)).is_some(), hour.advice(seconds(8))), (true, None));
        // A window by time holds up to 2,000 readings, which are remembered, too.
        let by_time = spec(r#"{"seconds": 900, "historySeconds": 300, "allowedLatenessSeconds": 600}"#);
        assert_eq!(by_time.advice(None), None);
        assert!(by_time.advice(Some(Duration::from_millis(700))).unwrap().contains("2500 are remembered"));
        let without_history = WindowSpec { history_seconds: None, ..hour };
        assert_eq!(without_history.advice(None), None);
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let error = serde_json::from_str::<WindowSpec>(r#"{"last": 3, "length": 4}"#).unwrap_err();
        assert!(error.to_string().contains("length"), "{error}");
    }

    #[test]
    fn json_round_trips_and_the_default_lateness_is_two_minutes() {
        let spec: WindowSpec = serde_json::from_str(r#"{"last":20,"historySeconds":60}"#).unwrap();
        insta::assert_snapshot!(
            serde_json::to_string(&spec).unwrap(),
            @r#"{"last":20,"historySeconds":60,"allowedLatenessSeconds":120}"#
        );
    }
}
