//! The aggregate of booleans.

use super::{Timed, read_count, span_ms};
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};

/// What booleans come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Booleans {
    count: u64,
    changes: u64,
    /// What holds, and since when: the last reading or, before there is one, what was carried in.
    held: Option<Timed<bool>>,
    true_ms: u64,
    covered_ms: u64,
}

/// Statistics of booleans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BooleansSummary {
    /// How many readings.
    pub count: u64,
    /// How often a reading differed from the one before.
    pub changes: u64,
    /// The last by time.
    pub last: Timed<bool>,
    /// How long the value was true, in milliseconds.
    pub true_ms: u64,
    /// How much time is covered, in milliseconds.
    pub covered_ms: u64,
    /// The share of the covered time in which the value was true. Where no time is covered, 0 or 1 by the last value.
    pub true_share: f64,
}

impl Booleans {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn carry(&mut self, held: Timed<bool>) {
        self.held = Some(held);
    }

    pub(super) fn fold(&mut self, reading: Timed<bool>) {
        self.close(reading.at);
        self.changes += u64::from(self.held.is_some_and(|held| held.value != reading.value));
        self.count += 1;
        self.held = Some(reading);
    }

    pub(super) fn close(&mut self, to_ms: i64) {
        if let Some(held) = self.held {
            let span_ms = span_ms(held.at, to_ms);
            self.covered_ms += span_ms;
            self.true_ms += if held.value { span_ms } else { 0 };
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.changes += other.changes;
        self.held = self.held.into_iter().chain(other.held).max_by_key(|held| (held.at, held.value));
        self.true_ms += other.true_ms;
        self.covered_ms += other.covered_ms;
    }

    pub(super) fn summary(&self) -> Option<BooleansSummary> {
        let Self { count, changes, held, true_ms, covered_ms } = *self;
        let last = held.filter(|_| count > 0)?;
        let true_share =
            if covered_ms > 0 { true_ms as f64 / covered_ms as f64 } else { f64::from(u8::from(last.value)) };
        Some(BooleansSummary { count, changes, last, true_ms, covered_ms, true_share })
    }

    /// Appends the bytes: `count(v) held(0 | 1 at[8] value[1])` and, if there are readings, `changes(v) true(v) covered(v)`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        out.push(self.held.is_some().into());
        if let Some(held) = self.held {
            out.extend(held.at.to_le_bytes());
            out.push(held.value.into());
        }
        if self.count > 0 {
            for number in [self.changes, self.true_ms, self.covered_ms] {
                put_varint(out, number);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let count = read_count(reader)?;
        let held = reader.option(|reader| Ok(Timed { at: reader.i64()?, value: reader.flag()? }))?;
        if count == 0 {
            return Ok(Self { held, ..Self::default() });
        }
        let (changes, true_ms, covered_ms) = (read_count(reader)?, read_count(reader)?, read_count(reader)?);
        if held.is_none() || changes > count || true_ms > covered_ms {
            return Err(CorruptedState("an aggregate of booleans contradicts itself"));
        }
        Ok(Self { count, changes, held, true_ms, covered_ms })
    }
}
