//! Builds aggregates. The exact size is known at each step.

use super::digest::md5_all;
use super::wire::{bytes_field_len, put_bytes_header, put_varint, varint_len};
use super::{
    DATA, DIGEST_LEN, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS,
};
use md5::{Digest as _, Md5};
use std::collections::HashMap;

/// One aggregate of `records` in their order, each with a partition key and data.
///
/// ```
/// use myaku::stream::kpl;
/// let bytes = kpl::encode([("bed-17", &b"{}"[..]), ("bed-18", b"")]);
/// let aggregate = kpl::decode(&bytes).expect("an aggregate");
/// assert_eq!(aggregate.records().next(), Some(("bed-17", None, &b"{}"[..])));
/// ```
pub fn encode<'a>(records: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut builder = Builder::new();
    for (key, data) in records {
        builder.push(key, None, data);
    }
    builder.finish()
}

/// An aggregate that is being built. It stores a repeated key once.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    partition_keys: Table,
    explicit_hash_keys: Table,
    /// The encoded fields `records`.
    records: Vec<u8>,
}

impl Builder {
    /// An aggregate without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// An aggregate without records, with room for `bytes` bytes of them.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { records: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Whether it has no records. [`decode`](super::decode()) reads an empty aggregate as a plain record.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The exact size of what [`finish`](Self::finish) returns, in bytes.
    pub const fn len_bytes(&self) -> usize {
        MAGIC.len() + self.partition_keys.bytes + self.explicit_hash_keys.bytes + self.records.len() + DIGEST_LEN
    }

    /// Whether the aggregate has at most `limit` bytes with this record, which has no explicit hash key.
    pub fn fits(&self, key: &str, data: &[u8], limit: usize) -> bool {
        self.len_bytes_with(key, None, data) <= limit
    }

    /// The exact size of the aggregate with this record, in bytes.
    pub fn len_bytes_with(&self, key: &str, explicit_hash_key: Option<&str>, data: &[u8]) -> usize {
        self.places(key, explicit_hash_key, data).2
    }

    /// Appends a record.
    pub fn push(&mut self, key: &str, explicit_hash_key: Option<&str>, data: &[u8]) {
        self.push_within(key, explicit_hash_key, data, usize::MAX);
    }

    /// Appends a record if the aggregate has at most `limit` bytes with it. Returns whether it did.
    pub fn push_within(&mut self, key: &str, explicit_hash_key: Option<&str>, data: &[u8], limit: usize) -> bool {
        let (key_place, hash_place, len_bytes) = self.places(key, explicit_hash_key, data);
        if len_bytes > limit {
            return false;
        }
        self.partition_keys.add(key, key_place);
        if let (Some(hash_key), Some(place)) = (explicit_hash_key, hash_place) {
            self.explicit_hash_keys.add(hash_key, place);
        }
        self.put(key_place.index, hash_place.map(|place| place.index), data);
        true
    }

    /// The places of a record's keys, and the exact size of the aggregate with this record, in bytes.
    fn places(&self, key: &str, explicit_hash_key: Option<&str>, data: &[u8]) -> (Place, Option<Place>, usize) {
        let key = self.partition_keys.place(key);
        let hash = explicit_hash_key.map(|hash_key| self.explicit_hash_keys.place(hash_key));
        let record = bytes_field_len(record_len(key.index, hash.map(|place| place.index), data));
        (key, hash, self.len_bytes() + key.added + hash.map_or(0, |place| place.added) + record)
    }

    fn put(&mut self, key_index: u64, hash_index: Option<u64>, data: &[u8]) {
        let out = &mut self.records;
        put_bytes_header(out, RECORDS, record_len(key_index, hash_index, data));
        put_varint(out, u64::from(PARTITION_KEY_INDEX << 3));
        put_varint(out, key_index);
        if let Some(index) = hash_index {
            put_varint(out, u64::from(EXPLICIT_HASH_KEY_INDEX << 3));
            put_varint(out, index);
        }
        put_bytes_header(out, DATA, data.len());
        out.extend_from_slice(data);
    }

    /// The bytes of the aggregate.
    pub fn finish(self) -> Vec<u8> {
        let mut out = self.unsealed();
        let digest = Md5::digest(&out[MAGIC.len()..]);
        out.extend_from_slice(&digest);
        out
    }

    /// [`finish`](Self::finish)es each of `builders`. The checksums are computed together, in a fraction of the time.
    pub fn finish_all(builders: impl IntoIterator<Item = Self>) -> Vec<Vec<u8>> {
        let mut aggregates: Vec<_> = builders.into_iter().map(Self::unsealed).collect();
        let messages: Vec<&[u8]> = aggregates.iter().map(|out| &out[MAGIC.len()..]).collect();
        let digests = md5_all(&messages);
        for (out, digest) in aggregates.iter_mut().zip(digests) {
            out.extend_from_slice(&digest);
        }
        aggregates
    }

    /// The aggregate without its checksum, with room for it.
    fn unsealed(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len_bytes());
        out.extend_from_slice(&MAGIC);
        self.partition_keys.put(&mut out, PARTITION_KEY_TABLE);
        self.explicit_hash_keys.put(&mut out, EXPLICIT_HASH_KEY_TABLE);
        out.extend_from_slice(&self.records);
        out
    }
}

/// The index that a key has or would get in a table, and the bytes that it would add.
#[derive(Clone, Copy)]
struct Place {
    index: u64,
    added: usize,
}

/// A table of keys, each once.
#[derive(Clone, Debug, Default)]
struct Table {
    indices: HashMap<String, u64>,
    keys: Vec<String>,
    /// The index that was used last: the next record often has the same key.
    last: u64,
    /// Bytes of the encoded table.
    bytes: usize,
}

impl Table {
    fn place(&self, key: &str) -> Place {
        if self.keys.get(self.last as usize).is_some_and(|last| last == key) {
            return Place { index: self.last, added: 0 };
        }
        match self.indices.get(key) {
            Some(&index) => Place { index, added: 0 },
            None => Place { index: self.keys.len() as u64, added: bytes_field_len(key.len()) },
        }
    }

    /// Stores `key` at the place that [`place`](Self::place) returned for it.
    fn add(&mut self, key: &str, Place { index, added }: Place) {
        self.last = index;
        if added > 0 {
            self.indices.insert(key.to_owned(), index);
            self.keys.push(key.to_owned());
            self.bytes += added;
        }
    }

    fn put(&self, out: &mut Vec<u8>, number: u32) {
        for key in &self.keys {
            put_bytes_header(out, number, key.len());
            out.extend_from_slice(key.as_bytes());
        }
    }
}

/// The size of one `Record` in bytes; the tag of each of its fields has one byte.
fn record_len(key_index: u64, hash_index: Option<u64>, data: &[u8]) -> usize {
    1 + varint_len(key_index) + hash_index.map_or(0, |index| 1 + varint_len(index)) + bytes_field_len(data.len())
}
