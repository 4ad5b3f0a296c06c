//! The readings within the allowed lateness of the newest: sorted by time, and known by their id.

use super::Interval;
use crate::device::profile::document::Kind;
use crate::device::reading::Value;
use crate::keyed::ReadingId;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// The greatest number of pending readings of a metric. When there are more, the oldest are folded early, and what comes
/// from before them is too late.
pub const MAX_PENDING: usize = 2_000;
/// The greatest number of bytes of pending texts of a metric, with the same effect.
pub const MAX_PENDING_BYTES: usize = 65_536;

/// A reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its time, in milliseconds since the epoch.
    pub at: i64,
    /// Its id, which decides the order at equal times.
    pub id: ReadingId,
    /// Its value.
    pub value: Value,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is new.
    New,
    /// It was known, with a later time.
    Moved {
        /// That time.
        from: i64,
    },
    /// It was known.
    Known {
        /// Its time.
        at: i64,
    },
}

/// Pending readings.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::window::tumbling) struct Pending {
    /// Strictly ascending by time and id; no id occurs twice.
    entries: VecDeque<Entry>,
    /// Of their texts.
    bytes: usize,
}

/// The kind of a value.
pub(in crate::window::tumbling) const fn kind(value: &Value) -> Kind {
    match value {
        Value::Number(_) => Kind::Number,
        Value::Boolean(_) => Kind::Boolean,
        Value::Text(_) => Kind::Text,
        Value::Position(_) => Kind::Position,
    }
}

fn bytes(value: &Value) -> usize {
    if let Value::Text(text) = value { text.len() } else { 0 }
}

/// Decides which of two values counts where an id comes twice with one time.
fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.total_cmp(right),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Position([x, y]), Value::Position([other_x, other_y])) => {
            x.total_cmp(other_x).then(y.total_cmp(other_y))
        }
        _ => Ordering::Equal,
    }
}

impl Pending {
    pub(in crate::window::tumbling) const fn new() -> Self {
        Self { entries: VecDeque::new(), bytes: 0 }
    }

    /// Adds an entry that is after all others; false if it is not.
    pub(in crate::window::tumbling) fn push(&mut self, entry: Entry) -> bool {
        let is_after = self.entries.back().is_none_or(|last| (last.at, last.id) < (entry.at, entry.id));
        self.bytes += bytes(&entry.value);
        self.entries.push_back(entry);
        is_after
    }

    pub(in crate::window::tumbling) fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn has(&self, id: ReadingId) -> bool {
        self.entries.iter().any(|known| known.id.digest == id.digest)
    }

    /// Adds a reading, unless its id is known with a time that is not later. One that is known stays where it is if its other
    /// time is before `horizon_ms`, where everything is folded.
    pub(super) fn place(&mut self, entry: Entry, horizon_ms: i64) -> Placed {
        let mut placed = Placed::New;
        if let Some(index) = self.entries.iter().rposition(|known| known.id.digest == entry.id.digest) {
            let known = &self.entries[index];
            let earlier =
                (entry.at, entry.id).cmp(&(known.at, known.id)).then_with(|| order(&entry.value, &known.value));
            if earlier.is_ge() || entry.at < horizon_ms {
                return Placed::Known { at: known.at };
            }
            placed = Placed::Moved { from: known.at };
            self.bytes -= bytes(&known.value);
            self.entries.remove(index);
        }
        let index = self.entries.partition_point(|known| (known.at, known.id) < (entry.at, entry.id));
        self.bytes += bytes(&entry.value);
        self.entries.insert(index, entry);
        placed
    }

    /// The first reading after a time.
    pub(super) fn after(&self, at: i64) -> Option<&Entry> {
        self.entries.get(self.entries.partition_point(|entry| entry.at <= at))
    }

    /// The last reading before a time.
    pub(super) fn before(&self, at: i64) -> Option<&Entry> {
        self.entries.partition_point(|entry| entry.at < at).checked_sub(1).and_then(|index| self.entries.get(index))
    }

    /// The readings of an interval.
    pub(super) fn within(&self, interval: Interval) -> impl Iterator<Item = &Entry> {
        let start = self.entries.partition_point(|entry| entry.at < interval.from_ms);
        let end = self.entries.partition_point(|entry| entry.at < interval.to_ms);
        self.entries.range(start..end.max(start))
    }

    /// The time before which readings must be folded, so that the others are within the limits.
    pub(super) fn limit_ms(&self) -> i64 {
        let (mut length, mut bytes_left) = (self.entries.len(), self.bytes);
        let mut limit_ms = i64::MIN;
        for entry in &self.entries {
            if length <= MAX_PENDING && bytes_left <= MAX_PENDING_BYTES {
                break;
            }
            limit_ms = entry.at.saturating_add(1);
            length -= 1;
            bytes_left -= bytes(&entry.value);
        }
        limit_ms
    }

    /// Takes the oldest reading, if it is before a time.
    pub(super) fn pop_before(&mut self, at: i64) -> Option<Entry> {
        self.entries.front().filter(|entry| entry.at < at)?;
        let entry = self.entries.pop_front()?;
        self.bytes -= bytes(&entry.value);
        Some(entry)
    }
}
