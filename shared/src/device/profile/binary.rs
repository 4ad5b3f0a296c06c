//! Packed bytes: numbers of any whole number of bytes up to eight, bit fields, floats and texts.

use super::document::{BinaryDocument, Endian};
use super::value::{Fault, Raw};
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;

/// The furthest that a field may reach: a payload is no longer.
const MAX_END: usize = crate::ingest::message::MAX_PAYLOAD;
/// The longest text, in bytes.
const MAX_TEXT: usize = 256;

/// One place in the bytes, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    offset: usize,
    width: usize,
    kind: Kind,
    endian: Endian,
    absent: Option<i64>,
    /// Factor and summand, if the raw number is not the value.
    line: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Bits { from: u32, count: u32, signed: bool },
    Float,
    Text,
}

impl Place {
    /// Checks a place; each problem is told with the key that it belongs to.
    pub(super) fn compile(
        document: &BinaryDocument,
        endian: Endian,
        mut problem: impl FnMut(&str, String),
    ) -> Option<Self> {
        let mut sound = true;
        let mut problem = |key: &str, words: String| {
            sound = false;
            problem(key, words);
        };
        let (mut kind, width) = match number_type(&document.kind) {
            Some(found) => found,
            None if document.kind == "text" => (Kind::Text, document.length.unwrap_or(0)),
            None => {
                problem("type", format!("`{}` is none of u8 to u64, i8 to i64, f32, f64 and text", document.kind));
                return None;
            }
        };
        match (kind, document.length) {
            (Kind::Text, Some(1..=MAX_TEXT))
            | (Kind::Unsigned | Kind::Signed | Kind::Float | Kind::Bits { .. }, None) => {}
            (Kind::Text, _) => problem("length", format!("a text needs a length from 1 to {MAX_TEXT} bytes")),
            (_, Some(_)) => problem("length", "only a text has one".to_owned()),
        }
        if document.offset.checked_add(width).is_none_or(|end| end > MAX_END) {
            problem("offset", format!("the field ends behind byte {MAX_END}, and no payload is as long"));
        }
        if let Some(bits) = document.bits {
            let available = width as u32 * 8;
            if kind != Kind::Unsigned {
                problem("bits", "bits are those of an unsigned type".to_owned());
            } else if bits.count == 0 || bits.from.checked_add(bits.count).is_none_or(|end| end > available) {
                problem("bits", format!("{} bits from bit {} are not within {available} bits", bits.count, bits.from));
            }
            kind = Kind::Bits { from: bits.from, count: bits.count, signed: bits.signed };
        }
        if kind == Kind::Text && (document.scale.is_some() || document.add.is_some() || document.absent.is_some()) {
            problem("type", "a text has no scale, add or absent".to_owned());
        }
        if kind == Kind::Float && document.absent.is_some() {
            problem("absent", "a float says so with NaN, or has a range".to_owned());
        }
        let line = (document.scale.unwrap_or(1.0), document.add.unwrap_or(0.0));
        if !line.0.is_finite() || line.0 == 0.0 {
            problem("scale", "it must be a number other than 0".to_owned());
        }
        sound.then_some(Self {
            offset: document.offset,
            width,
            kind,
            endian: document.endian.unwrap_or(endian),
            absent: document.absent,
            line: (line != (1.0, 0.0)).then_some(line),
        })
    }

    /// Where it ends, in bytes from the beginning of its record.
    pub(super) const fn end(&self) -> usize {
        self.offset + self.width
    }

