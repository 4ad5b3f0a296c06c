//! Kinesis event source mappings as Lambda runs them: polling, batching, retrying, and the order of it all.
//!
//! It keeps Lambda's promises: each record is delivered at least once, in order within its shard (within its partition
//! key where [`Settings::parallelization`] is above 1), and a shard only after every shard that it came from.
//!
//! A [`Mapping`] is one future with no threads, tasks, clock or randomness of its own: time is a [`Clock`], randomness a
//! seed, and the stream, the function and the destination stand behind ports. So the same code serves the local runner
//! in real time and a simulation in simulated time, where a seed repeats a run.

mod batcher;
mod checkpoint;
mod clock;
mod delivery;
mod destination;
mod event;
mod filter;
pub mod kinesis;
mod lineage;
mod mapping;
mod memory;
mod response;
mod settings;
mod shard;
mod simulation;
mod status;
mod window;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, OpenWindow, Progress};
pub use clock::{Clock, TokioClock};
pub use destination::{Discarded, S3Destination};
pub use filter::{Filter, FilterError};
pub use mapping::{Handle, Mapping};
pub use memory::MemoryStream;
pub use settings::{Backoff, Settings, SettingsError, StartingPosition};
pub use simulation::{Simulation, TaskId};
pub use status::{ShardStatus, Status};

use crate::function::{Function, InvokeError};
use bytes::Bytes;
use myaku::batch::{SequenceNumber, StreamRecord};
use myaku::errors::RemoteError;

/// A shard, with what tells its order among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// `shardId-…`.
    pub id: String,
    /// The shards that it was split or merged from; the stream may have forgotten them.
    pub parents: Vec<String>,
    /// The first and the last hash key that it takes.
    pub hash_keys: (u128, u128),
    /// Below or at its first record.
    pub starting: Option<SequenceNumber>,
    /// Set once it is closed: at or above its last record.
    pub ending: Option<SequenceNumber>,
}

/// From where a shard is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record that the stream still holds.
    TrimHorizon,
    /// What arrives from now on.
    Latest,
    /// The first record that arrived at or after a time, in milliseconds since the epoch.
    AtTimestamp(i64),
    /// The record behind this one.
    After(SequenceNumber),
}

/// What one read brought.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Records, in order; at most as many as were asked for.
    pub records: Vec<StreamRecord>,
    /// How far the read is behind the newest record, in milliseconds; 0 when there was no more to read.
    pub behind_ms: i64,
    /// The shard is closed and this was the rest of it.
    pub ended: bool,
}

/// The stream that a mapping reads.
pub trait Source: Send + Sync {
    /// A place in a shard.
    type Cursor: Send;

    /// All shards that the stream still knows, closed ones included.
    fn shards(&self) -> impl Future<Output = Result<Vec<Shard>, RemoteError>> + Send;

    /// A cursor into a shard.
    fn open(&self, shard: &str, from: ReadFrom) -> impl Future<Output = Result<Self::Cursor, RemoteError>> + Send;

    /// Reads at most `limit` records and moves the cursor behind them. After an error the cursor is where it was.
    fn read(&self, cursor: &mut Self::Cursor, limit: usize) -> impl Future<Output = Result<Read, RemoteError>> + Send;
}

/// The function that a mapping invokes.
pub trait Invoker: Send + Sync {
    /// Invokes synchronously, with an event's JSON.
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send;
}

impl Invoker for Function {
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send {
        Self::invoke(self, event)
    }
}

/// Where discarded batches go.
pub trait OnFailure: Send + Sync {
    /// Keeps a discarded batch.
    fn send(&self, discarded: &Discarded) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// A mapping without a destination: discarded batches are gone but for a line in the log.
impl<D: OnFailure> OnFailure for Option<D> {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        match self {
            Some(destination) => destination.send(discarded).await,
            None => Ok(()),
        }
    }
}
