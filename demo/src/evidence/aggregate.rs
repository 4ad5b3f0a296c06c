//! Reads KPL aggregates. It is independent of the library's reader, which it helps to check; it need not be fast.

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// Field numbers of the published format.
const KEYS: u64 = 1;
const RECORDS: u64 = 3;
const KEY_INDEX: u64 = 1;
const DATA: u64 = 3;

/// The value of a field.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The user records of an aggregate, each with its partition key; `None` if the bytes are not an aggregate.
pub fn split(data: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let body = data.strip_prefix(&MAGIC)?;
    let (body, digest) = body.split_at_checked(body.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(body).as_slice() != digest {
        return None;
    }
    let fields = fields(body)?;
    let keys =
        fields.iter().filter_map(|field| bytes(field, KEYS)).map(|key| String::from_utf8_lossy(key).into_owned());
    let keys = keys.collect::<Vec<_>>();
    let records = fields.iter().filter_map(|field| bytes(field, RECORDS));
    records.map(|record| user_record(record, &keys)).collect()
}

fn user_record(record: &[u8], keys: &[String]) -> Option<(String, Vec<u8>)> {
    let fields = fields(record)?;
    let data = fields.iter().find_map(|field| bytes(field, DATA))?;
    let index = fields.iter().find_map(|field| match field {
        (KEY_INDEX, Field::Number(index)) => usize::try_from(*index).ok(),
        _ => None,
    });
    Some((keys.get(index?)?.clone(), data.to_vec()))
}

/// A field's bytes, if the field has this number.
fn bytes<'a>(field: &(u64, Field<'a>), number: u64) -> Option<&'a [u8]> {
    match field {
        (found, Field::Bytes(bytes)) if *found == number => Some(bytes),
        _ => None,
    }
}

/// The fields of a protobuf message.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(field)
            }
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records, "a" and "bc", written by hand from the published format.
    fn two() -> Vec<u8> {
        let body = [
            0x0a, 1, b'k', // partition key table
            0x1a, 5, 0x08, 0, 0x1a, 1, b'a', // a record: key 0, data
            0x1a, 6, 0x08, 0, 0x1a, 2, b'b', b'c',
        ];
        [&MAGIC[..], &body, Md5::digest(body).as_slice()].concat()
    }

    #[test]
    fn an_aggregate_is_split_in_order() {
        assert_eq!(split(&two()), Some(vec![("k".to_owned(), b"a".to_vec()), ("k".to_owned(), b"bc".to_vec())]));
    }

    #[test]
    fn an_aggregate_that_is_cut_or_changed_is_a_plain_record() {
        let whole = two();
        assert_eq!(split(&whole[..whole.len() - 1]), None);
        let mut changed = whole.clone();
        changed[9] ^= 1;
        assert_eq!(split(&changed), None);
        assert_eq!(split(b"plain"), None);
        assert_eq!(split(&MAGIC), None);
    }
}