    /// Whether it can be a text.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    /// Whether it is a whole number, unscaled.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Unsigned | Kind::Signed | Kind::Bits { .. }) && self.line.is_none()
    }

    /// Reads it.
    pub(super) fn read<'a>(&self, bytes: &'a [u8]) -> Result<Raw<'a>, Fault> {
        let field = bytes.get(self.offset..self.end()).ok_or_else(|| {
            let (from, to, length) = (self.offset, self.end(), bytes.len());
            Fault::new(Reason::Undecodable, format!("it stands in bytes {from} to {to}, and there are {length}"))
        })?;
        let number = match self.kind {
            Kind::Text => {
                let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
                let text = std::str::from_utf8(&field[..end])
                    .map_err(|_| Fault::new(Reason::Undecodable, "it is no UTF-8".to_owned()))?;
                return Ok(if text.is_empty() { Raw::Absent } else { Raw::Text(Cow::Borrowed(text)) });
            }
            Kind::Float => {
                let bits = self.unsigned(field);
                let float = if self.width == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) };
                return Ok(Raw::Number(self.scaled(float)));
            }
            Kind::Unsigned => i128::from(self.unsigned(field)),
            Kind::Signed => i128::from(sign_extended(self.unsigned(field), self.width as u32 * 8)),
            Kind::Bits { from, count, signed } => {
                let bits = (self.unsigned(field) >> from) & (u64::MAX >> (64 - count));
                if signed { i128::from(sign_extended(bits, count)) } else { i128::from(bits) }
            }
        };
        if self.absent.is_some_and(|absent| number == i128::from(absent)) {
            return Ok(Raw::Absent);
        }
        Ok(if self.line.is_some() { Raw::Number(self.scaled(number as f64)) } else { Raw::Integer(number) })
    }

    fn unsigned(&self, field: &[u8]) -> u64 {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.endian {
            Endian::Big => field.iter().fold(0, push),
            Endian::Little => field.iter().rev().fold(0, push),
        }
    }

    fn scaled(&self, number: f64) -> f64 {
        self.line.map_or(number, |(factor, summand)| number * factor + summand)
    }
}

fn number_type(name: &str) -> Option<(Kind, usize)> {
    let (kind, bits) = match (name.get(..1)?, name.get(1..)?) {
        ("u", bits) => (Kind::Unsigned, bits),
        ("i", bits) => (Kind::Signed, bits),
        ("f", bits @ ("32" | "64")) => (Kind::Float, bits),
        _ => return None,
    };
    ["8", "16", "24", "32", "40", "48", "56", "64"].iter().position(|width| *width == bits).map(|at| (kind, at + 1))
}

/// A number of `bits` bits in two's complement.
const fn sign_extended(number: u64, bits: u32) -> i64 {
    ((number << (64 - bits)) as i64) >> (64 - bits)
}

#[cfg(test)]
mod tests {
    use super::super::document::BitsDocument;
    use super::*;
    use proptest::prelude::*;

    fn document(kind: &str) -> BinaryDocument {
        serde_json::from_value(serde_json::json!({"offset": 0, "type": kind})).unwrap()
    }

    fn compile(document: &BinaryDocument) -> Place {
        Place::compile(document, Endian::Big, |key, words| panic!("{key}: {words}")).unwrap()
    }

    fn problems(document: &BinaryDocument) -> Vec<String> {
        let mut problems = Vec::new();
        let place = Place::compile(document, Endian::Big, |key, words| problems.push(format!("{key}: {words}")));
        assert_eq!(place.is_none(), !problems.is_empty());
        problems
    }

    /// The low `width` bytes of a number, as a device would pack them.
    fn packed(number: i128, width: usize, endian: Endian) -> Vec<u8> {
        let mut bytes = number.to_le_bytes()[..width].to_vec();
        if endian == Endian::Big {
            bytes.reverse();
        }
        bytes
    }

