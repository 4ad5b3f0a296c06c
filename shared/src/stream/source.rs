//! Reading a stream shard by shard.
//!
//! The port that an event source mapping polls and the operator's audit compares with: Kinesis over the SDK, and a stream
//! in memory that splits and merges.

#[cfg(feature = "kinesis")]
pub mod kinesis;
pub mod memory;

use super::batch::{SequenceNumber, StreamRecord};
use crate::platform::errors::RemoteError;

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

/// A stream that is read shard by shard.
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
