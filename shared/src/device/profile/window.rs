//! Which readings a moving average is over, as a profile says it.

use serde::{Deserialize, Serialize};

/// Readings that one window holds at most. A window by time alone holds the newest so many.
pub const MAX_READINGS: u32 = 2_000;
/// The longest window by time, and the longest interval of history: a day, in seconds.
const MAX_SECONDS: u32 = 86_400;
/// The longest allowed lateness: an hour, in seconds. It is paid for in readings that are remembered.
const MAX_LATENESS_SECONDS: u32 = 3_600;
/// What profiles get that name no lateness, in seconds: devices on a poor line resend within a minute or two.
const DEFAULT_LATENESS_SECONDS: u32 = 120;

/// The window of one metric: the last N readings, those of the last M seconds before the newest, or both, which is
/// those that satisfy both.
///
/// ```
/// let spec: myaku::device::profile::WindowSpec = serde_json::from_str(r#"{"last": 20, "seconds": 300}"#)?;
/// assert!(spec.problems().is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSpec {
    /// The last so many readings, by their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// The readings of the last so many seconds before the newest, the limit itself excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// The interval of the rows of history, in seconds; none are written without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_seconds: Option<u32>,
    /// How far behind the newest a reading may be and still correct the history, in seconds.
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

    /// What is wrong with it: the field, as JSON names it, and a sentence. Empty when it can be used.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.last.is_none() && self.seconds.is_none() {
            problems.push(("last", "a window needs last, seconds, or both".to_owned()));
        }
        let mut check = |field, value: Option<u32>, least: u32, most: u32| {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                problems.push((field, format!("{value} is not from {least} to {most}")));
            }
        };
        check("last", self.last, 1, MAX_READINGS);
        check("seconds", self.seconds, 1, MAX_SECONDS);
        check("historySeconds", self.history_seconds, 1, MAX_SECONDS);
        check("allowedLatenessSeconds", Some(self.allowed_lateness_seconds), 0, MAX_LATENESS_SECONDS);
        problems
    }

    /// Readings that the window holds at most.
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
    fn a_window_needs_a_number_or_a_length() {
        let spec: WindowSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec.problems(), [("last", "a window needs last, seconds, or both".to_owned())]);
        assert!(WindowSpec::last(1).problems().is_empty());
        assert!(WindowSpec::seconds(MAX_SECONDS).problems().is_empty());
    }

    #[test]
    fn each_bound_is_named_by_its_field() {
        let spec: WindowSpec = serde_json::from_str(
            r#"{"last": 0, "seconds": 86401, "historySeconds": 0, "allowedLatenessSeconds": 3601}"#,
        )
        .unwrap();
        let fields: Vec<_> = spec.problems().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["last", "seconds", "historySeconds", "allowedLatenessSeconds"]);
    }

    #[test]
    fn an_unknown_field_is_an_error_and_not_a_setting_that_does_nothing() {
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
