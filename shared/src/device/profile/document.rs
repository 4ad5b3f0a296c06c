//! The document that describes a kind of device: what its users write, as JSON.
//!
//! ```json
//! {
//!   "id": "vital-band",
//!   "clock": { "trust": "device", "allowedSkewSeconds": 120, "allowedDelaySeconds": 86400 },
//!   "metrics": {
//!     "heart_rate": { "unit": "1/min", "range": { "min": 20, "max": 250, "outside": "reject" },
//!                     "window": { "last": 20 }, "expectedIntervalSeconds": 5 },
//!     "body_temperature": { "unit": "°C" }
//!   },
//!   "versions": [
//!     { "name": "2", "when": { "field": "schema", "equals": 2 }, "format": "json", "identity": ["seq"],
//!       "records": { "each": "samples[*]", "time": { "from": "t", "unit": "ms" },
//!                    "fields": [ { "metric": "heart_rate", "from": "hr" } ] } },
//!     { "name": "1", "format": "json", "time": { "from": "ts", "unit": "s" },
//!       "fields": [ { "metric": "body_temperature", "from": "vital.temp", "unit": "°F" } ] }
//!   ]
//! }
//! ```
//!
//! *Metrics* say what a value means, whichever version of the format it came in: its kind, unit, range and window.
//! *Versions* say how the bytes of a message are read. The first whose `when` holds is used; one without `when` holds
//! always, so it stands last.
//!
//! A version's `fields` are read once in a message; those of its `records` once in each of its records. What a field
//! reads is named by `from` (see [`Source`]): a path in JSON and CBOR, a place in the bytes of a binary format.
//! A number goes through these steps: raw, binary `scale` and `add`, `calibration`, conversion from the field's `unit`
//! to the metric's, `range`.
//!
//! Keys that are not described here are errors, so that a misspelt one is found when the profile is put.

mod calibration;
mod source;

pub use calibration::{Beyond, CalibrationDocument, DividerDocument, Side, Voltage};
pub use source::{BinaryDocument, BitsDocument, Source, TimeDocument, TimeUnit};

use crate::device::event_time::ClockSource;
use crate::device::profile::WindowSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileDocument {
    /// Its name, which devices of the registry refer to.
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whose time a reading has.
    #[serde(default)]
    pub clock: ClockDocument,
    /// What is measured, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricDocument>,
    /// The formats that devices of this profile send; the first that fits is used.
    pub versions: Vec<VersionDocument>,
    /// How often such a device is heard, in seconds: longer silence is worth an alert. A metric can have its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<u32>,
}

/// Which clock to trust, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockDocument {
    /// `device`, `ingest` or `arrival`. Without it, the device where it sends its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<ClockSource>,
    /// How far ahead of the arrival the trusted time may be, and how far behind it if there is no
    /// `allowedDelaySeconds`. Default 300. Beyond, the reading gets the arrival's time, which its `clock` says.
    #[serde(default = "five_minutes")]
    pub allowed_skew_seconds: u32,
    /// How far behind the arrival the trusted time may be: for devices that keep readings while they are offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_delay_seconds: Option<u32>,
}

impl Default for ClockDocument {
    fn default() -> Self {
        Self { trust: None, allowed_skew_seconds: five_minutes(), allowed_delay_seconds: None }
    }
}

const fn five_minutes() -> u32 {
    300
}

/// What a metric's values are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricDocument {
    /// `number` (the default), `boolean`, `text` or `position`.
    #[serde(default)]
    pub kind: Kind,
    /// The unit in which a number is kept: every version converts into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Between what a number is believed, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeDocument>,
    /// The window of a number's moving average; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
    /// How often this metric is heard, in seconds; the profile's interval without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<u32>,
}

/// The kind of a metric's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A finite number.
    #[default]
    Number,
    /// `true` and `false`, or the numbers 1 and 0.
    Boolean,
    /// A state or an event by name, up to [`crate::device::reading::MAX_TEXT`] bytes.
    Text,
    /// Longitude and latitude in degrees.
    Position,
}

/// The numbers that are believed, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeDocument {
    /// The least, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What becomes of the others.
    #[serde(default)]
    pub outside: Outside,
}

/// What becomes of a value outside its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It goes to the dead letters.
    #[default]
    Reject,
    /// It is kept with the quality `out-of-range`.
    Flag,
}

/// One format that devices of the profile send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionDocument {
    /// For people and for messages about it.
    pub name: String,
    /// Which messages are of this version; all that no earlier version took, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<WhenDocument>,
    /// How the payload is written.
    pub format: Format,
    /// The order of bytes in a binary format where a field names none; `big` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// What makes two messages of a device the same message: a message id or a sequence number (with a boot counter
    /// if it starts again, with the time if it wraps). The parts are joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<Source>,
    /// The device's time of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDocument>,
    /// What is read once in a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDocument>,
    /// What is read several times in a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsDocument>,
}

/// What tells a version apart. All that is named must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhenDocument {
    /// The last level of the topic, which is the message's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The payload's exact length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The payload's least length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// The payload's greatest length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// A field that has the value `equals`, or is merely there if `equals` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Source>,
    /// A text, a whole number or a boolean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON (RFC 8259), read by paths.
    Json,
    /// CBOR (RFC 8949), read by paths; an integer key is written as its decimal digits.
    Cbor,
    /// Packed bytes, read by offset.
    Binary,
    /// Lines of text, or anything else that the lake is all that wants: nothing is read.
    Text,
}

/// The order of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// The most significant byte first: network order.
    #[default]
    Big,
    /// The least significant byte first.
    Little,
}

/// Several records in one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordsDocument {
    /// In JSON and CBOR: a path with `[*]` for each element of an array: `samples[*]`, `rooms[*].samples[*]`.
    /// The fields' paths begin at the record; `@` is the record itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// In JSON and CBOR: whether the array's absence (or `null`) is no error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// In a binary format: where the first record begins, in bytes. The fields' offsets begin at the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// In a binary format: the length of a record in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// In a binary format: where the number of records is written; they go to the payload's end without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<BinaryDocument>,
    /// The device's time of a record; the message's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDocument>,
    /// Records that have no time of their own are this far apart, beginning at the message's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<i64>,
    /// What is read in each record.
    pub fields: Vec<FieldDocument>,
}

/// One value to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldDocument {
    /// The metric that it is a value of.
    pub metric: String,
    /// Where it stands. A position in one place is an array of longitude and latitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Source>,
    /// Where a position's longitude stands, in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<Source>,
    /// Where a position's latitude stands, in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<Source>,
    /// Whether its absence (or `null`) is no error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Whether a number may come as text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
    /// The unit of the number that was read or, with a calibration, of what the calibration gives. The metric's
    /// without it; °C behind a thermistor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// From what was read to what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationDocument>,
    /// For a metric of texts: the name of each state that is sent (`{"0": "empty", "1": "occupied"}`). Others are
    /// out of range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, String>,
}
