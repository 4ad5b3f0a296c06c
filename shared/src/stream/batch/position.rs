//! Positions in a shard, written at a fixed width, so that as text they sort like numbers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Decimal digits of the largest sequence number of Kinesis (186 bits).
const DIGITS: usize = 56;
/// Decimal digits of the largest sub-sequence number.
const SUB_DIGITS: usize = 10;

/// A sequence number of Kinesis: an unsigned integer of up to 186 bits, which no primitive holds.
///
/// It is kept as its decimal digits at full width, whose order as bytes is the order of the numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber([u8; DIGITS]);

impl SequenceNumber {
    /// Zero, which is below every record.
    pub const ZERO: Self = Self([b'0'; DIGITS]);

    /// The digits at full width, with leading zeros.
    pub fn fixed_width(&self) -> &str {
        // Always ASCII digits: `from_digits` checks each.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// From its decimal digits; `None` if there are too many or none, or if one is not a digit.
    pub(super) fn from_digits(text: &[u8]) -> Option<Self> {
        let begin = DIGITS.checked_sub(text.len())?;
        let mut digits = [b'0'; DIGITS];
        digits[begin..].copy_from_slice(text);
        // Without an early return and at full width: so one instruction checks many bytes.
        let bad = digits.iter().fold(false, |bad, byte| bad | !byte.is_ascii_digit());
        (!text.is_empty() && !bad).then_some(Self(digits))
    }
}

impl Default for SequenceNumber {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.fixed_width().trim_start_matches('0');
        f.write_str(if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SequenceNumber {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_digits(text.as_bytes()).ok_or_else(|| ParsePositionError(text.to_owned()))
    }
}

/// The position of one record in its shard: the sequence number, and the record's index within an aggregate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The sequence number that Kinesis gave.
    pub sequence: SequenceNumber,
    /// The sub-sequence number: the index within an aggregate, 0 for a plain record.
    pub sub: u32,
}

impl Position {
    /// Below every record: where the first slot of a shard's hour begins.
    pub const ZERO: Self = Self { sequence: SequenceNumber::ZERO, sub: 0 };
}

/// Written at a fixed width: `<56 digits>.<10 digits>`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:0SUB_DIGITS$}", self.sequence.fixed_width(), self.sub)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.sub)
    }
}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let (sequence, sub) = text.split_once('.').ok_or_else(bad)?;
        if sub.is_empty() || !sub.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { sequence: sequence.parse().map_err(|_| bad())?, sub: sub.parse().map_err(|_| bad())? })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is not a position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a position in a stream: it must be up to 56 decimal digits, and in a full position a dot and the \
     sub-sequence number"
)]
pub struct ParsePositionError(String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_longer_number_is_larger_whatever_its_first_digit() {
        let small: SequenceNumber = "9".parse().unwrap();
        let large: SequenceNumber = "49541296383533603670305612607160966548683674396982771921".parse().unwrap();
        assert!(small < large);
        assert_eq!(large.to_string(), "49541296383533603670305612607160966548683674396982771921");
        assert_eq!(SequenceNumber::ZERO.to_string(), "0");
    }

    #[test]
    fn an_error_shows_a_text_that_is_not_a_number() {
        for bad in ["", "-1", "+1", "12a", "495412963835336036703056126071609665486836743969827719210"] {
            assert!(bad.parse::<SequenceNumber>().unwrap_err().to_string().contains(&format!("{bad:?}")));
        }
        for bad in ["5", "5.", "5.-1", "5.+1", "5.4294967296", ".1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_sorts_like_positions(a in any::<(u128, u32)>(), b in any::<(u128, u32)>()) {
            let position = |(sequence, sub): (u128, u32)| Position { sequence: sequence.to_string().parse().unwrap(), sub };
            prop_assert_eq!(a.cmp(&b), position(a).cmp(&position(b)));
            prop_assert_eq!(a.cmp(&b), position(a).to_string().cmp(&position(b).to_string()));
            prop_assert_eq!(position(a).to_string().parse::<Position>().unwrap(), position(a));
        }
    }
}
