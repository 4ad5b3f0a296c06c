//! Reads fields of packed bytes: numbers of one to eight bytes, bit fields, floats and texts.

mod number;

pub(super) use number::times_ten_to;

use super::document::{BinaryDocument, BitsDocument, Endian};
use super::value::{Fault, Raw};
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;
use std::fmt;

/// The greatest offset at which a field may end: the greatest length of a payload.
const MAX_END: usize = crate::ingest::message::MAX_PAYLOAD;
/// The longest text, in bytes.
const MAX_TEXT: usize = 256;

/// A checked field in the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BinaryField {
    offset: usize,
    width: usize,
    kind: Kind,
    endian: Endian,
    absent: Option<i64>,
    /// The factor, and the number that is added after it; `None` if the raw number is the value.
    scaling: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Bits {
        from: u32,
        count: u32,
        signed: bool,
    },
    Float,
    /// A number of IEEE 11073: 2 bytes with a mantissa of 12 bits, or 4 with one of 24.
    Medical,
    /// Two decimal digits a byte.
    Decimal,
    Text,
}

/// The types, for people.
const TYPES: &str = "u8 to u64, i8 to i64, f16, f32, f64, sfloat, float, bcd8 to bcd64 and text";

impl BinaryField {
    /// Compiles a field. Reports each problem with its key.
    pub(super) fn compile(
        document: &BinaryDocument,
        endian: Endian,
        mut problem: impl FnMut(&str, String),
    ) -> Option<Self> {
        let mut is_valid = true;
        let mut problem = |key: &str, words: String| {
            is_valid = false;
            problem(key, words);
        };
        let (mut kind, width) = match number_type(&document.kind) {
            Some(found) => found,
            None if document.kind == "text" => (Kind::Text, document.length.unwrap_or(0)),
            None => {
                let kind = &document.kind;
                problem("type", format!("`{kind}` is not one of {TYPES}"));
                return None;
            }
        };
        match (kind, document.length) {
            (Kind::Text, Some(1..=MAX_TEXT))
            | (Kind::Unsigned | Kind::Signed | Kind::Float | Kind::Medical | Kind::Decimal | Kind::Bits { .. }, None) =>
                {}
            (Kind::Text, _) => problem("length", format!("must be given for a text, from 1 to {MAX_TEXT} bytes")),
            (_, Some(_)) => problem("length", "is only allowed for a text".to_owned()),
        }
        if document.offset.checked_add(width).is_none_or(|end| end > MAX_END) {
            problem("offset", format!("the field must end within {MAX_END} bytes, the greatest length of a payload"));
        }
        if let Some(bits) = document.bits {
            let available = width as u32 * 8;
            if kind != Kind::Unsigned {
                problem("bits", "is only allowed for an unsigned type, u8 to u64".to_owned());
            } else if bits.count == 0 || bits.from.checked_add(bits.count).is_none_or(|end| end > available) {
                let BitsDocument { from, count, .. } = bits;
                problem("bits", format!("the type has {available} bits, not {count} from bit {from} on"));
            }
            kind = Kind::Bits { from: bits.from, count: bits.count, signed: bits.signed };
        }
        if kind == Kind::Text && (document.scale.is_some() || document.add.is_some() || document.absent.is_some()) {
            problem("type", "scale, add and absent are not allowed for a text".to_owned());
        }
        if matches!(kind, Kind::Float | Kind::Medical) && document.absent.is_some() {
            problem("absent", "is not allowed for a float: give the field `absent`, or the metric a range".to_owned());
        }
        let endian = document.endian.unwrap_or(endian);
        if matches!(endian, Endian::Cdab | Endian::Badc) && kind != Kind::Text && width % 2 == 1 {
            problem("endian", "the words of a field with an odd number of bytes cannot be swapped".to_owned());
        }
        let scaling = (document.scale.unwrap_or(1.0), document.add.unwrap_or(0.0));
        if !scaling.0.is_finite() || scaling.0 == 0.0 {
            problem("scale", "must be a number other than 0".to_owned());
        }
        is_valid.then_some(Self {
            offset: document.offset,
            width,
            kind,
            endian,
            absent: document.absent,
            scaling: (scaling != (1.0, 0.0)).then_some(scaling),
        })
    }

