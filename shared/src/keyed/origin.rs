//! Where a record came from.

use super::bytes::{self, CorruptedState, Reader};
use super::id_digest;
use crate::stream::batch::Position;

/// Bytes of an origin.
pub(super) const ORIGIN_BYTES: usize = 8 + 8 + bytes::POSITION_BYTES;

/// A record: the stream and the shard by their [`id_digest`], and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Positions compare within one stream only.
    pub stream: u64,
    /// The shard.
    pub shard: u64,
    /// The position in the stream.
    pub position: Position,
}

impl Origin {
    /// The record at `position` of a shard of a stream.
    pub fn new(stream: &str, shard: &str, position: Position) -> Self {
        Self { stream: id_digest(stream), shard: id_digest(shard), position }
    }

    /// Appends the bytes: `stream[8] shard[8] position`.
    pub(crate) fn encode_into(self, out: &mut Vec<u8>) {
        out.extend(self.stream.to_le_bytes());
        out.extend(self.shard.to_le_bytes());
        bytes::put_position(out, self.position);
    }

    /// Reads what [`Self::encode_into`] appended.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        Ok(Self { stream: reader.u64()?, shard: reader.u64()?, position: reader.position()? })
    }
}
