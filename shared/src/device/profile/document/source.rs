//! The part of a profile document that says where a value is in a message.

use super::Endian;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Where a value is: a text is a path (`vital.heart["rate.bpm"]`, `samples[0]`), an object describes a field in the
/// bytes ([`BinaryDocument`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Source {
    /// A path in JSON or CBOR.
    Path(String),
    /// A field in the bytes of a binary format.
    Binary(BinaryDocument),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrBinary;
        impl<'de> Visitor<'de> for PathOrBinary {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path (a text) or a field in the bytes (an object with offset and type)")
            }

            fn visit_str<E>(self, path: &str) -> Result<Source, E> {
                Ok(Source::Path(path.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                BinaryDocument::deserialize(MapAccessDeserializer::new(map)).map(Source::Binary)
            }
        }
        deserializer.deserialize_any(PathOrBinary)
    }
}

/// A field in the bytes of a binary format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BinaryDocument {
    /// The field's first byte, counted from the beginning of the payload or the record.
    pub offset: usize,
    /// `u8` to `u64` and `i8` to `i64` in steps of 8 bits, `f16`, `f32`, `f64`, `sfloat` and `float` (IEEE 11073, of medical
    /// devices), `bcd8` to `bcd64` (two decimal digits a byte), or `text` (UTF-8, cut at the first NUL).
    #[serde(rename = "type")]
    pub kind: String,
    /// The length of a `text` in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The byte order. Without it, the version's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// For an unsigned type: the bits to read. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<BitsDocument>,
    /// The raw number that means "no value".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<i64>,
    /// The factor by which the raw number is multiplied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// The number that is added after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<f64>,
}

/// Some bits of an unsigned number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BitsDocument {
    /// The lowest bit; 0 is the least significant.
    pub from: u32,
    /// The number of bits.
    pub count: u32,
    /// Whether the highest of them is the sign (two's complement).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}
