//! The part of the protocol buffers' wire format that aggregates need.

/// How deep unknown groups may nest: the limit of protocol buffers' own readers.
const GROUP_DEPTH_MAX: u32 = 100;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// A value of a wire type that aggregates do not use. It was skipped.
    Other,
}

/// Reads the fields of one message in their order.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field's number and value; `Ok(None)` at the end, `Err` if the bytes are not a message.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            other => {
                self.skip(number, other, GROUP_DEPTH_MAX)?;
                Value::Other
            }
        };
        Ok(Some((number, value)))
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        if tag >> 3 == 0 {
            return Err(Malformed);
        }
        Ok((tag >> 3, (tag & 7) as u8))
    }

    fn skip(&mut self, number: u32, wire_type: u8, depth: u32) -> Result<(), Malformed> {
        match wire_type {
            0 => self.varint().map(|_| ()),
            1 => self.take(8).map(|_| ()),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                self.take(length).map(|_| ())
            }
            3 => loop {
                let (inner, inner_type) = self.tag()?;
                if inner_type == 4 {
                    return if inner == number { Ok(()) } else { Err(Malformed) };
                }
                self.skip(inner, inner_type, depth.checked_sub(1).ok_or(Malformed)?)?;
            },
            5 => self.take(4).map(|_| ()),
            _ => Err(Malformed),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (index, &byte) in self.0.iter().take(10).enumerate() {
            // The tenth byte has room for one bit of the 64.
            if index == 9 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

/// The bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The size of `value` as a varint, in bytes.
pub(super) const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends `value` as a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The size in bytes of a field of wire type 2 whose content has `length` bytes. The field's number is below 16.
pub(super) const fn bytes_field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Appends the tag and the length of a field of wire type 2.
pub(super) fn put_bytes_header(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_reads_back_and_its_length_is_known(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(Fields::of(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_or_without_an_end_is_malformed() {
        let mut largest = vec![0xFF; 9];
        largest.push(1);
        assert_eq!(Fields::of(&largest).varint(), Ok(u64::MAX));
        largest[9] = 2;
        assert_eq!(Fields::of(&largest).varint(), Err(Malformed));
        assert_eq!(Fields::of(&[0x80; 11]).varint(), Err(Malformed));
        assert_eq!(Fields::of(&[0x80]).varint(), Err(Malformed));
    }

    #[test]
    fn unknown_fields_of_every_wire_type_are_skipped() {
        let message = [
            &[9 << 3, 0x96, 0x01][..],
            &[9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
            &[9 << 3 | 3, 8 << 3, 5, 8 << 3 | 3, 8 << 3 | 4, 9 << 3 | 4],
            &[9 << 3 | 5, 1, 2, 3, 4],
            &[1 << 3, 7],
        ]
        .concat();
        let mut fields = Fields::of(&message);
        assert_eq!(fields.next(), Ok(Some((9, Value::Varint(150)))));
        for _ in 0..3 {
            assert_eq!(fields.next(), Ok(Some((9, Value::Other))));
        }
        assert_eq!(fields.next(), Ok(Some((1, Value::Varint(7)))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn a_group_that_does_not_end_or_ends_as_another_or_nests_too_deep_is_malformed() {
        assert_eq!(Fields::of(&[9 << 3 | 3]).next(), Err(Malformed));
        assert_eq!(Fields::of(&[9 << 3 | 3, 8 << 3 | 4]).next(), Err(Malformed));
        assert_eq!(Fields::of(&[9 << 3 | 4]).next(), Err(Malformed));
        assert_eq!(Fields::of(&vec![9 << 3 | 3; 100_000]).next(), Err(Malformed));
    }
}
