//! A Kinesis batch as the domain sees it: de-aggregated records, their positions, and where to retry from.

mod event;
mod position;

pub use position::{ParsePositionError, Position, SequenceNumber};

/// The records of one shard that one invocation was given, in the stream's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The stream's name.
    pub stream: String,
    /// The shard's id.
    pub shard: String,
    /// The records as Kinesis holds them, aggregates whole.
    pub records: Vec<StreamRecord>,
}

/// One record of the stream, as Kinesis holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// The partition key that it was put with.
    pub partition_key: String,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// One record as its producer sent it: a plain record, or one out of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// Its place in the shard; unique within the stream.
    pub position: Position,
    /// Its own partition key.
    pub partition_key: &'a str,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: &'a [u8],
}
