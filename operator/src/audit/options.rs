//! What an audit covers.

use myaku::lake::archive::Hour;
use std::ops::{Range, RangeInclusive};

/// How far the clocks of Kinesis and of the auditing machine may differ.
const CLOCKS_APART_MS: i64 = 300_000;

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
    /// The present time, in milliseconds since the epoch.
    pub now_ms: i64,
    /// All keys of the stream are listed if it has at most so many objects.
    pub sweep_max: usize,
    /// How many objects are fetched at a time.
    pub concurrency: usize,
}

impl Options {
    /// The latest hour in which a record can have arrived.
    pub(super) fn latest(&self) -> Hour {
        Hour::of(self.now_ms.saturating_add(CLOCKS_APART_MS))
    }

    /// The times of arrival, in milliseconds since the epoch, whose records the stream still has and the lake must have.
    pub(super) fn vouched_ms(&self) -> Range<i64> {
        let (start, end) = (self.hours.start().start_ms(), self.hours.end().next().start_ms());
        start.max(self.held_since_ms)..end.min(self.archived_ms.saturating_add(1))
    }
}
