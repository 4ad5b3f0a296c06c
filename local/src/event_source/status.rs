//! What a mapping is doing: for an operator, and for whoever waits until it has nothing left to do.

use std::collections::BTreeMap;

/// A mapping at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// All shards are caught up and nothing is in flight.
    pub idle: bool,
    /// Records that are read and not yet processed.
    pub lag_records: usize,
    /// How far the slowest shard's last read was behind, in milliseconds.
    pub lag_ms: i64,
    /// The greatest age of the last record of a batch when it was handed to the function, in milliseconds, since this was
    /// last asked for; none if none was.
    pub iterator_age_ms: Option<i64>,
    /// Invocations that reached the function.
    pub invocations: u64,
    /// Of these, those that failed as a whole or in part.
    pub failures: u64,
    /// Invocations that were refused without reaching the function.
    pub throttles: u64,
    /// Records that were processed.
    pub processed: u64,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Records that were given up.
    pub discarded: u64,
    /// Discarded batches that the destination did not take.
    pub destination_failures: u64,
    /// The shards that are being read or were read, by id.
    pub shards: BTreeMap<String, ShardStatus>,
}

/// One shard at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// Records that are read and not yet processed.
    pub lag_records: usize,
    /// How far the last read was behind, in milliseconds.
    pub lag_ms: i64,
    /// When the last read that came back empty began, in milliseconds since the epoch, if all before it is processed.
    pub caught_up_at_ms: Option<i64>,
    /// The shard is closed and all of it is processed.
    pub ended: bool,
}

impl Status {
    /// Whether all that was in the stream at `since_ms` is processed: a read that began in that very millisecond may
    /// have come before a record that was put in it.
    pub(super) fn caught_up(&self, since_ms: i64) -> bool {
        self.shards.values().all(|shard| shard.ended || shard.caught_up_at_ms.is_some_and(|at| at > since_ms))
    }
}
