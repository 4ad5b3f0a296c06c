//! The positions that a device's state has processed.

use super::bytes::{self, CorruptedState, Reader};
use super::id_digest;
use crate::stream::batch::Position;

/// How many shards a state remembers: that of the device, and those before the reshards of the last minutes.
pub const MAX_SHARDS: usize = 4;
/// Bytes of a shard and its position.
pub(super) const ENTRY_BYTES: usize = 8 + bytes::POSITION_BYTES;

/// The last position that was processed of each shard.
///
/// A device is one partition key and so in one shard, but for a moment after a reshard: an aggregate that was packed
/// for the shards before can land in a sibling. Then two shards hold records of the device, in no order between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// [`id_digest`] of the stream's name: positions compare within one stream only.
    pub(crate) stream: u64,
    /// [`id_digest`] of each shard and its last position. The shard that was heard last is the last one.
    pub(crate) shards: Vec<(u64, Position)>,
}

impl Seen {
    /// Nothing processed yet of the stream called `stream`.
    pub fn of_stream(stream: &str) -> Self {
        Self { stream: id_digest(stream), shards: Vec::new() }
    }

    /// The same, for the stream called `stream`. Positions of another stream do not compare, and are dropped.
    #[must_use]
    pub fn for_stream(self, stream: &str) -> Self {
        if self.stream == id_digest(stream) { self } else { Self::of_stream(stream) }
    }

    /// The highest position that was processed of the stream called `stream`.
    pub fn position(&self, stream: &str) -> Option<Position> {
        let positions = self.shards.iter().map(|(_, position)| *position);
        if self.stream == id_digest(stream) { positions.max() } else { None }
    }

    /// Whether the record at `position` of `shard` was processed before: a shard is delivered in order.
    pub fn contains(&self, shard: &str, position: Position) -> bool {
        self.contains_digest(id_digest(shard), position)
    }

    /// As [`Self::contains`], for the digest of a shard's id.
    pub(crate) fn contains_digest(&self, shard: u64, position: Position) -> bool {
        self.shards.iter().any(|(of, seen)| *of == shard && position <= *seen)
    }

    /// Notes that the record at `position` of `shard` is processed.
    pub fn advance(&mut self, shard: &str, position: Position) {
        self.advance_digest(id_digest(shard), position);
    }

    /// As [`Self::advance`], for the digest of a shard's id. A shard that falls off the list ended long ago: should it
    /// deliver a record again, the readings' ids are known.
    pub(crate) fn advance_digest(&mut self, shard: u64, position: Position) {
        // Nearly always the shard that the device was last heard from.
        if let Some((_, seen)) = self.shards.last_mut().filter(|(of, _)| *of == shard) {
            *seen = position;
            return;
        }
        self.shards.retain(|(of, _)| *of != shard);
        self.shards.push((shard, position));
        if self.shards.len() > MAX_SHARDS {
            self.shards.remove(0);
        }
    }

    /// About how many bytes [`Self::encode_into`] writes.
    pub fn size_hint(&self) -> usize {
        9 + self.shards.len() * ENTRY_BYTES
    }

    /// Appends the bytes: `stream[8]`, then `v` times `shard[8] position[32]`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend(self.stream.to_le_bytes());
        bytes::put_varint(out, self.shards.len() as u64);
        for (shard, position) in &self.shards {
            out.extend(shard.to_le_bytes());
            bytes::put_position(out, *position);
        }
    }

    /// Reads what [`Self::encode_into`] wrote.
    ///
    /// # Errors
    /// The bytes are not such positions.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let stream = reader.u64()?;
        let shards = reader.count(ENTRY_BYTES)?;
        if shards > MAX_SHARDS {
            return Err(CorruptedState("more shards than are kept"));
        }
        let shards = (0..shards).map(|_| Ok((reader.u64()?, reader.position()?)));
        Ok(Self { stream, shards: shards.collect::<Result<_, _>>()? })
    }
}
