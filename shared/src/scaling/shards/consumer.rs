//! The consumers of a stream, and how each of them reads.

use serde::{Deserialize, Serialize};

/// How a consumer reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FanOut {
    /// It shares each shard's 2 MiB/s with the other plain consumers.
    #[default]
    Plain,
    /// It has 2 MiB/s of each shard for itself.
    Enhanced,
}

/// A reader of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name, which a plan's reason quotes.
    pub name: String,
    /// How it reads.
    pub fan_out: FanOut,
    /// The greatest age of the last record read in the newest minutes, in milliseconds; `None` without a data point.
    pub iterator_age_ms: Option<f64>,
}
