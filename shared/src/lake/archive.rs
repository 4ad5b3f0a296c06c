//! The archive of a stream: every record exactly once, even if Lambda delivers a batch twice, cuts it differently,
//! delivers it late, or lets an invocation run on after its time-out (a zombie).
//!
//! S3's `If-None-Match` alone decides what is in the lake. For each stream, hour of arrival and shard, objects fill
//! [slots](Slot): open intervals of positions. The first slot is the interval of all positions. A slot holds at most
//! one object. The object's key names the slot and nothing else; its metadata state its [`Extent`], from its first to
//! its last record. If a slot is taken, the records inside the extent of its object are archived already. Records
//! before the extent go into the slot left of it, and records after the extent go into the slot right of it. So the
//! slots of a shard's hour are a search tree that only grows at its leaves.
//!
//! This works on one condition: **an object is a contiguous stretch of its shard's hour**. Batches are contiguous
//! stretches of their shard, because the event source mapping has a parallelization factor of 1 and no filter.
//!
//! Reading order: [`Slot`] and [`ObjectKey`] (keys), `plan` (which records go where, purely), [`Archiver`] (the calls),
//! [`EncodedObject`] (the bytes of an object), [`read`](fn@read) (how to read them back), [`audit`] (whether a lake is
//! complete).
//!
//! A batch that is delivered again, with one more record, adds that record:
//!
//! ```
//! use myaku::lake::archive::{Archiver, Compression, MemoryHeads, MemoryLake, list, read_object};
//! use myaku::stream::batch::{Batch, StreamRecord};
//!
//! let record = |sequence: &str, data: &'static str| StreamRecord {
//!     sequence: sequence.parse().unwrap(),
//!     partition_key: "bed-17".into(),
//!     arrived_ms: 1_795_218_892_020,
//!     data: data.into(),
//! };
//! let mut batch = Batch {
//!     stream: "ingest".into(),
//!     shard: "shardId-000000000000".into(),
//!     records: vec![record("7", r#"{"hr":71}"#)],
//! };
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let lake = MemoryLake::default();
//! let archiver = Archiver::new(&lake, MemoryHeads::default(), Compression::default());
//! assert_eq!(archiver.archive(&batch).await.records, 1);
//!
//! batch.records.push(record("8", r#"{"hr":72}"#));
//! let outcome = archiver.archive(&batch).await;
//! assert_eq!((outcome.known, outcome.records), (1, 1));
//!
//! let keys = list(&lake, "ingest").await.unwrap();
//! let (_, records) = read_object(&lake, &keys[1]).await.unwrap();
//! assert_eq!(records[0].data, br#"{"hr":72}"#);
//! # });
//! ```

mod archiver;
pub mod audit;
mod extent;
#[cfg(any(test, feature = "testing"))]
pub mod faults;
mod format;
mod heads;
mod json;
mod line;
mod object;
mod plan;
mod read;
mod record;
mod slot;
mod store;

pub use archiver::{ArchiveError, ArchiveOutcome, Archiver, EarlyStop, format_key, stream_format};
pub use extent::{Extent, Metadata};
pub use format::{Compression, CompressionError, Format};
pub use heads::{AllHeads, Head, Heads, HeadsKeeper, MemoryHeads};
pub use line::ParseLineError;
pub use object::EncodedObject;
pub use read::{ReadError, check, list, read, read_object};
pub use record::LakeRecord;
pub use slot::{Hour, ObjectKey, ParseKeyError, ShardHour, Slot, hour_prefix, stream_prefix};
pub use store::{Lake, Listed, MemoryLake, Put, Stored, Survey};

#[cfg(feature = "dynamodb")]
pub use heads::DynamoDbHeads;
#[cfg(feature = "s3")]
pub use store::S3Lake;

/// The conformance suites, which every adapter of a port passes.
#[cfg(any(test, feature = "testing"))]
pub mod conformance {
    pub use super::heads::conformance::suite as heads;
    pub use super::store::conformance::suite as lake;
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
