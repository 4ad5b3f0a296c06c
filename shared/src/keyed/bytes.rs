//! How the parts of a state are written and read: numbers, positions, and nothing that is half-right.

use crate::stream::batch::{Position, SequenceNumber};

/// Bytes of a position: 56 digits, two to a byte, and the sub-sequence number.
pub(super) const POSITION_BYTES: usize = 28 + 4;

/// Bytes that are not a state, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored state cannot be read: {0}")]
pub struct CorruptedState(pub &'static str);

/// Appends a number in as few bytes as it needs (LEB128).
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the length of a text in bytes, and the text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// Appends whether there is a value, and the value as `put` does.
pub fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

/// Appends a position.
pub(super) fn put_position(out: &mut Vec<u8>, position: Position) {
    let digits = position.sequence.fixed_width().as_bytes();
    out.extend(digits.chunks_exact(2).map(|pair| ((pair[0] - b'0') << 4) | (pair[1] - b'0')));
    out.extend(position.sub.to_le_bytes());
}

/// Reads the body of a state from its beginning.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes were read.
    pub const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], CorruptedState> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(CorruptedState("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes, as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptedState> {
        self.take(N)?.try_into().map_err(|_| CorruptedState("it ends too early"))
    }

    /// Eight bytes, as an unsigned number.
    pub fn u64(&mut self) -> Result<u64, CorruptedState> {
        self.array().map(u64::from_le_bytes)
    }

    /// Eight bytes, as a signed number.
    pub fn i64(&mut self) -> Result<i64, CorruptedState> {
        self.array().map(i64::from_le_bytes)
    }

    /// Eight bytes, as a number that is finite.
    pub fn f64(&mut self) -> Result<f64, CorruptedState> {
        let value = f64::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(CorruptedState("a value is not finite")) }
    }

    /// What [`put_text`] appended.
    pub fn text(&mut self) -> Result<&'a str, CorruptedState> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CorruptedState("a text is not UTF-8"))
    }

    /// One byte, 0 or 1.
    pub fn flag(&mut self) -> Result<bool, CorruptedState> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CorruptedState("a flag is neither 0 nor 1")),
        }
    }

    /// What [`put_option`] appended, where `read` reads the value.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CorruptedState>,
    ) -> Result<Option<T>, CorruptedState> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// What [`put_varint`] appended.
    pub fn varint(&mut self) -> Result<u64, CorruptedState> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(CorruptedState("a number is not in its shortest form"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CorruptedState("a number is too long"))
    }

    /// How many items follow, of at least `size` bytes each. The bytes must be there, so that no damaged length makes a
    /// caller reserve memory.
    pub fn count(&mut self, size: usize) -> Result<usize, CorruptedState> {
        let count = self.varint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| count.checked_mul(size).is_some_and(|bytes| bytes <= self.0.len()))
            .ok_or(CorruptedState("a count exceeds its bytes"))
    }

    /// What [`put_position`] appended.
    pub(super) fn position(&mut self) -> Result<Position, CorruptedState> {
        let mut digits = [0; 56];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.take(28)?) {
            pair.copy_from_slice(&[b'0' + (byte >> 4), b'0' + (byte & 15)]);
        }
        // A half-byte above 9 does not make a digit, and the text then fails to parse.
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        let sequence: SequenceNumber = digits.parse().map_err(|_| CorruptedState("not a sequence number"))?;
        Ok(Position { sequence, sub: u32::from_le_bytes(self.array()?) })
    }
}