    fn either() -> impl Strategy<Value = Endian> {
        prop_oneof![Just(Endian::Big), Just(Endian::Little)]
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read(number: u64, width in 1..=8_usize, offset in 0..5_usize, signed: bool, endian in either()) {
            let bits = width as u32 * 8;
            let number = number >> (64 - bits);
            let number = if signed { i128::from(sign_extended(number, bits)) } else { i128::from(number) };
            let mut place = document(&format!("{}{bits}", if signed { 'i' } else { 'u' }));
            (place.offset, place.endian) = (offset, Some(endian));
            let mut bytes = vec![0xa5; offset];
            bytes.extend(packed(number, width, endian));
            prop_assert_eq!(compile(&place).read(&bytes), Ok(Raw::Integer(number)));
            // One byte less, and it is not there.
            bytes.pop();
            prop_assert_eq!(compile(&place).read(&bytes).unwrap_err().reason, Reason::Undecodable);
        }

        #[test]
        fn bits_are_read_whatever_stands_around_them(word: u64, from in 0..64_u32, count in 1..=64_u32, signed: bool) {
            prop_assume!(from + count <= 64);
            let mut place = document("u64");
            place.bits = Some(BitsDocument { from, count, signed });
            // The reference: one bit after another.
            let mut expected = (0..count).map(|bit| i128::from(word >> (from + bit) & 1) << bit).sum::<i128>();
            if signed && word >> (from + count - 1) & 1 == 1 {
                expected -= 1 << count;
            }
            let bytes = word.to_be_bytes();
            prop_assert_eq!(compile(&place).read(&bytes), Ok(Raw::Integer(expected)));
        }

        #[test]
        fn floats_are_read(number: f32, wide: f64, endian in either()) {
            prop_assume!(!number.is_nan() && !wide.is_nan());
            let read = |kind: &str, bytes: Vec<u8>| {
                let mut place = document(kind);
                place.endian = Some(endian);
                compile(&place).read(&bytes).map(|raw| format!("{raw:?}"))
            };
            let narrow = packed(i128::from(number.to_bits()), 4, endian);
            prop_assert_eq!(read("f32", narrow), Ok(format!("{:?}", Raw::Number(f64::from(number)))));
            let bytes = packed(i128::from(wide.to_bits()), 8, endian);
            prop_assert_eq!(read("f64", bytes), Ok(format!("{:?}", Raw::Number(wide))));
        }
    }

    #[test]
    fn scale_and_add_follow_the_check_for_no_value() {
        let place = BinaryDocument { scale: Some(0.5), add: Some(-40.0), absent: Some(255), ..document("u8") };
        assert_eq!(compile(&place).read(&[100]), Ok(Raw::Number(10.0)));
        assert_eq!(compile(&place).read(&[255]), Ok(Raw::Absent));
    }

    #[test]
    fn a_text_ends_at_its_first_nul_and_must_be_utf_8() {
        let place = compile(&BinaryDocument { length: Some(6), ..document("text") });
        assert_eq!(place.read(b"bed\0xx"), Ok(Raw::Text("bed".into())));
        assert_eq!(place.read(b"\0edxxx"), Ok(Raw::Absent));
        assert_eq!(place.read(b"\xffedxxx").unwrap_err().detail, "it is no UTF-8");
    }

    #[test]
    fn a_place_that_contradicts_itself_is_told_key_by_key() {
        assert_eq!(problems(&document("u12")), ["type: `u12` is none of u8 to u64, i8 to i64, f32, f64 and text"]);
        assert_eq!(problems(&document("text")), ["length: a text needs a length from 1 to 256 bytes"]);
        let wrong = BinaryDocument {
            offset: usize::MAX,
            length: Some(3),
            bits: Some(BitsDocument { from: 6, count: 3, signed: false }),
            scale: Some(0.0),
            ..document("u8")
        };
        assert_eq!(
            problems(&wrong),
            [
                "length: only a text has one",
                "offset: the field ends behind byte 1048576, and no payload is as long",
                "bits: 3 bits from bit 6 are not within 8 bits",
                "scale: it must be a number other than 0",
            ]
        );
        let signed = BinaryDocument { bits: Some(BitsDocument { from: 0, count: 1, signed: true }), ..document("i8") };
        assert_eq!(problems(&signed), ["bits: bits are those of an unsigned type"]);
        assert_eq!(problems(&BinaryDocument { absent: Some(0), ..document("f32") }).len(), 1);
    }
}
