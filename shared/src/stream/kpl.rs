//! Aggregates of the Kinesis Producer Library: many small records in one record of the stream.
//!
//! Written from the published format (`aggregation-format.md` of the Kinesis Producer Library): the magic number
//! `F3 89 9A C2`, a proto2 message, and the MD5 of that message. Reading is strict and copies nothing: bytes that break
//! any rule of the format are a plain record, so that whatever a producer sent is passed on whole.

mod decode;
mod digest;
mod encode;
mod wire;

pub use decode::{Aggregate, IntoRecords, decode, decode_all};
pub(crate) use digest::md5_all;
pub use encode::{Builder, encode};

/// How an aggregate begins.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

/// The longest partition key in characters, which is Kinesis' own limit. An aggregate with a longer one counts as a
/// plain record: its thousands of records may share that key, and each line of the lake would repeat it.
pub const KEY_CHARS_MAX: usize = 256;

/// Bytes of the MD5 at an aggregate's end.
const DIGEST_LEN: usize = 16;

// Field numbers of `AggregatedRecord`, `Record` and `Tag`.
const PARTITION_KEY_TABLE: u32 = 1;
const EXPLICIT_HASH_KEY_TABLE: u32 = 2;
const RECORDS: u32 = 3;
const PARTITION_KEY_INDEX: u32 = 1;
const EXPLICIT_HASH_KEY_INDEX: u32 = 2;
const DATA: u32 = 3;
const TAGS: u32 = 4;
const TAG_KEY: u32 = 1;
const TAG_VALUE: u32 = 2;

#[cfg(test)]
mod tests;
