//! What a stateful function brings: a pure rule, and a state with a format of its own.

use super::bytes::{CorruptedState, Reader};
use crate::results::Average;
use crate::stream::batch::Position;
use std::collections::BTreeMap;

/// A pure rule: how the readings of one device advance its state, and which results change by that.
///
/// Doing it again with the same input gives the same output, whatever was computed in between.
pub trait Rule: Send + Sync + 'static {
    /// What a device's profile asks of the function.
    type Settings: Send + Sync;
    /// What is kept of one device between invocations.
    type State: State;

    /// Whether `settings` ask for anything to be computed of `metric`.
    fn wants(settings: &Self::Settings, metric: &str) -> bool;

    /// Advances `loaded` by `readings` of `origin`, which are in the order of their shard. `losses` are what the state is
    /// known to lack, by metric.
    fn advance(
        settings: &Self::Settings,
        loaded: Option<&Self::State>,
        origin: Origin<'_>,
        readings: &[Incoming<'_>],
        losses: &BTreeMap<String, Loss>,
    ) -> Advance<Self::State>;
}

/// The state of one device. Two equal states have equal bytes.
pub trait State: Clone + Default + PartialEq + Send + Sync + 'static {
    /// Tells the states of functions apart in a store: part of each key.
    const NAME: &'static str;
    /// The version of the format that [`Self::encode_into`] writes.
    const VERSION: u8;

    /// About how many bytes [`Self::encode_into`] appends.
    fn size_hint(&self) -> usize;

    /// Appends the bytes of the state.
    fn encode_into(&self, out: &mut Vec<u8>);

    /// Reads what [`Self::encode_into`] appended, strictly.
    ///
    /// # Errors
    /// The bytes are not a state, or not the one way to write it.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState>;

    /// The highest position that was processed of the stream called `stream`.
    fn position(&self, stream: &str) -> Option<Position>;

    /// How many changes of `metric` the state has processed.
    fn revision(&self, metric: &str) -> u64;
}

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The stream's name: positions compare within one stream only.
    pub stream: &'a str,
    /// The shard's id.
    pub shard: &'a str,
}

/// A number that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incoming<'a> {
    /// The position of its record in the shard.
    pub position: Position,
    /// Its metric.
    pub metric: &'a str,
    /// [`id_digest`](super::id_digest) of its id.
    pub id: u64,
    /// Its time, in milliseconds since the epoch.
    pub at: i64,
    /// Its value, finite.
    pub value: f64,
    /// Its index among the device's readings of the batch.
    pub index: usize,
}

/// What the state of a metric is known to lack: results were written from a newer state, which was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The time of the newest reading that may be missing, in milliseconds since the epoch.
    pub at: i64,
    /// The revision of those results.
    pub revision: u64,
    /// Their position.
    pub position: Position,
}

/// What a batch's readings of one device come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance<S> {
    /// The state after them.
    pub state: S,
    /// The results to write.
    pub changes: Vec<Change>,
    /// How many readings count for the first time.
    pub counted: usize,
    /// How many were known by their id.
    pub duplicates: usize,
    /// How many came after the allowed lateness.
    pub too_late: usize,
    /// How many were processed before, by their position: they were delivered again.
    pub redelivered: usize,
}

/// A result that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The metric.
    pub metric: String,
    /// The beginning of the interval of history, in milliseconds since the epoch; `None` for the latest result.
    pub interval_ms: Option<i64>,
    /// The statistics.
    pub average: Average,
    /// Whether readings that belong to the result may be missing.
    pub partial: bool,
    /// If so, up to which time, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
    /// The value of the newest reading in the result.
    pub value: f64,
    /// The time of that reading, in milliseconds since the epoch.
    pub at: i64,
    /// Grows with each change of the metric.
    pub revision: u64,
    /// The record that changed it, or the highest one that was processed before.
    pub position: Position,
    /// The position of the state before, or a higher one of results that the state is behind. A state that is behind this
    /// position has lost something.
    pub base: Option<Position>,
    /// Which of the readings changed it.
    pub index: usize,
}