    /// The offset of the byte after the field, from the beginning of the payload or the record.
    pub(super) const fn end(&self) -> usize {
        self.offset + self.width
    }

    /// How many different numbers the field can have, as a power of two; `None` if it is not a whole number.
    pub(super) const fn bits(&self) -> Option<u32> {
        match self.kind {
            Kind::Bits { count, .. } => Some(count),
            Kind::Unsigned | Kind::Signed | Kind::Decimal => Some(self.width as u32 * 8),
            Kind::Float | Kind::Medical | Kind::Text => None,
        }
    }

    /// Whether the field is a text.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    /// Whether the field is a whole number without scaling.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Unsigned | Kind::Signed | Kind::Decimal | Kind::Bits { .. }) && self.scaling.is_none()
    }

    /// Reads the field from the bytes of a payload or a record.
    pub(super) fn read<'a>(&self, bytes: &'a [u8]) -> Result<Raw<'a>, Fault> {
        let field = bytes.get(self.offset..self.end()).ok_or_else(|| {
            let (from, to, length) = (self.offset, self.end(), bytes.len());
            Fault::new(Reason::Undecodable, format!("it needs bytes {from} to {to}, and only {length} bytes are there"))
        })?;
        let number = match self.kind {
            Kind::Text => {
                let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
                let text = std::str::from_utf8(&field[..end])
                    .map_err(|_| Fault::new(Reason::Undecodable, "it is not UTF-8".to_owned()))?;
                return Ok(if text.is_empty() { Raw::Absent } else { Raw::Text(Cow::Borrowed(text)) });
            }
            Kind::Float => {
                let bits = self.unsigned(field);
                let float = match self.width {
                    2 => number::half(bits as u16),
                    4 => f64::from(f32::from_bits(bits as u32)),
                    _ => f64::from_bits(bits),
                };
                return Ok(Raw::Number(self.scaled(float)));
            }
            Kind::Medical => {
                let mantissa_bits = if self.width == 2 { 12 } else { 24 };
                let number = number::medical(self.unsigned(field) as u32, mantissa_bits);
                return Ok(number.map_or(Raw::Absent, |number| Raw::Number(self.scaled(number))));
            }
            Kind::Decimal => number::decimal(self.unsigned(field), self.width)
                .ok_or_else(|| Fault::new(Reason::Undecodable, "a half of a byte is not a decimal digit".to_owned()))?,
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
        Ok(if self.scaling.is_some() { Raw::Number(self.scaled(number as f64)) } else { Raw::Integer(number) })
    }

    fn unsigned(&self, field: &[u8]) -> u64 {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.endian {
            Endian::Big => field.iter().fold(0, push),
            Endian::Little => field.iter().rev().fold(0, push),
            Endian::Cdab => field.rchunks(2).flatten().fold(0, push),
            Endian::Badc => field.chunks(2).flat_map(|word| word.iter().rev()).fold(0, push),
        }
    }

    fn scaled(&self, number: f64) -> f64 {
        self.scaling.map_or(number, |(factor, summand)| number * factor + summand)
    }
}

impl fmt::Display for BinaryField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {} to {}", self.offset, self.end() - 1)
    }
}

