//! The part of a profile document that says how a time is written.

use super::Source;
use serde::{Deserialize, Serialize};

/// Where the device's time is, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeDocument {
    /// Where the time is.
    pub from: Source,
    /// How the time is written.
    pub unit: TimeUnit,
    /// Whether a number may be sent as text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
    /// What a number counts from. Without it, 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What a number is relative to, instead of an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<Relative>,
    /// The zone of a `local` time, by its IANA name. Without it, the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How a `local` time is written, by the directives of strftime: `%d.%m.%Y %H:%M:%S`. Without it, it is written as
    /// `2026-11-21 08:54:52`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The number at which a counter of the device begins again at 0, in `unit`: 4294967296 for 32 bits. It is compared with
    /// what the counter showed when the message was sent (`sent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wraps_at: Option<u64>,
}

/// How a time is written. Numbers may have a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TimeUnit {
    /// Days.
    #[serde(rename = "d")]
    Days,
    /// Hours.
    #[serde(rename = "h")]
    Hours,
    /// Minutes.
    #[serde(rename = "min")]
    Minutes,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "µs", alias = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// A text in the form of ISO 8601 and RFC 3339, with its offset: `2026-11-21T02:29:00.5+09:00`.
    #[serde(rename = "iso8601")]
    Iso8601,
    /// A text without an offset, of a zone that the profile knows: `2026-11-21 11:29:00`.
    #[serde(rename = "local")]
    Local,
}

impl TimeUnit {
    /// How many milliseconds one of it has; `None` for a text.
    pub(in crate::device::profile) const fn milliseconds(self) -> Option<f64> {
        match self {
            Self::Days => Some(86_400_000.0),
            Self::Hours => Some(3_600_000.0),
            Self::Minutes => Some(60_000.0),
            Self::Seconds => Some(1_000.0),
            Self::Milliseconds => Some(1.0),
            Self::Microseconds => Some(1e-3),
            Self::Nanoseconds => Some(1e-6),
            Self::Iso8601 | Self::Local => None,
        }
    }
}

/// What numbers count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Epoch {
    /// 1970-01-01T00:00:00Z, as in Unix.
    #[default]
    #[serde(rename = "1970")]
    Unix,
    /// 2000-01-01T00:00:00Z.
    #[serde(rename = "2000")]
    Year2000,
    /// 1980-01-06T00:00:00Z, in the time of GPS, which is 18 leap seconds ahead of UTC since 2017.
    #[serde(rename = "gps")]
    Gps,
}

impl Epoch {
    /// In milliseconds since 1970, for numbers of today.
    pub(in crate::device::profile) const fn milliseconds(self) -> i64 {
        match self {
            Self::Unix => 0,
            Self::Year2000 => 946_684_800_000,
            Self::Gps => 315_964_800_000 - 18_000,
        }
    }
}

/// What a number is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Relative {
    /// It is added to the message's time. For records.
    AfterMessage,
    /// It is an age, which is taken from the message's time. For records.
    BeforeMessage,
    /// It is added to the time of the record before; for the first record, to the message's. For records.
    AfterPrevious,
    /// It is an age, which is taken from the time of receipt.
    BeforeReceipt,
    /// From 2^28 on it counts from the epoch, below that from the time of receipt, as RFC 8428 (SenML) has it.
    Senml,
}

/// Where the time between two records stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// Where it is in the message.
    pub from: Source,
    /// Its unit.
    pub unit: TimeUnit,
}
