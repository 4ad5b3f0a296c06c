//! Puts records on a stream: aggregates them per shard or per slot, retries each record, and keeps the order of each key.
//!
//! Promise 4: PutRecords promises no order within a call. So a key appears in one record per call only, and its next
//! record is sent after that one is in the stream. Promise 3: an error names each item that could not be put.
//!
//! KCL and Flink drop an aggregate's items whose hash keys are outside the range of its shard. [`Placement`] says how a
//! producer avoids that, and whether a key can be in two shards for a moment.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "kinesis")]
pub mod kinesis;
pub mod memory;
mod pack;

use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::shard_map::{HashKeyRange, ShardMap, hash_key};
use pack::{Packet, Places};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};

/// What a producer puts on the stream. It owns its key and bytes, or borrows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<K = String, D = Vec<u8>> {
    /// The partition key. Items with the same key stay in order.
    pub key: K,
    /// The bytes.
    pub data: D,
}

/// One record of a PutRecords call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The partition key, 1 to 256 characters.
    pub partition_key: String,
    /// The hash key that places the record, instead of its partition key's.
    pub explicit_hash_key: Option<u128>,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Entry {
    /// The hash key that decides which shard the record is put in.
    pub fn hash_key(&self) -> u128 {
        self.explicit_hash_key.unwrap_or_else(|| hash_key(&self.partition_key))
    }
}

/// The result for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is in the stream, in this shard.
    Put {
        /// The shard's id.
        shard: String,
    },
    /// It is not in the stream.
    Refused {
        /// The service's error code: `ProvisionedThroughputExceededException`, `InternalFailure`.
        code: String,
    },
}

/// The port to a stream for a producer.
pub trait PutRecords: Send + Sync {
    /// One call with at most 500 entries. Returns an outcome for each, in their order.
    fn put_records(&self, entries: &[Entry]) -> impl Future<Output = Result<Vec<PutOutcome>, RemoteError>> + Send;

    /// The open shards with their hash key ranges.
    fn open_shards(&self) -> impl Future<Output = Result<Vec<HashKeyRange>, RemoteError>> + Send;
}

/// Which items share an aggregate, and where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The items of a shard share an aggregate: the fewest and largest records. The producer caches the stream's shards,
    /// and detects from the answers when they have changed. Until then it puts aggregates by the earlier shards, so some
    /// of their items can be outside their keys' shard.
    Shards,
    /// The items of a [slot](super::slot) share an aggregate, and each has the slot's hash key. So a key is in one shard
    /// at any time, and inside its range, whatever the shards are: the producer never lists them. A call has up to
    /// [`Slot::COUNT`](super::slot::Slot::COUNT) aggregates.
    Slots,
}

/// Limits on sizes, and how long a refused record is retried.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one aggregate: four PUT payload units. Larger ones are hard to fit into a shard that takes 1 MiB/s.
    pub aggregate_bytes_max: usize,
    /// Bytes of one record, key included.
    pub record_bytes_max: usize,
    /// Records of one call.
    pub call_records_max: usize,
    /// Bytes of one call: half of what Kinesis takes. Larger calls gain nothing, and double what a lost answer repeats.
    pub call_bytes_max: usize,
    /// How long one `send` keeps trying.
    pub patience: Duration,
    /// The first pause before a refused record is put again; it doubles, up to `backoff_max`, with full jitter.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            aggregate_bytes_max: 100 * 1024,
            record_bytes_max: 1024 * 1024,
            call_records_max: 500,
            call_bytes_max: 5 * 1024 * 1024,
            patience: Duration::from_secs(10),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// Some items may not be in the stream. All others are.
#[derive(Debug, thiserror::Error)]
#[error("{} of the items could not be put on the stream", failed.len())]
pub struct SendError {
    /// Indices of those items, ascending.
    pub failed: Vec<usize>,
    /// The error of the last of them that was tried.
    #[source]
    pub source: RemoteError,
}

/// Puts items on one stream.
pub struct Producer<P> {
    port: P,
    placement: Placement,
    limits: Limits,
    shards: RwLock<Option<Arc<ShardMap>>>,
    jitter: Mutex<StdRng>,
}

impl<P: PutRecords> Producer<P> {
    /// A producer over `port`.
    pub fn new(port: P, placement: Placement, limits: Limits) -> Self {
        Self::seeded(port, placement, limits, rand::random())
    }

    /// The same, with a seed for its random pauses.
    pub fn seeded(port: P, placement: Placement, limits: Limits, seed: u64) -> Self {
        let jitter = Mutex::new(StdRng::seed_from_u64(seed));
        Self { port, placement, limits, shards: RwLock::new(None), jitter }
    }

    /// The port, for a test that inspects it.
    pub const fn port(&self) -> &P {
        &self.port
    }

