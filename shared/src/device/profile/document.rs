//! The profile document: the JSON that users write to describe a kind of device.
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
//! *Metrics* say what a value means, in every version of the format: its kind, unit, range and window.
//! *Versions* say how the bytes of a message are read. The first version whose `when` holds is used. A version without
//! `when` matches every message, so it must be the last.
//!
//! A version's `fields` are read once in a message. The fields of its `records` are read once in each record. A field's
//! `from` (see [`Source`]) says where its value is: a path in JSON and CBOR, an offset in a binary format.
//! A number goes through these steps: raw value, binary `scale` and `add`, `calibration`, conversion from the field's
//! `unit` to the metric's, `range`.
//!
//! A key that is not described here is an error, so that a misspelt key is found when the profile is put.

mod calibration;
mod field;
mod inside;
mod source;
mod time;

pub use calibration::{Beyond, CalibrationDocument, DividerDocument, Side, Voltage};
pub use field::{ConditionDocument, FieldDocument};
pub use inside::{CsvDocument, Encoding, InsideDocument};
pub use source::{BinaryDocument, BitsDocument, Source};
pub use time::{Epoch, Relative, StepDocument, TimeDocument, TimeUnit};

use crate::device::event_time::{ClockSource, Late};
use crate::device::profile::{AlertRule, WindowDocument, WindowSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A whole profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileDocument {
    /// Where this schema is, for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The profile's name, which devices in the registry refer to.
    pub id: String,
    /// A description for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Which clock gives the readings their time.
    #[serde(default)]
    pub clock: ClockDocument,
    /// The metrics that these devices measure, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricDocument>,
    /// The formats that these devices send. The first that matches a message is used.
    pub versions: Vec<VersionDocument>,
    /// The longest expected time between two messages of a device, in seconds. A longer silence is an alert. A metric
    /// can have its own interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<u32>,
    /// The time zone of windows by days and of times of the day, by its IANA name: `Asia/Tokyo`. Without it, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Which clock to trust, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockDocument {
    /// `device`, `ingest` or `arrival`. Without it, the device's time is used if the device sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<ClockSource>,
    /// How far after the arrival the trusted time may be, and how far before it if there is no `allowedDelaySeconds`.
    /// Default 300. A reading whose time is beyond it gets the arrival's, and its `clock` says so.
    #[serde(default = "five_minutes")]
    pub allowed_skew_seconds: u32,
    /// How far before the arrival the trusted time may be before the message is late: for devices that keep readings while
    /// they are offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_delay_seconds: Option<u32>,
    /// `keep` (the default) or `reject`: what happens to late messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// The first day that a clock which was set can show, in UTC: `2026-04-01`. Default 2020-01-01. Earlier times are of a
    /// clock that was never set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// For devices that send at once and whose clocks are off: `newest` takes the newest time of a message for the time of
    /// its receipt. A version that reads `sent` has no need of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
}

/// What shows how far a device's clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Offset {
    /// The newest time of each message.
    Newest,
}

impl Default for ClockDocument {
    fn default() -> Self {
        Self {
            trust: None,
            allowed_skew_seconds: five_minutes(),
            allowed_delay_seconds: None,
            late: None,
            not_before: None,
            offset: None,
        }
    }
}

const fn five_minutes() -> u32 {
    300
}

/// What the values of a metric mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricDocument {
    /// `number` (the default), `boolean`, `text` or `position`.
    #[serde(default)]
    pub kind: Kind,
    /// The unit of a number's readings. Every version converts into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The range of valid numbers, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeDocument>,
    /// The window of a number's moving average. Without it there is no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
    /// Settings for functions of your own, by the function's name: what each function documents.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, Value>,
    /// The windows that readings of any kind are aggregated into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowDocument>,
    /// How much older than the newest reading another may be and still count in `windows`, in seconds. Default 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_lateness_seconds: Option<u32>,
    /// The rules that raise alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertRule>,
    /// The longest expected time between two readings of this metric, in seconds. Without it, the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<u32>,
}

/// The kind of a metric's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A finite number.
    #[default]
    Number,
    /// `true` and `false`, or the numbers 1 and 0.
    Boolean,
    /// The name of a state or an event, up to [`crate::device::reading::MAX_TEXT`] bytes.
    Text,
    /// Longitude and latitude in degrees.
    Position,
}

impl Kind {
    /// The name in a profile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Position => "position",
        }
    }
}

