//! A stream in memory whose shards split and merge, for tests and simulations of everything that reads a stream.

use super::{Read, ReadFrom, Shard, Source};
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::batch::{SequenceNumber, StreamRecord};
use crate::stream::shard_map::{HashKeyRange, hash_key};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A stream in memory. Clones are the same stream.
#[derive(Clone, Debug)]
pub struct MemoryStream(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shards: Vec<(Shard, Vec<StreamRecord>)>,
    next: u64,
}

/// A position in a shard of a [`MemoryStream`]: how many of its records come before it.
#[derive(Clone, Debug)]
pub struct MemoryCursor {
    shard: usize,
    index: usize,
}

impl MemoryStream {
    /// A stream with `shards` open shards that divide the hash keys evenly.
    pub fn new(shards: usize) -> Self {
        let mut state = State { shards: Vec::new(), next: 1 };
        for hash_keys in even_ranges(shards) {
            state.open(&[], hash_keys);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Puts a record. Returns its shard and its sequence number.
    pub fn put(&self, partition_key: &str, data: &[u8], arrived_ms: i64) -> (String, SequenceNumber) {
        self.put_at(hash_key(partition_key), partition_key, data, arrived_ms)
    }

    /// Puts a record at an explicit hash key. Returns its shard and its sequence number.
    pub fn put_at(&self, hash: u128, partition_key: &str, data: &[u8], arrived_ms: i64) -> (String, SequenceNumber) {
        let mut state = self.state();
        let sequence = state.number();
        let takes = |shard: &Shard| shard.ending.is_none() && (shard.hash_keys.0..=shard.hash_keys.1).contains(&hash);
        let record =
            StreamRecord { sequence, partition_key: partition_key.into(), arrived_ms, data: data.to_vec().into() };
        // The open shards always cover all hash keys: every change of shards preserves that.
        for (shard, records) in &mut state.shards {
            if takes(shard) {
                records.push(record);
                return (shard.id.clone(), sequence);
            }
        }
        unreachable!("no open shard takes the hash key {hash}")
    }

    /// The ids of the open shards, in the order of their hash keys.
    pub fn open_shards(&self) -> Vec<String> {
        self.open_ranges().into_iter().map(|range| range.shard).collect()
    }

    /// The open shards with their hash keys, in the order of the hash keys.
    pub fn open_ranges(&self) -> Vec<HashKeyRange> {
        let state = self.state();
        let open = state.shards.iter().filter(|(shard, _)| shard.ending.is_none());
        let range = |shard: &Shard| {
            let (start, end) = shard.hash_keys;
            HashKeyRange { shard: shard.id.clone(), start, end }
        };
        let mut open: Vec<_> = open.map(|(shard, _)| range(shard)).collect();
        open.sort_by_key(|range| range.start);
        open
    }

    /// Splits an open shard in the middle.
    pub fn split(&self, id: &str) {
        self.state().split(id, |(low, high)| low + (high - low) / 2 + 1);
    }

    /// Splits an open shard at one of its hash keys, which becomes the first of the upper child.
    pub fn split_at(&self, id: &str, hash: u128) {
        self.state().split(id, |_| hash);
    }

    /// Merges two adjacent open shards.
    pub fn merge(&self, id: &str, neighbour: &str) {
        let mut state = self.state();
        let (one, other) = (state.close(id), state.close(neighbour));
        state.open(&[id, neighbour], (one.0.min(other.0), one.1.max(other.1)));
    }

    /// Closes all shards and opens others that have no parents, as some servers do.
    pub fn reshard_without_lineage(&self, shards: usize) {
        for id in self.open_shards() {
            self.state().close(&id);
        }
        for hash_keys in even_ranges(shards) {
            self.state().open(&[], hash_keys);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> SequenceNumber {
        self.next += 1;
        // Digits always parse.
        self.next.to_string().parse().unwrap_or(SequenceNumber::ZERO)
    }

    fn open(&mut self, parents: &[&str], hash_keys: (u128, u128)) {
        let id = format!("shardId-{:012}", self.shards.len());
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        let starting = Some(self.number());
        self.shards.push((Shard { id, parents, hash_keys, starting, ending: None }, Vec::new()));
    }

    fn split(&mut self, id: &str, upper: impl FnOnce((u128, u128)) -> u128) {
        let (low, high) = self.close(id);
        let upper = upper((low, high));
        self.open(&[id], (low, upper - 1));
        self.open(&[id], (upper, high));
    }

    fn close(&mut self, id: &str) -> (u128, u128) {
        let ending = Some(self.number());
        let mut closed = (0, 0);
        for (shard, _) in self.shards.iter_mut().filter(|(shard, _)| shard.id == id) {
            shard.ending = ending;
            closed = shard.hash_keys;
        }
        closed
    }
}

impl Source for MemoryStream {
    type Cursor = MemoryCursor;

    async fn shards(&self) -> Result<Vec<Shard>, RemoteError> {
        Ok(self.state().shards.iter().map(|(shard, _)| shard.clone()).collect())
    }

    async fn open(&self, shard: &str, from: ReadFrom) -> Result<MemoryCursor, RemoteError> {
        let state = self.state();
        let found = state.shards.iter().enumerate().find(|(_, (candidate, _))| candidate.id == shard);
        let (position, (_, records)) =
            found.ok_or_else(|| RemoteError::new(format!("open {shard}"), Remedy::GiveUp, "no such shard"))?;
        let index = match from {
            ReadFrom::TrimHorizon => 0,
            ReadFrom::Latest => records.len(),
            ReadFrom::AtTimestamp(ms) => records.partition_point(|record| record.arrived_ms < ms),
            ReadFrom::After(sequence) => records.partition_point(|record| record.sequence <= sequence),
        };
        Ok(MemoryCursor { shard: position, index })
    }

    async fn read(&self, cursor: &mut MemoryCursor, limit: usize) -> Result<Read, RemoteError> {
        let state = self.state();
        let (shard, all) = &state.shards[cursor.shard];
        let records: Vec<_> = all[cursor.index..].iter().take(limit).cloned().collect();
        cursor.index += records.len();
        let behind_ms = i64::from(cursor.index < all.len());
        Ok(Read { ended: shard.ending.is_some() && behind_ms == 0, behind_ms, records })
    }
}

/// Ranges that divide the hash keys evenly.
fn even_ranges(shards: usize) -> impl Iterator<Item = (u128, u128)> {
    let width = u128::MAX / shards as u128;
    (0..shards as u128).map(move |index| {
        let last = index + 1 == shards as u128;
        (index * width, if last { u128::MAX } else { (index + 1) * width - 1 })
    })
}
