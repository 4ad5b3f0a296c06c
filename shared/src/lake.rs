//! What is kept for ever: every record as it was sent, and every record that could not be processed.
//!
//! In reading order:
//!
//! - [`archive`]: the lake in S3. It holds each record of a stream exactly once, even if batches are delivered twice,
//!   cut differently, delivered late, or written by an invocation that should have ended.
//! - [`dead_letter`]: records that cannot be processed, with their bytes and a [reason](dead_letter::Reason). A
//!   letter's key is made of its record's position, so a letter that is written again replaces itself.
//!
//! Both use the position of a record in its shard as its identity, so no counter or lock decides what is stored. The
//! archive puts its objects with `If-None-Match`: two writers of the same records compete for one key, and S3 accepts
//! one of them.
//!
//! An object's key follows from where its records arrived and from the slot that they fill:
//!
//! ```
//! use myaku::lake::archive::{Format, Hour, ObjectKey, ShardHour, Slot};
//!
//! let hour = Hour::of(1_795_218_892_020);
//! let of = ShardHour { stream: "ingest".to_owned(), hour, shard: "shardId-000000000000".to_owned() };
//! let key = ObjectKey { of, slot: Slot::FIRST, format: Format::Zstd };
//!
//! let text = key.to_string();
//! assert!(text.starts_with("raw/stream=ingest/dt=2026-11-20/hh=23/shardId-000000000000/"));
//! assert!(text.ends_with("-end.ndjson.zst"));
//! assert_eq!(text.parse(), Ok(key));
//! ```

pub mod archive;
pub mod dead_letter;
