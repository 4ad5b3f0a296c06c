//! Records of a Kinesis stream: how they are read, and how they are put.
//!
//! In reading order:
//!
//! - [`batch`]: the event that Lambda delivers, read without copying, and the [position](batch::Position) that orders all
//!   records of a shard.
//! - [`answer`]: what a function answers to a batch: done, or retry from here.
//! - [`guard`]: sets a record aside that ends the invocations which handle it, so that its shard goes on.
//! - [`kpl`]: aggregated records of the Kinesis Producer Library, which carry many user records in one.
//! - `lambda` (feature `lambda`): serves a handler of batches in Lambda. It is here and not in
//!   [`platform`](crate::platform), because it makes the [`Batch`](batch::Batch) from the event.
//! - [`shard_map`]: which shard a partition key belongs to.
//! - [`slot`]: fixed parts of the keyspace, which no reshard cuts.
//! - [`producer`]: puts records, aggregated per shard or per slot, and keeps the order of each key.
//! - [`source`]: reads a stream shard by shard, as an event source mapping and the operator's tools do.
//!
//! A *stream record* has a sequence number of its own; a *user record* is what a producer put. An aggregate is one
//! stream record with many user records.
//!
//! ```
//! use myaku::stream::batch::Batch;
//!
//! let event = r#"{"Records": [{
//!     "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/ingest",
//!     "eventID": "shardId-000000000003:49590338271490256608559692538361571095921575989136588898",
//!     "kinesis": {
//!         "kinesisSchemaVersion": "1.0", "partitionKey": "k", "data": "aGVsbG8=",
//!         "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
//!         "approximateArrivalTimestamp": 1795218892.02
//!     }
//! }]}"#;
//! let batch = Batch::from_event(event)?;
//! assert_eq!((batch.stream.as_str(), batch.shard.as_str()), ("ingest", "shardId-000000000003"));
//! assert_eq!(batch.user_records().next().map(|record| record.data), Some(&b"hello"[..]));
//! # Ok::<(), myaku::stream::batch::EventError>(())
//! ```

pub mod answer;
pub mod batch;
pub mod guard;
pub mod kpl;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod producer;
pub mod shard_map;
pub mod slot;
pub mod source;
