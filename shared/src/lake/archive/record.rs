//! A record of the lake.

use crate::stream::batch::Position;

/// A record as the lake has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeRecord {
    /// Its position in its shard.
    pub position: Position,
    /// Its partition key.
    pub partition_key: String,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes, exactly as its producer sent them.
    pub data: Vec<u8>,
}
