//! What an audit covers.

use myaku::lake::archive::Hour;
use std::ops::RangeInclusive;

/// What an audit covers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The stream's name.
    pub stream: String,
    /// The hours of arrival.
    pub hours: RangeInclusive<Hour>,
    /// Records that arrived up to this time must be in the lake, in milliseconds since the epoch.
    pub archived_ms: i64,
    /// The stream still holds every record that arrived since this time, in milliseconds since the epoch.
    pub held_since_ms: i64,
    /// How many objects are fetched at a time.
    pub concurrency: usize,
}
