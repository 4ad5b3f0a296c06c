//! Reading an aggregate without copying.

use super::wire::{Fields, Malformed, Value};
use super::{
    DATA, DIGEST_LEN, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, KEY_CHARS_MAX, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS, TAG_KEY, TAG_VALUE, TAGS,
};
use md5::{Digest as _, Md5};

/// An aggregate that holds all rules of the format. Its parts borrow from the record that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate<'a> {
    partition_keys: Vec<&'a str>,
    explicit_hash_keys: Vec<&'a str>,
    /// Each record's indices are within the tables.
    records: Vec<Raw<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Raw<'a> {
    partition_key: usize,
    explicit_hash_key: Option<usize>,
    data: &'a [u8],
}

impl<'a> Aggregate<'a> {
    /// The records in their order, each as partition key, explicit hash key and data. A record's index is its
    /// sub-sequence number.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (&'a str, Option<&'a str>, &'a [u8])> + '_ {
        self.records.iter().map(|raw| self.resolve(*raw))
    }

    /// How many records there are: at least one.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    fn resolve(&self, raw: Raw<'a>) -> (&'a str, Option<&'a str>, &'a [u8]) {
        let explicit_hash_key = raw.explicit_hash_key.map(|index| self.explicit_hash_keys[index]);
        (self.partition_keys[raw.partition_key], explicit_hash_key, raw.data)
    }
}

impl<'a> IntoIterator for Aggregate<'a> {
    type Item = (&'a str, Option<&'a str>, &'a [u8]);
    type IntoIter = IntoRecords<'a>;

    fn into_iter(self) -> Self::IntoIter {
        IntoRecords { aggregate: self, next: 0 }
    }
}

/// The records of an [`Aggregate`] that is not needed any more.
#[derive(Clone, Debug)]
pub struct IntoRecords<'a> {
    aggregate: Aggregate<'a>,
    next: usize,
}

impl<'a> Iterator for IntoRecords<'a> {
    type Item = (&'a str, Option<&'a str>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let raw = *self.aggregate.records.get(self.next)?;
        self.next += 1;
        Some(self.aggregate.resolve(raw))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.aggregate.records.len() - self.next;
        (left, Some(left))
    }
}

/// Reads `data` as an aggregate; `None`: it is a plain record.
///
/// An aggregate without records counts as plain, or it would vanish without a trace. So does one whose keys are not
/// UTF-8 or longer than [`KEY_CHARS_MAX`], since Kinesis has no such keys.
pub fn decode(data: &[u8]) -> Option<Aggregate<'_>> {
    let (message, digest) = data.strip_prefix(&MAGIC)?.split_last_chunk::<DIGEST_LEN>()?;
    // The cheap check comes first.
    let aggregate = aggregate(message).ok()?;
    let whole = !aggregate.records.is_empty() && Md5::digest(message).as_slice() == digest;
    whole.then_some(aggregate)
}

/// A known field of another wire type counts as unknown, and of a field that may occur once the last occurrence
/// counts: the rules of protocol buffers.
fn aggregate(message: &[u8]) -> Result<Aggregate<'_>, Malformed> {
    let mut aggregate = Aggregate { partition_keys: Vec::new(), explicit_hash_keys: Vec::new(), records: Vec::new() };
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (PARTITION_KEY_TABLE, Value::Bytes(key)) => aggregate.partition_keys.push(partition_key(key)?),
            (EXPLICIT_HASH_KEY_TABLE, Value::Bytes(key)) => aggregate.explicit_hash_keys.push(text(key)?),
            (RECORDS, Value::Bytes(bytes)) => aggregate.records.push(record(bytes)?),
            _ => {}
        }
    }
    // The tables may stand behind the records: only now are they known.
    let within = |raw: &Raw<'_>| {
        raw.partition_key < aggregate.partition_keys.len()
            && raw.explicit_hash_key.is_none_or(|index| index < aggregate.explicit_hash_keys.len())
    };
    if aggregate.records.iter().all(within) { Ok(aggregate) } else { Err(Malformed) }
}

fn record(bytes: &[u8]) -> Result<Raw<'_>, Malformed> {
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
            (TAGS, Value::Bytes(bytes)) => tag(bytes)?,
            _ => {}
        }
    }
    Ok(Raw { partition_key: partition_key.ok_or(Malformed)?, explicit_hash_key, data: data.ok_or(Malformed)? })
}

fn tag(bytes: &[u8]) -> Result<(), Malformed> {
    let mut key = None;
    let mut fields = Fields::of(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (TAG_KEY, Value::Bytes(bytes)) => key = Some(text(bytes)?),
            (TAG_VALUE, Value::Bytes(bytes)) => {
                text(bytes)?;
            }
            _ => {}
        }
    }
    key.map(|_| ()).ok_or(Malformed)
}

fn partition_key(bytes: &[u8]) -> Result<&str, Malformed> {
    let key = text(bytes)?;
    if key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX { Err(Malformed) } else { Ok(key) }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
