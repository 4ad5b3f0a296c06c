//! A stream in memory that can fail like a real one.

use super::{Entry, PutOutcome, PutRecords};
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::shard_map::HashKeyRange;
use crate::stream::source::memory as source;
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
    records: Vec<(String, Entry)>,
    faults: VecDeque<Fault>,
    calls: usize,
}

/// A stream in memory for a producer. It keeps what was put, and fails when a test says so.
#[derive(Debug)]
pub struct MemoryStream {
    stream: source::MemoryStream,
    inner: Mutex<Inner>,
}

impl MemoryStream {
    /// A stream of `shards` open shards, at least one, that divide the keyspace evenly.
    pub fn new(shards: usize) -> Self {
        Self::over(source::MemoryStream::new(shards.max(1)))
    }

    /// The port to `stream`, whose clones read it and change its shards.
    pub fn over(stream: source::MemoryStream) -> Self {
        Self { stream, inner: Mutex::default() }
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
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut outcomes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if fault == Some(Fault::ThrottleHalf) && index % 2 == 0 {
                outcomes.push(PutOutcome::Refused { code: "ProvisionedThroughputExceededException".to_owned() });
                continue;
            }
            let (shard, _) = self.stream.put_at(entry.hash_key(), &entry.partition_key, &entry.data, 0);
            inner.records.push((shard.clone(), entry.clone()));
            outcomes.push(PutOutcome::Put { shard });
        }
        if fault == Some(Fault::AnswerLost) {
            return Err(RemoteError::new("PutRecords", Remedy::Retry, "the connection broke"));
        }
        Ok(outcomes)
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        Ok(self.stream.open_ranges())
    }
}
