//! The part of a profile that says which readings of a metric raise alerts.

use crate::alert::{Kind, Severity};
use crate::platform::json::is_default;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How long a score stays below its limit before its incident is over, by default, in seconds: a score is reported once, and
/// silent afterwards.
const SCORE_CLEAR_SECONDS: u32 = 600;

/// A rule that raises an alert while its condition holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRule {
    /// The name, which no other rule of the profile has: `fever`.
    pub name: String,
    /// The condition.
    pub when: Condition,
    /// How long the condition must hold before the alert is raised, by the readings' times, in seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub for_seconds: u32,
    /// How long it must not hold any more before the alert is cleared, in seconds. Default 0, and 600 for a score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_seconds: Option<u32>,
    /// How urgent it is: `info`, `warning` (the default) or `critical`.
    #[serde(default)]
    pub severity: Severity,
    /// Words for people, which stand before what was found: `Call the doctor`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// When a rule holds. In JSON an object with one key: `{"threshold": {"above": 38.5}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// A number, or its mean, is above or below a limit.
    Threshold(Threshold),
    /// A number changes by more than so much within a time.
    Change(Change),
    /// A number has not changed for a time.
    Flat(Flat),
    /// Readings are missing between two others.
    Gap(Gap),
    /// A number has moved away from what it was over a long time.
    Drift(Drift),
    /// A boolean or a text has a value.
    State(StateIs),
    /// Readings with some value are many within a time.
    Count(Count),
    /// A position is inside or outside an area.
    Zone(Zone),
    /// A number will reach a limit within a time, if it goes on as it does.
    Forecast(Forecast),
    /// A number is unusual, by the readings before it.
    Score(ScoreAbove),
}

/// See [`Condition::Threshold`]. At least one limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Threshold {
    /// It holds above this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It holds below this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// By how much the number must be back within its limit before the alert is cleared.
    #[serde(default)]
    pub hysteresis: f64,
    /// Takes the mean of the readings of so many seconds instead of each number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_seconds: Option<u32>,
}

/// See [`Condition::Change`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// It holds if the largest number less the smallest is above this.
    pub above: f64,
    /// Within so many seconds.
    pub seconds: u32,
}

/// See [`Condition::Flat`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flat {
    /// Numbers that differ by at most this are the same. Default 0.
    #[serde(default)]
    pub within: f64,
    /// It holds after so many seconds.
    pub seconds: u32,
}

/// See [`Condition::Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    /// It holds if a reading comes more than so many seconds after the one before.
    pub seconds: u32,
}

/// See [`Condition::Drift`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// It holds if the two means differ by more than this.
    pub above: f64,
    /// The long time in seconds. The mean over about so long is compared with that over about a twenty-fourth of it.
    pub seconds: u32,
}

/// See [`Condition::State`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateIs {
    /// The value.
    pub is: StateValue,
}

/// A boolean or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum StateValue {
    /// True or false.
    Boolean(bool),
    /// The name of a state or an event.
    Text(String),
}

/// See [`Condition::Count`]. Without `above`, `below` and `is`, all readings count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Count {
    /// It holds from so many readings on.
    pub at_least: u32,
    /// Within so many seconds.
    pub seconds: u32,
    /// Only numbers above this count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Only numbers below this count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Only this boolean or text counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<StateValue>,
}

/// See [`Condition::Zone`]. One of `circle` and `polygon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Zone {
    /// The area is a circle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circle: Option<Circle>,
    /// The area has these corners, each `[longitude, latitude]` in degrees; the last is joined to the first. It does not cross the
    /// 180th meridian.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub polygon: Vec<[f64; 2]>,
    /// It holds outside the area, not inside.
    #[serde(default)]
    pub outside: bool,
    /// It holds only at this time of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
}

/// A circle on the globe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Circle {
    /// Longitude and latitude of its centre, in degrees.
    pub at: [f64; 2],
    /// Its radius in metres.
    pub radius_m: f64,
}

/// A time of each day, in the profile's time zone. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Between {
    /// The beginning: `22:00`.
    pub from: Time,
    /// The end, which does not belong to it: `06:00`.
    pub to: Time,
}

/// See [`Condition::Forecast`]. One of `below` and `above`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forecast {
    /// The number that it will be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// The number that it will be above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Within so many seconds from the reading.
    pub within_seconds: u32,
    /// The slope is that of the last so many seconds. Default: `withinSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_seconds: Option<u32>,
}

/// See [`Condition::Score`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreAbove {
    /// It holds from this score on, between 0 and 1. Default 0.26.
    #[serde(default = "usual_score")]
    pub from: f64,
}

const fn usual_score() -> f64 {
    0.26
}

/// The alert rules of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// The rules. No two have the same name.
    pub rules: Vec<AlertRule>,
    /// Where times of the day are meant.
    pub zone: TimeZone,
}

impl AlertRule {
    /// How long the condition must hold before the alert is raised, in milliseconds.
    pub fn for_ms(&self) -> i64 {
        i64::from(self.for_seconds) * 1_000
    }

    /// How long it must not hold any more before the alert is cleared, in milliseconds.
    pub fn clear_ms(&self) -> i64 {
        let usual = if matches!(self.when, Condition::Score(_)) { SCORE_CLEAR_SECONDS } else { 0 };
        i64::from(self.clear_seconds.unwrap_or(usual)) * 1_000
    }
}

impl Condition {
    /// What incidents of the rule are about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Threshold(_) => Kind::Threshold,
            Self::Change(_) => Kind::Change,
            Self::Flat(_) => Kind::Flat,
            Self::Gap(_) => Kind::Gap,
            Self::Drift(_) => Kind::Drift,
            Self::State(_) => Kind::State,
            Self::Count(_) => Kind::Count,
            Self::Zone(_) => Kind::Zone,
            Self::Forecast(_) => Kind::Forecast,
            Self::Score(_) => Kind::Score,
        }
    }
}
