//! The status of a mapping: for an operator, and for code that waits until the mapping is idle.

use std::collections::BTreeMap;

/// The status of a mapping at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// All shards are caught up and nothing is in flight.
    pub idle: bool,
    /// Records that are read and not yet processed.
    pub lag_records: usize,
    /// The greatest distance of a shard's last read from the tip of the shard, in milliseconds.
    pub lag_ms: i64,
    /// The greatest age that a batch's last record had when the function was invoked, in milliseconds, since this value
    /// was last taken; `None` if there was no invocation.
    pub iterator_age_ms: Option<i64>,
    /// Invocations that reached the function.
    pub invocations: u64,
    /// Of these, those that failed as a whole or in part.
    pub failures: u64,
    /// Invocations that were refused before they reached the function.
    pub throttles: u64,
    /// Records that were processed.
    pub processed: u64,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Records that were discarded.
    pub discarded: u64,
    /// Discarded batches that the destination failed to store.
    pub destination_failures: u64,
    /// The shards that are being read or were read, by id.
    pub shards: BTreeMap<String, ShardStatus>,
}

/// The status of one shard at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// Records that are read and not yet processed.
    pub lag_records: usize,
    /// The distance of the last read from the tip of the shard, in milliseconds.
    pub lag_ms: i64,
    /// The start of the last read that found no records while everything before it was processed, in milliseconds
    /// since the epoch.
    pub caught_up_at_ms: Option<i64>,
    /// The shard is closed and all of it is processed.
    pub ended: bool,
}

impl Status {
    /// Whether everything that was in the stream at `since_ms` is processed. A read that began in that same millisecond
    /// is not enough: it may have come before a record that was put in the same millisecond.
    pub(super) fn caught_up(&self, since_ms: i64) -> bool {
        self.shards.values().all(|shard| shard.ended || shard.caught_up_at_ms.is_some_and(|at| at > since_ms))
    }
}