fn number_type(name: &str) -> Option<(Kind, usize)> {
    match name {
        "sfloat" => return Some((Kind::Medical, 2)),
        "float" => return Some((Kind::Medical, 4)),
        _ => {}
    }
    if let Some(bits) = name.strip_prefix("bcd") {
        return Some((Kind::Decimal, whole_bytes(bits)?));
    }
    let (kind, bits) = match (name.get(..1)?, name.get(1..)?) {
        ("u", bits) => (Kind::Unsigned, bits),
        ("i", bits) => (Kind::Signed, bits),
        ("f", bits @ ("16" | "32" | "64")) => (Kind::Float, bits),
        _ => return None,
    };
    whole_bytes(bits).map(|width| (kind, width))
}

/// How many bytes so many bits are: 8 to 64 in steps of 8.
fn whole_bytes(bits: &str) -> Option<usize> {
    ["8", "16", "24", "32", "40", "48", "56", "64"].iter().position(|width| *width == bits).map(|at| at + 1)
}

/// Reads the lowest `bits` bits of a number as two's complement.
const fn sign_extended(number: u64, bits: u32) -> i64 {
    ((number << (64 - bits)) as i64) >> (64 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(kind: &str) -> BinaryDocument {
        serde_json::from_value(serde_json::json!({"offset": 0, "type": kind})).unwrap()
    }

    fn compile(document: &BinaryDocument) -> BinaryField {
        BinaryField::compile(document, Endian::Big, |key, words| panic!("{key}: {words}")).unwrap()
    }

    fn problems(document: &BinaryDocument) -> Vec<String> {
        let mut problems = Vec::new();
        let field = BinaryField::compile(document, Endian::Big, |key, words| problems.push(format!("{key}: {words}")));
        assert_eq!(field.is_none(), !problems.is_empty());
        problems
    }

    /// The lowest `width` bytes of a number, as a device packs them.
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
        fn a_packed_number_is_read_from_any_offset(
            number: u64, width in 1..=8_usize, offset in 0..5_usize, signed: bool, endian in either(),
        ) {
            let bits = width as u32 * 8;
            let number = number >> (64 - bits);
            let number = if signed { i128::from(sign_extended(number, bits)) } else { i128::from(number) };
            let mut field = document(&format!("{}{bits}", if signed { 'i' } else { 'u' }));
            (field.offset, field.endian) = (offset, Some(endian));
            let mut bytes = vec![0xa5; offset];
            bytes.extend(packed(number, width, endian));
            prop_assert_eq!(compile(&field).read(&bytes), Ok(Raw::Integer(number)));
            // With one byte less, the field is cut.
            bytes.pop();
            prop_assert_eq!(compile(&field).read(&bytes).unwrap_err().reason, Reason::Undecodable);
        }

        #[test]
        fn bits_are_read_whatever_the_other_bits_are(word: u64, from in 0..64_u32, count in 1..=64_u32, signed: bool) {
            prop_assume!(from + count <= 64);
            let mut field = document("u64");
            field.bits = Some(BitsDocument { from, count, signed });
            // The reference adds one bit after another.
            let mut expected = (0..count).map(|bit| i128::from(word >> (from + bit) & 1) << bit).sum::<i128>();
            if signed && word >> (from + count - 1) & 1 == 1 {
                expected -= 1 << count;
            }
            let bytes = word.to_be_bytes();
            prop_assert_eq!(compile(&field).read(&bytes), Ok(Raw::Integer(expected)));
        }

        #[test]
        fn floats_are_read_in_both_byte_orders(number: f32, wide: f64, endian in either()) {
            prop_assume!(!number.is_nan() && !wide.is_nan());
            let read = |kind: &str, bytes: Vec<u8>| {
                let mut field = document(kind);
                field.endian = Some(endian);
                compile(&field).read(&bytes).map(|raw| format!("{raw:?}"))
            };
            let narrow = packed(i128::from(number.to_bits()), 4, endian);
            prop_assert_eq!(read("f32", narrow), Ok(format!("{:?}", Raw::Number(f64::from(number)))));
            let bytes = packed(i128::from(wide.to_bits()), 8, endian);
            prop_assert_eq!(read("f64", bytes), Ok(format!("{:?}", Raw::Number(wide))));
        }
    }

    #[test]
    fn swapped_words_and_swapped_bytes_are_put_in_order() {
        let read = |kind: &str, endian, bytes: &[u8]| {
            compile(&BinaryDocument { endian: Some(endian), ..document(kind) })
                .read(bytes)
                .map(|raw| format!("{raw:?}"))
        };
        // 21.5 is 41 ac 00 00.
        assert_eq!(read("f32", Endian::Cdab, &[0, 0, 0x41, 0xac]), Ok("Number(21.5)".to_owned()));
        assert_eq!(read("f32", Endian::Badc, &[0xac, 0x41, 0, 0]), Ok("Number(21.5)".to_owned()));
        assert_eq!(
            read("u64", Endian::Cdab, &[7, 8, 5, 6, 3, 4, 1, 2]),
            read("u64", Endian::Big, &[1, 2, 3, 4, 5, 6, 7, 8])
        );
    }

    #[test]
    fn medical_and_decimal_numbers_and_half_floats_are_types() {
        let read = |kind: &str, bytes: &'static [u8]| {
            compile(&BinaryDocument { endian: Some(Endian::Little), ..document(kind) }).read(bytes)
        };
        assert_eq!(read("float", &[0x6c, 0x01, 0, 0xff]), Ok(Raw::Number(36.4)));
        assert_eq!(read("sfloat", &[0xff, 0x07]), Ok(Raw::Absent));
        assert_eq!(read("f16", &[0, 0x3c]), Ok(Raw::Number(1.0)));
        assert_eq!(read("bcd16", &[0x34, 0x12]), Ok(Raw::Integer(1_234)));
        assert_eq!(read("bcd8", &[0x3f]).unwrap_err().detail, "a half of a byte is not a decimal digit");
    }

    #[test]
    fn scale_and_add_apply_after_the_check_for_the_absent_value() {
        let field = BinaryDocument { scale: Some(0.5), add: Some(-40.0), absent: Some(255), ..document("u8") };
        assert_eq!(compile(&field).read(&[100]), Ok(Raw::Number(10.0)));
        assert_eq!(compile(&field).read(&[255]), Ok(Raw::Absent));
    }

    #[test]
    fn a_text_ends_at_its_first_nul_and_must_be_utf_8() {
        let field = compile(&BinaryDocument { length: Some(6), ..document("text") });
        assert_eq!(field.read(b"bed\0xx"), Ok(Raw::Text("bed".into())));
        assert_eq!(field.read(b"\0edxxx"), Ok(Raw::Absent));
        assert_eq!(field.read(b"\xffedxxx").unwrap_err().detail, "it is not UTF-8");
    }

    #[test]
    fn the_problems_of_a_field_are_reported_by_key() {
        assert_eq!(problems(&document("u12")), [format!("type: `u12` is not one of {TYPES}")]);
        assert_eq!(problems(&document("bcd")), [format!("type: `bcd` is not one of {TYPES}")]);
        let odd = BinaryDocument { endian: Some(Endian::Cdab), ..document("u24") };
        assert_eq!(problems(&odd), ["endian: the words of a field with an odd number of bytes cannot be swapped"]);
        assert_eq!(problems(&document("text")), ["length: must be given for a text, from 1 to 256 bytes"]);
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
                "length: is only allowed for a text",
                "offset: the field must end within 1048576 bytes, the greatest length of a payload",
                "bits: the type has 8 bits, not 3 from bit 6 on",
                "scale: must be a number other than 0",
            ]
        );
        let signed = BinaryDocument { bits: Some(BitsDocument { from: 0, count: 1, signed: true }), ..document("i8") };
        assert_eq!(problems(&signed), ["bits: is only allowed for an unsigned type, u8 to u64"]);
        assert_eq!(problems(&BinaryDocument { absent: Some(0), ..document("f32") }).len(), 1);
    }
}
