//! Decodes aggregates without copying.

use super::digest::md5_all;
use super::wire::{Fields, Malformed, Value};
use super::{
    DATA, DIGEST_LEN, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, KEY_CHARS_MAX, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS, TAG_KEY, TAG_VALUE, TAGS,
};
use md5::{Digest as _, Md5};
use std::borrow::Borrow;

/// An aggregate that follows all rules of the format. It borrows from the record that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate<'a> {
    keys: Keys<'a>,
    /// The whole message. [`records`](Self::records) parses the records from it again. They are free of errors, and
    /// their indices are within the tables, since decoding has parsed them once.
    message: &'a [u8],
    len: usize,
}

/// The tables of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Keys<'a> {
    partition: Vec<&'a str>,
    explicit_hash: Vec<&'a str>,
}

/// A record with its keys as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RawRecord<'a> {
    partition_key: usize,
    explicit_hash_key: Option<usize>,
    data: &'a [u8],
}

impl<'a> Aggregate<'a> {
    /// The records in their order, each as partition key, explicit hash key and data. A record's index is its
    /// sub-sequence number.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (&'a str, Option<&'a str>, &'a [u8])> + '_ {
        Records { keys: &self.keys, rest: Fields::of(self.message), left: self.len }
    }

    /// How many records there are: at least one.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> usize {
        self.len
    }
}

impl<'a> IntoIterator for Aggregate<'a> {
    type Item = (&'a str, Option<&'a str>, &'a [u8]);
    type IntoIter = IntoRecords<'a>;

    fn into_iter(self) -> Self::IntoIter {
        IntoRecords(Records { keys: self.keys, rest: Fields::of(self.message), left: self.len })
    }
}

/// An iterator over the records of an [`Aggregate`], which it owns.
#[derive(Clone, Debug)]
pub struct IntoRecords<'a>(Records<'a, Keys<'a>>);

impl<'a> Iterator for IntoRecords<'a> {
    type Item = (&'a str, Option<&'a str>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// An iterator over the records of a message that is known to be valid.
#[derive(Clone, Debug)]
struct Records<'a, K> {
    keys: K,
    rest: Fields<'a>,
    left: usize,
}

impl<'a, K: Borrow<Keys<'a>>> Iterator for Records<'a, K> {
    type Item = (&'a str, Option<&'a str>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let Ok(Some((number, value))) = self.rest.next() {
            if let (RECORDS, Value::Bytes(bytes)) = (number, value) {
                let RawRecord { partition_key, explicit_hash_key, data } = parse_record(bytes).ok()?;
                self.left -= 1;
                let keys = self.keys.borrow();
                return Some((
                    keys.partition[partition_key],
                    explicit_hash_key.map(|index| keys.explicit_hash[index]),
                    data,
                ));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, K: Borrow<Keys<'a>>> ExactSizeIterator for Records<'a, K> {}

/// Decodes `data` as an aggregate; `None` if it is a plain record.
///
/// An aggregate without records counts as a plain record, since it would vanish otherwise. So does one with a key that
/// is not UTF-8, empty or longer than [`KEY_CHARS_MAX`], since Kinesis does not have such keys.
pub fn decode(data: &[u8]) -> Option<Aggregate<'_>> {
    let (aggregate, digest) = decode_unverified(data)?;
    (Md5::digest(aggregate.message).as_slice() == digest).then_some(aggregate)
}

/// [`decode`]s each of `records`. The checksums are computed together, in a fraction of the time.
pub fn decode_all<'a>(records: &[&'a [u8]]) -> Vec<Option<Aggregate<'a>>> {
    let decoded: Vec<_> = records.iter().map(|data| decode_unverified(data)).collect();
    let messages: Vec<&[u8]> = decoded.iter().flatten().map(|(aggregate, _)| aggregate.message).collect();
    let mut digests = md5_all(&messages).into_iter();
    let verified = decoded.into_iter().map(|unverified| {
        let (aggregate, digest) = unverified?;
        (digests.next()? == *digest).then_some(aggregate)
    });
    verified.collect()
}

/// An aggregate, and the checksum that it must have. The checksum is checked last, since that costs most.
fn decode_unverified(data: &[u8]) -> Option<(Aggregate<'_>, &[u8; DIGEST_LEN])> {
    let (message, digest) = data.strip_prefix(&MAGIC)?.split_last_chunk()?;
    let aggregate = parse_aggregate(message).ok()?;
    (aggregate.len > 0).then_some((aggregate, digest))
}

/// Parses a message by the rules of protocol buffers: a known field with another wire type counts as unknown, and if a
/// field that may occur once occurs again, the last occurrence counts.
fn parse_aggregate(message: &[u8]) -> Result<Aggregate<'_>, Malformed> {
    let mut aggregate = Aggregate { keys: Keys::default(), message, len: 0 };
    // The tables may come after the records, so the indices are checked at the end.
    let (mut partition_keys, mut explicit_hash_keys) = (0, 0);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (PARTITION_KEY_TABLE, Value::Bytes(key)) => aggregate.keys.partition.push(parse_partition_key(key)?),
            (EXPLICIT_HASH_KEY_TABLE, Value::Bytes(key)) => aggregate.keys.explicit_hash.push(parse_text(key)?),
            (RECORDS, Value::Bytes(bytes)) => {
                let raw = parse_record(bytes)?;
                partition_keys = partition_keys.max(raw.partition_key.saturating_add(1));
                explicit_hash_keys =
                    explicit_hash_keys.max(raw.explicit_hash_key.map_or(0, |index| index.saturating_add(1)));
                aggregate.len += 1;
            }
            _ => {}
        }
    }
    let keys = &aggregate.keys;
    let within = partition_keys <= keys.partition.len() && explicit_hash_keys <= keys.explicit_hash.len();
    if within { Ok(aggregate) } else { Err(Malformed) }
}

fn parse_record(bytes: &[u8]) -> Result<RawRecord<'_>, Malformed> {
    let (mut partition_key, mut explicit_hash_key, mut data) = (None, None, None);
    let mut fields = Fields::of(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (PARTITION_KEY_INDEX, Value::Varint(index)) => {
                partition_key = Some(usize::try_from(index).or(Err(Malformed))?);
            }
            (EXPLICIT_HASH_KEY_INDEX, Value::Varint(index)) => {
                explicit_hash_key = Some(usize::try_from(index).or(Err(Malformed))?);
            }
            (DATA, Value::Bytes(bytes)) => data = Some(bytes),
            (TAGS, Value::Bytes(bytes)) => check_tag(bytes)?,
            _ => {}
        }
    }
    Ok(RawRecord { partition_key: partition_key.ok_or(Malformed)?, explicit_hash_key, data: data.ok_or(Malformed)? })
}

fn check_tag(bytes: &[u8]) -> Result<(), Malformed> {
    let mut key = None;
    let mut fields = Fields::of(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (TAG_KEY, Value::Bytes(bytes)) => key = Some(parse_text(bytes)?),
            (TAG_VALUE, Value::Bytes(bytes)) => {
                parse_text(bytes)?;
            }
            _ => {}
        }
    }
    key.map(|_| ()).ok_or(Malformed)
}

fn parse_partition_key(bytes: &[u8]) -> Result<&str, Malformed> {
    let key = parse_text(bytes)?;
    let is_long = key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX;
    if key.is_empty() || is_long { Err(Malformed) } else { Ok(key) }
}

fn parse_text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
