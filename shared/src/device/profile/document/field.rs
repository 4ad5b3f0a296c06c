//! The part of a profile document that describes one value: where it is, and how it becomes a value of its metric.

use super::{CalibrationDocument, Source};
use crate::device::profile::StateValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One value to read.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the document")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldDocument {
    /// The metric that the value belongs to.
    pub metric: String,
    /// Where the value is. A position that has one source is an array of longitude and latitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Source>,
    /// Where a position's longitude is, in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<Source>,
    /// Where a position's latitude is, in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<Source>,
    /// Whether the value stands outside, where the version reads a payload within a payload. For fields of a version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// Whether the value may be missing or `null`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Values that mean "no value": `[-127, 85, "", "unavailable"]`. They are compared with what is read, before any other
    /// step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Value>,
    /// The condition under which the value is this metric's: a value beside it, such as `{"field": "type", "equals": 1}`.
    /// Where it does not hold, nothing is read, and nothing is missing.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionDocument>,
    /// Whether a number may be sent as text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
    /// Whether a number that is sent as text has a comma before its decimals: `36,5`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decimal_comma: bool,
    /// Whether a unit may follow a number that is sent as text: `36.5 °C`. The number is converted from it. Without one, it
    /// is in `unit`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unit_behind: bool,
    /// Where the unit of the number stands, as text. The number is converted from it. If nothing stands there, it is in
    /// `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_from: Option<Source>,
    /// Where the power of ten stands by which the number is multiplied: 36500 with -3 is 36.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponent_from: Option<Source>,
    /// The unit of the number that is read or, with a calibration, of the calibration's result. Default: the metric's
    /// unit, or °C after a thermistor's calibration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How to calculate what was measured from what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationDocument>,
    /// What each state that is sent means, for a metric of kind `text` by name (`{"0": "empty", "1": "occupied"}`), for one
    /// of kind `boolean` as true or false (`{"ON": true, "OFF": false}`). Other states are out of range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, StateValue>,
}

/// A condition on a value of the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConditionDocument {
    /// The field that is compared. It must be there.
    pub field: Source,
    /// The field's value: a text, a whole number or a boolean. Without it, any value will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
}
