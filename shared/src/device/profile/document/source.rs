//! Where a value stands in a message, and how a time is written.

use super::Endian;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Where the device's time stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDocument {
    /// The field.
    pub from: Source,
    /// How it is written.
    pub unit: TimeUnit,
    /// Whether a number may come as text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
}

/// How a time is written. Numbers count from 1970-01-01T00:00:00Z and may have a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "µs", alias = "us")]
    Microseconds,
    /// A text as ISO 8601 and RFC 3339 have it, with its offset: `2026-11-21T02:29:00.5+09:00`.
    #[serde(rename = "iso8601")]
    Iso8601,
}

/// Where a value stands: a text is a path (`vital.heart["rate.bpm"]`, `samples[0]`), an object is a
/// place in the bytes ([`BinaryDocument`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// A path in JSON or CBOR.
    Path(String),
    /// A place in a binary format.
    Binary(BinaryDocument),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrPlace;
        impl<'de> Visitor<'de> for PathOrPlace {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path (text) or a place in the bytes (object with offset and type)")
            }

            fn visit_str<E>(self, path: &str) -> Result<Source, E> {
                Ok(Source::Path(path.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                BinaryDocument::deserialize(MapAccessDeserializer::new(map)).map(Source::Binary)
            }
        }
        deserializer.deserialize_any(PathOrPlace)
    }
}

/// A place in a binary format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryDocument {
    /// Its first byte, from the beginning of the payload or the record.
    pub offset: usize,
    /// `u8` to `u64` and `i8` to `i64` in steps of 8 bits, `f32`, `f64`, or `text` (UTF-8, cut at the first NUL).
    #[serde(rename = "type")]
    pub kind: String,
    /// The length of a `text` in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The order of its bytes; the version's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// Some bits only, of an unsigned type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<BitsDocument>,
    /// The raw number that means "no value".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<i64>,
    /// The raw number is multiplied with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Then this is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<f64>,
}

/// Some bits of an unsigned number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitsDocument {
    /// The lowest bit; 0 is the least significant.
    pub from: u32,
    /// How many.
    pub count: u32,
    /// Whether the highest of them is the sign (two's complement).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}
