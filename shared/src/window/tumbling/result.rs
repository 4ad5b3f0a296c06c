//! The result of one window.

use super::aggregate::{Aggregate, Summary};
use super::interval::Interval;
use crate::device::profile::document::Kind;

/// The result of one window, or of several that were merged.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowResult {
    /// The window's size by its name, as `300s` or `1d@Asia/Tokyo`; in results that were merged, that of the first.
    pub window: String,
    /// The unit of the values; empty where there is none.
    pub unit: String,
    /// Its time.
    pub interval: Interval,
    /// What its readings come to. A result that was written may lose its only reading to a correction: then it is written again
    /// with none.
    pub aggregate: Aggregate,
    /// Whether readings that belong to it may be missing.
    pub partial: bool,
    /// Readings up to this time may be missing, in milliseconds since the epoch; `None` if none were lost.
    pub lost_until: Option<i64>,
    /// How many readings came too late to count. A repetition of one that counts may be among them.
    pub left_out: u64,
}

/// Results that do not merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("results of different kinds or units cannot be merged")]
pub struct UnlikeWindows;

impl WindowResult {
    /// The kind of its values.
    pub const fn kind(&self) -> Kind {
        self.aggregate.kind()
    }

    /// How many readings it has.
    pub const fn count(&self) -> u64 {
        self.aggregate.count()
    }

    /// Its statistics; `None` without readings.
    pub fn summary(&self) -> Option<Summary> {
        self.aggregate.summary()
    }

    /// Merges another result into this one: of a window that follows, or of another device. Windows that overlap would count
    /// readings twice.
    ///
    /// # Errors
    /// They are of different kinds or units. Nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), UnlikeWindows> {
        if self.unit != other.unit || !self.aggregate.merge(&other.aggregate) {
            return Err(UnlikeWindows);
        }
        self.interval.from_ms = self.interval.from_ms.min(other.interval.from_ms);
        self.interval.to_ms = self.interval.to_ms.max(other.interval.to_ms);
        self.partial |= other.partial;
        self.lost_until = self.lost_until.max(other.lost_until);
        self.left_out += other.left_out;
        Ok(())
    }
}
