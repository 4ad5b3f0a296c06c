//! What the readings of one window come to, by the kind of their values.
//!
//! Readings are folded in the order of their time, so an aggregate is a function of the set of its readings, to the last bit.
//! Two aggregates merge: windows that follow each other into a longer one, or those of several devices into one of all.
//!
//! **What holds before the first reading.** A value holds until the next one comes. The last value before a window is carried
//! into it, and holds from its beginning. If nothing is known before, the time before the first reading does not count:
//! [`NumbersSummary::covered_ms`] says how much does. A change, or a distance from the carried value to the first
//! reading, belongs to the window.

mod booleans;
mod distinct;
mod numbers;
mod positions;
mod sketch;
mod texts;

pub use booleans::{Booleans, BooleansSummary};
pub use numbers::{Numbers, NumbersSummary};
pub use positions::{Positions, PositionsSummary};
pub use sketch::{MAX_BINS, Sketch};
pub use texts::{CountedText, MAX_TEXTS, TOP, Texts, TextsSummary};

use crate::device::profile::document::Kind;
use crate::device::reading::Value;
use crate::keyed::bytes::{CorruptedState, Reader};

/// A value and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed<V> {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value.
    pub value: V,
}

/// What the readings of one window come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    /// Of numbers.
    Numbers(Numbers),
    /// Of booleans.
    Booleans(Booleans),
    /// Of texts.
    Texts(Texts),
    /// Of positions.
    Positions(Positions),
}

/// The statistics of one window.
#[derive(Clone, Debug, PartialEq)]
pub enum Summary {
    /// Of numbers.
    Numbers(NumbersSummary),
    /// Of booleans.
    Booleans(BooleansSummary),
    /// Of texts.
    Texts(TextsSummary),
    /// Of positions.
    Positions(PositionsSummary),
}

impl Aggregate {
    /// The aggregate of no readings yet.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Number => Self::Numbers(Numbers::default()),
            Kind::Boolean => Self::Booleans(Booleans::default()),
            Kind::Text => Self::Texts(Texts::default()),
            Kind::Position => Self::Positions(Positions::default()),
        }
    }

    /// The kind of its values.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Numbers(_) => Kind::Number,
            Self::Booleans(_) => Kind::Boolean,
            Self::Texts(_) => Kind::Text,
            Self::Positions(_) => Kind::Position,
        }
    }

    /// How many readings it has.
    pub const fn count(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.count(),
            Self::Booleans(booleans) => booleans.count(),
            Self::Texts(texts) => texts.count(),
            Self::Positions(positions) => positions.count(),
        }
    }

    /// Carries in the value that holds when the window begins, at `from_ms`. To be called before the first reading.
    pub(super) fn carry(&mut self, from_ms: i64, value: &Value) {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(value)) => numbers.carry(Timed { at: from_ms, value: *value }),
            (Self::Booleans(booleans), Value::Boolean(value)) => booleans.carry(Timed { at: from_ms, value: *value }),
            (Self::Positions(positions), Value::Position(value)) => {
                positions.carry(Timed { at: from_ms, value: *value });
            }
            _ => {}
        }
    }

    /// Adds a reading, which is not older than those before. A value of another kind is left out.
    pub fn fold(&mut self, at: i64, value: &Value) {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(value)) => numbers.fold(Timed { at, value: *value }),
            (Self::Booleans(booleans), Value::Boolean(value)) => booleans.fold(Timed { at, value: *value }),
            (Self::Texts(texts), Value::Text(value)) => texts.fold(value),
            (Self::Positions(positions), Value::Position(value)) => positions.fold(Timed { at, value: *value }),
            _ => {}
        }
    }

    /// Lets the last value hold until the end of the window.
    pub(super) fn close(&mut self, to_ms: i64) {
        match self {
            Self::Numbers(numbers) => numbers.close(to_ms),
            Self::Booleans(booleans) => booleans.close(to_ms),
            Self::Texts(_) | Self::Positions(_) => {}
        }
    }

    /// Adds what `other` has. Both must be closed, and of the same kind; otherwise it returns false and changes nothing.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        if self.kind() != other.kind() {
            return false;
        }
        match (&mut *self, other) {
            _ if other.count() == 0 => {}
            (here, _) if here.count() == 0 => *here = other.clone(),
            (Self::Numbers(numbers), Self::Numbers(other)) => numbers.merge(other),
            (Self::Booleans(booleans), Self::Booleans(other)) => booleans.merge(other),
            (Self::Texts(texts), Self::Texts(other)) => texts.merge(other),
            (Self::Positions(positions), Self::Positions(other)) => positions.merge(other),
            _ => return false,
        }
        true
    }

    /// The statistics; `None` without readings.
    pub fn summary(&self) -> Option<Summary> {
        match self {
            Self::Numbers(numbers) => numbers.summary().map(Summary::Numbers),
            Self::Booleans(booleans) => booleans.summary().map(Summary::Booleans),
            Self::Texts(texts) => texts.summary().map(Summary::Texts),
            Self::Positions(positions) => positions.summary().map(Summary::Positions),
        }
    }

    /// Appends its bytes, without its kind.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Numbers(numbers) => numbers.encode_into(out),
            Self::Booleans(booleans) => booleans.encode_into(out),
            Self::Texts(texts) => texts.encode_into(out),
            Self::Positions(positions) => positions.encode_into(out),
        }
    }

    /// Reads what [`Self::encode_into`] appended of an aggregate of `kind`.
    pub(super) fn decode(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        Ok(match kind {
            Kind::Number => Self::Numbers(Numbers::decode(reader)?),
            Kind::Boolean => Self::Booleans(Booleans::decode(reader)?),
            Kind::Text => Self::Texts(Texts::decode(reader)?),
            Kind::Position => Self::Positions(Positions::decode(reader)?),
        })
    }
}

/// How long what was held at `since` has held at `until`, in milliseconds.
fn span_ms(since: i64, until: i64) -> u64 {
    u64::try_from(until.saturating_sub(since)).unwrap_or(0)
}

/// Reads a count of readings or of milliseconds. None reaches 2⁵⁰, and sums of a few thousand of them fit into 64 bits.
fn read_count(reader: &mut Reader<'_>) -> Result<u64, CorruptedState> {
    let count = reader.varint()?;
    if count < 1 << 50 { Ok(count) } else { Err(CorruptedState("a count is too great")) }
}

/// Keeps a sum within the numbers that there are. Numbers of any size may come in, and a sum must be one too.
const fn finite(sum: f64) -> f64 {
    sum.clamp(-f64::MAX, f64::MAX)
}

#[cfg(test)]
mod tests;
