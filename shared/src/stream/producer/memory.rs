//! A stream in memory that can fail like a real one.

use super::{Entry, PutOutcome, PutRecords};
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::shard_map::HashKeyRange;
use crate::stream::shard_map::ShardMap;
use crate::stream::shard_map::hash_key;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes wrong in the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and nothing is put.
    Unavailable,
    /// Everything is put, and the answer is lost.
    AnswerLost,
    /// Every second entry is throttled, beginning with the first.
    ThrottleHalf,
    /// The call fails in a way that no retry can fix.
    Denied,
}

#[derive(Debug, Default)]
struct Inner {
    ranges: Vec<HashKeyRange>,
    records: Vec<(String, Entry)>,
    faults: VecDeque<Fault>,
    calls: usize,
}

/// A stream whose shards divide the keyspace evenly.
#[derive(Debug, Default)]
pub struct MemoryStream(Mutex<Inner>);

impl MemoryStream {
    /// A stream of `shards` open shards, at least one.
    pub fn new(shards: usize) -> Self {
        let stream = Self::default();
        stream.reshard("shardId", shards);
        stream
    }

    /// Replaces the open shards by `shards` new ones of equal size. Their names begin with `prefix`.
    pub fn reshard(&self, prefix: &str, shards: usize) {
        let shards = shards.max(1) as u128;
        let step = u128::MAX / shards;
        self.inner().ranges = (0..shards)
            .map(|index| HashKeyRange {
                shard: format!("{prefix}-{index:012}"),
                start: index * step,
                end: if index + 1 == shards { u128::MAX } else { (index + 1) * step - 1 },
            })
            .collect();
    }

    /// Makes the next calls fail with these faults, in order.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner().faults.extend(faults);
    }

    /// The records, each with its shard, in the order of arrival.
    pub fn records(&self) -> Vec<(String, Entry)> {
        self.inner().records.clone()
    }

    /// How many PutRecords calls were made.
    pub fn calls(&self) -> usize {
        self.inner().calls
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PutRecords for MemoryStream {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        let mut inner = self.inner();
        inner.calls += 1;
        let fault = inner.faults.pop_front();
        match fault {
            Some(Fault::Unavailable) => return Err(RemoteError::new("PutRecords", Remedy::Retry, "unavailable")),
            Some(Fault::Denied) => return Err(RemoteError::new("PutRecords", Remedy::GiveUp, "AccessDeniedException")),
            _ => {}
        }
        let map = ShardMap::new(inner.ranges.clone());
        let mut outcomes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if fault == Some(Fault::ThrottleHalf) && index % 2 == 0 {
                outcomes.push(PutOutcome::Refused { code: "ProvisionedThroughputExceededException".to_owned() });
                continue;
            }
            let hash = entry.explicit_hash_key.unwrap_or_else(|| hash_key(&entry.partition_key));
            let shard = map.shard_of(hash).unwrap_or_default().to_owned();
            inner.records.push((shard.clone(), entry.clone()));
            outcomes.push(PutOutcome::Put { shard });
        }
        if fault == Some(Fault::AnswerLost) {
            return Err(RemoteError::new("PutRecords", Remedy::Retry, "the connection broke"));
        }
        Ok(outcomes)
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        Ok(self.inner().ranges.clone())
    }
}
