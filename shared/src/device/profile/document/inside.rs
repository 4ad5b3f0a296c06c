//! The part of a profile document about payloads within payloads, and about formats that have settings.

use super::{Endian, Format, TimeDocument};
use serde::{Deserialize, Serialize};

/// A payload that stands in a field of another one, as networks of LoRaWAN send them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InsideDocument {
    /// The path to it: `uplink_message.frm_payload`. A byte string of CBOR or MessagePack is the payload itself.
    pub from: String,
    /// How its bytes are written as text. Without it, the text is the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Whether it is compressed, by gzip or zlib.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compressed: bool,
    /// How it is written.
    pub format: Format,
    /// The byte order in a binary format, for fields that do not name one. Default `big`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// How lines of values are written, for the format `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvDocument>,
    /// The device's time, if it stands inside. Without it, the version's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDocument>,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// RFC 4648, in either alphabet, with or without padding.
    Base64,
    /// Two hexadecimal digits a byte.
    Hex,
}

/// How lines of values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CsvDocument {
    /// What is between two values: one character of ASCII. Default: a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// Whether the first line names the values. Then a line is an object, otherwise an array.
    #[serde(default)]
    pub header: bool,
}
