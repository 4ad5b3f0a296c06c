//! One measured value: the record of the stream `readings`.

use crate::clock::ClockSource;
use serde::{Deserialize, Serialize};

/// The longest value that is a text, in bytes.
pub const MAX_TEXT: usize = 256;

/// One value of one metric of one device at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The message's identity and the index of the value in it: the same measurement, sent twice, has the same id.
    pub id: String,
    /// The device that measured.
    pub device_id: String,
    /// Where the device stands.
    pub facility: String,
    /// What was measured, as its profile names it: `heart_rate`.
    pub metric: String,
    /// The value, calibrated and in `unit`.
    pub value: Value,
    /// The unit of a number; empty where there is none.
    #[serde(default)]
    pub unit: String,
    /// When it was measured, in milliseconds since the epoch, by `clock`.
    pub at: i64,
    /// Whose time `at` is.
    pub clock: ClockSource,
    /// When the message was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// What is known against the value.
    #[serde(default)]
    pub quality: Quality,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A finite number in the reading's unit.
    Number(f64),
    /// A state that holds or not.
    Boolean(bool),
    /// A state or an event by name.
    Text(String),
    /// Longitude and latitude in degrees.
    Position([f64; 2]),
}

/// What is known against a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Nothing.
    #[default]
    Good,
    /// Outside the profile's range, and kept because the profile says so.
    OutOfRange,
}
