//! A small reader of KPL aggregates, apart from the library's: for checking, not for speed.

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// Field numbers of the published format.
const RECORDS: u64 = 3;
const DATA: u64 = 3;

/// The user records of an aggregate; `None` if the bytes are none.
pub fn split(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let body = data.strip_prefix(&MAGIC)?;
    let (body, digest) = body.split_at_checked(body.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(body).as_slice() != digest {
        return None;
    }
    let records = fields(body)?.into_iter().filter(|(number, _)| *number == RECORDS);
    records
        .map(|(_, record)| Some(fields(record)?.into_iter().find(|(number, _)| *number == DATA)?.1.to_vec()))
        .collect()
}

/// The length-delimited fields of a protobuf message; numbers are passed over.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                fields.push((tag >> 3, field));
                bytes = rest;
            }
            _ => return None,
        }
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
    fn an_aggregate_is_taken_apart_in_order() {
        assert_eq!(split(&two()), Some(vec![b"a".to_vec(), b"bc".to_vec()]));
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
