//! The port for reading a stream shard by shard.
//!
//! An event source mapping polls it, and the operator's audit compares the lake with it. The adapters are a Kinesis
//! stream, and a stream in memory that splits and merges.

#[cfg(feature = "kinesis")]
pub mod kinesis;
pub mod memory;

use super::batch::{SequenceNumber, StreamRecord};
use crate::platform::errors::RemoteError;

/// A shard, with its hash keys and what orders it among the others: parents and sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// `shardId-…`.
    pub id: String,
    /// The shards that it was split or merged from. The stream may not list them any more.
    pub parents: Vec<String>,
    /// The first and the last of its hash keys.
    pub hash_keys: (u128, u128),
    /// A sequence number at or below that of its first record.
    pub starting: Option<SequenceNumber>,
    /// A sequence number at or above that of its last record; `None` while the shard is open.
    pub ending: Option<SequenceNumber>,
}

/// Where reading a shard begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record that the stream still holds.
    TrimHorizon,
    /// The first record that arrives from now on.
    Latest,
    /// The first record that arrived at or after a time, in milliseconds since the epoch.
    AtTimestamp(i64),
    /// The record after this one.
    After(SequenceNumber),
}

/// The result of one read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Records, in order; at most as many as requested.
    pub records: Vec<StreamRecord>,
    /// How far the read is behind the newest record, in milliseconds; 0 when there was no more to read.
    pub behind_ms: i64,
    /// The shard is closed, and this read reached its end.
    pub ended: bool,
}

/// A stream that can be read shard by shard.
pub trait Source: Send + Sync {
    /// A position in a shard.
    type Cursor: Send;

    /// All shards that the stream still knows, closed ones included.
    fn shards(&self) -> impl Future<Output = Result<Vec<Shard>, RemoteError>> + Send;

    /// A cursor into a shard.
    fn open(&self, shard: &str, from: ReadFrom) -> impl Future<Output = Result<Self::Cursor, RemoteError>> + Send;

    /// Reads at most `limit` records and moves the cursor past them. After an error the cursor is where it was.
    fn read(&self, cursor: &mut Self::Cursor, limit: usize) -> impl Future<Output = Result<Read, RemoteError>> + Send;
}