/// The range of valid numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RangeDocument {
    /// The smallest valid number, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest valid number, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What happens to other numbers.
    #[serde(default)]
    pub outside: Outside,
}

/// What happens to a number outside its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It becomes a dead letter.
    #[default]
    Reject,
    /// It becomes a reading with the quality `out-of-range`.
    Flag,
}

/// One format that devices of the profile send, and how to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionDocument {
    /// The version's name, for people and for error messages.
    pub name: String,
    /// Which messages this version matches. Without it, all that no earlier version matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<WhenDocument>,
    /// How the payload is written.
    pub format: Format,
    /// Whether the payload is compressed, by gzip or zlib.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compressed: bool,
    /// How lines of values are written, for the format `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvDocument>,
    /// The payload within this payload that fields and records are read in. What decides about the version, the identity
    /// and the time are read outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<InsideDocument>,
    /// The byte order in a binary format, for fields that do not name one. Default `big`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// What two messages of a device have in common if they are the same message: a message id or a sequence number
    /// (with a boot counter if it starts again, with the time if it wraps). The parts are joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<Source>,
    /// The device's time of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDocument>,
    /// What the device's clock showed when it sent the message. The difference to the time of receipt is added to all
    /// times of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<TimeDocument>,
    /// The fields that are read once in a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDocument>,
    /// The records, in each of which fields are read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsDocument>,
}

/// Which messages a version matches. All conditions that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhenDocument {
    /// The message's kind, which is the last level of its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The payload's exact length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The payload's smallest length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// The payload's greatest length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// A field that has the value `equals`, or any value if `equals` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Source>,
    /// The field's value: a text, a whole number or a boolean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON (RFC 8259), read by paths.
    Json,
    /// CBOR (RFC 8949), read by paths. A path names an integer key by its decimal digits.
    Cbor,
    /// MessagePack, read by paths, like CBOR.
    Msgpack,
    /// A pack of SenML in JSON (RFC 8428): an array of records with `n`, `t`, `u` and `v`, base values resolved.
    Senml,
    /// The same in CBOR.
    SenmlCbor,
    /// Sparkplug B: an object with `timestamp`, `seq` and `metrics`, of which each has `name`, `alias`, `timestamp` and
    /// `value`.
    Sparkplug,
    /// Cayenne LPP: an object with a member for each channel, `temperature_3`.
    CayenneLpp,
    /// Sentences of NMEA 0183: an object with a member for each kind, `GGA`, `RMC` or `VTG`.
    Nmea,
    /// Lines of values: an array of lines, of which each is an array or, with a header, an object.
    Csv,
    /// InfluxDB's line protocol: an array of points with `measurement`, `tags`, `fields` and `time`.
    LineProtocol,
    /// Packed bytes, read by offsets.
    Binary,
    /// Lines of text, or anything else that is only archived in the lake. Nothing is read from it.
    Text,
}

impl Format {
    /// Whether it is read by paths.
    pub(super) const fn is_tree(self) -> bool {
        !matches!(self, Self::Binary | Self::Text)
    }
}

/// The byte order of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// The most significant byte first: network order.
    #[default]
    Big,
    /// The least significant byte first.
    Little,
    /// Words of 16 bits, the least significant word first, and in each the most significant byte first: the number ABCD
    /// is sent as CDAB, as many meters do.
    Cdab,
    /// The most significant word first, and in each the least significant byte first: ABCD is sent as BADC.
    Badc,
}

/// Where the records of a message are, and what is read in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordsDocument {
    /// In JSON and CBOR: a path with `[*]` for each element of an array: `samples[*]`, `rooms[*].samples[*]`.
    /// The fields' paths begin at the record; `@` is the record itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// In JSON and CBOR: whether the array may be missing or `null`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// In JSON and CBOR, instead of `each`: arrays whose elements belong together by their index, by the name that fields
    /// call an element: `{"t": "times", "hr": "data.hr"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// In a binary format: the offset of the first record, in bytes. The fields' offsets begin at the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// In a binary format: the length of a record in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// In a binary format: where the number of records is. Without it, the records continue to the payload's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<BinaryDocument>,
    /// The condition under which a record is read. Others are skipped.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionDocument>,
    /// The device's time of a record. Without it, the message's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDocument>,
    /// The time between two records that have no time of their own, in milliseconds. The first has the message's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<i64>,
    /// Where that time stands in the message, instead of `stepMs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepDocument>,
    /// The fields that are read in each record.
    pub fields: Vec<FieldDocument>,
}
