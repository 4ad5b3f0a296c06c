//! The lake: every record of a stream exactly once, whatever is delivered twice, cut anew, late or by a zombie.
//!
//! Only S3's `If-None-Match` decides what is in the lake. For each stream, hour of arrival and shard, objects fill
//! [slots](Slot): open intervals of positions, of which the first is everything. A slot holds at most one object, whose key
//! names the slot and nothing else; the object's metadata has its [`Extent`]. Where a slot is taken, what lies within its
//! object's extent is archived, what lies before goes to the slot left of the extent, what lies behind to the slot right
//! of it. So the slots of a shard's hour are a search tree that only ever grows at its leaves.
//!
//! All of it rests on one thing: **an object is a contiguous stretch of its shard's hour**. Batches are stretches of their
//! shard, because the event source mapping has one lane and no filter.

mod archiver;
pub mod audit;
mod extent;
#[cfg(any(test, feature = "testing"))]
pub mod faults;
mod heads;
mod json;
mod line;
mod object;
mod plan;
mod read;
mod slot;
mod store;

pub use archiver::{ArchiveError, Archived, Archiver, Stopped, noted_format};
pub use extent::{Extent, Metadata};
pub use heads::{Head, Heads, HeadsReader, MemoryHeads};
pub use line::ParseLineError;
pub use object::{Compression, CompressionError, Encoded, Format};
pub use read::{LakeRecord, ReadError, list, read, read_object};
pub use slot::{Hour, ObjectKey, ParseKeyError, ShardHour, Slot, hour_prefix};
pub use store::{Lake, MemoryLake, Put, Stored};

#[cfg(feature = "dynamodb")]
pub use heads::DynamoDbHeads;
#[cfg(feature = "s3")]
pub use store::S3Lake;

/// The suites that every adapter of a port passes.
#[cfg(any(test, feature = "testing"))]
pub mod conformance {
    pub use super::heads::conformance::suite as heads;
    pub use super::store::conformance::suite as lake;
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