    /// Puts all items, or returns which of them may not be in the stream. Items with the same key are put in their
    /// order.
    pub async fn send<K: AsRef<str>, D: AsRef<[u8]>>(&self, items: &[Item<K, D>]) -> Result<(), SendError> {
        if items.is_empty() {
            return Ok(());
        }
        let give_up_at = Instant::now() + self.limits.patience;
        let everything = 0..items.len();
        let places = self.places().await.map_err(|source| SendError { failed: everything.collect(), source })?;
        let (waves, too_large) = pack::pack(items, &places, &self.limits);
        let mut failed = too_large;
        let mut problem = failed.first().map(|_| {
            RemoteError::new(
                "PutRecords",
                Remedy::GiveUp,
                "an item is larger than a record may be, or its key is not valid",
            )
        });
        let mut waves = waves.into_iter();
        for wave in waves.by_ref() {
            if let Err(refused) = self.put_wave(wave, give_up_at).await {
                failed.extend(refused.failed);
                problem = Some(refused.source);
                break;
            }
        }
        // An item must not overtake an earlier one of its key that failed. So the later waves count as failed, and
        // their items wait for the next delivery.
        failed.extend(waves.flatten().flat_map(|packet| packet.items));
        match problem {
            None => Ok(()),
            Some(source) => {
                failed.sort_unstable();
                Err(SendError { failed, source })
            }
        }
    }

    /// Puts packets among which no key appears twice. It puts them call by call, and repeats the refused ones until
    /// `give_up_at`.
    async fn put_wave(&self, wave: Vec<Packet>, give_up_at: Instant) -> Result<(), SendError> {
        let mut pending = wave;
        let mut attempt = 0;
        loop {
            let mut refused = Vec::new();
            let mut problem = None;
            for call in pack::calls(pending, &self.limits) {
                let (entries, items): (Vec<Entry>, Vec<Vec<usize>>) =
                    call.into_iter().map(|packet| (packet.entry, packet.items)).unzip();
                let outcomes = match self.port.put_records(&entries).await {
                    Ok(outcomes) if outcomes.len() == entries.len() => outcomes,
                    Ok(_) => {
                        problem = Some(RemoteError::new("PutRecords", Remedy::Retry, "the answer lacks outcomes"));
                        refused.extend(entries.into_iter().zip(items).map(|(entry, items)| Packet { entry, items }));
                        continue;
                    }
                    Err(error) => {
                        problem = Some(error);
                        refused.extend(entries.into_iter().zip(items).map(|(entry, items)| Packet { entry, items }));
                        continue;
                    }
                };
                for ((entry, items), outcome) in entries.into_iter().zip(items).zip(outcomes) {
                    match outcome {
                        PutOutcome::Put { shard } => self.forget_stale_map(&entry, &shard).await,
                        PutOutcome::Refused { code } => {
                            let remedy = if code == "ProvisionedThroughputExceededException" {
                                Remedy::SlowDown
                            } else {
                                Remedy::Retry
                            };
                            problem = Some(RemoteError::new("PutRecords", remedy, code));
                            refused.push(Packet { entry, items });
                        }
                    }
                }
            }
            let Some(source) = problem else { return Ok(()) };
            let pause = self.pause(attempt);
            if source.remedy == Remedy::GiveUp || Instant::now() + pause >= give_up_at {
                let failed = refused.into_iter().flat_map(|packet| packet.items).collect();
                return Err(SendError { failed, source });
            }
            sleep(pause).await;
            pending = refused;
            attempt += 1;
        }
    }

    /// Full jitter: any pause up to the doubled one, so that throttled producers do not retry all at once.
    fn pause(&self, attempt: u32) -> Duration {
        let longest = self.limits.backoff_min.saturating_mul(1 << attempt.min(16)).min(self.limits.backoff_max);
        let share: f64 = self.jitter.lock().unwrap_or_else(PoisonError::into_inner).random();
        longest.mul_f64(share)
    }

    async fn places(&self) -> Result<Places, RemoteError> {
        if self.placement == Placement::Slots {
            return Ok(Places::Slots);
        }
        if let Some(known) = self.shards.read().await.clone() {
            return Ok(Places::Shards(known));
        }
        let fresh = Arc::new(ShardMap::new(self.port.open_shards().await?));
        *self.shards.write().await = Some(fresh.clone());
        Ok(Places::Shards(fresh))
    }

    /// Forgets the shard map if a record is in another shard than the map says: the stream was resharded. The next
    /// `send` reads the map again.
    async fn forget_stale_map(&self, entry: &Entry, shard: &str) {
        let moved = |map: &Arc<ShardMap>| map.shard_of(entry.hash_key()) != Some(shard);
        let stale = self.shards.read().await.as_ref().is_some_and(moved);
        if stale {
            *self.shards.write().await = None;
        }
    }
}

#[cfg(test)]
mod tests;
