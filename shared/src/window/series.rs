//! The remembered readings of one metric, sorted by time. Every window is a stretch of them.
//!
//! A series remembers more than its newest window holds, as far back as the allowed lateness reaches. There are two
//! reasons: a late reading corrects the rows of history that it belongs to, and a producer's retry that got another time
//! (that of its arrival) is still recognised by its id.

use crate::device::event_time::ClockSource;
use crate::device::profile::WindowSpec;
use crate::keyed::ReadingId;
use crate::results::Average;

/// The order of a reading: by its time and, at equal times, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The reading's time, in milliseconds since the epoch.
    pub at: i64,
    /// Its id.
    pub id: ReadingId,
}

/// One remembered reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Its order among the readings.
    pub place: Place,
    /// Its value, finite.
    pub value: f64,
    /// The clock that its time comes from, if it is known.
    pub clock: Option<ClockSource>,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    Counted {
        /// It came after the allowed lateness, or after more readings than are remembered: no row of history is
        /// corrected for it.
        late: bool,
    },
    /// It was counted before with a later time, and has the earlier one now.
    Moved {
        /// It has another value as well.
        contradicts: bool,
    },
    /// It was counted before.
    Duplicate {
        /// With another value.
        contradicts: bool,
    },
}

/// The remembered readings of one metric of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Strictly ascending by place; no id occurs twice.
    pub(super) entries: Vec<Entry>,
    /// The last reading that is not remembered any more, because it was dropped or lost. Every later reading is remembered.
    pub(super) forgotten: Option<Place>,
}

impl Series {
    /// The newest reading.
    pub fn newest(&self) -> Option<Entry> {
        self.entries.last().copied()
    }

    /// The remembered readings, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a reading. An id that comes twice counts once, at the earlier of its times, whichever came first.
    pub fn insert(&mut self, spec: &WindowSpec, entry: Entry) -> Inserted {
        let newest = self.newest().map(|newest| newest.place.at);
        let mut inserted = Inserted::Counted {
            late: newest.is_some_and(|newest| entry.place.at < newest.saturating_sub(spec.lateness_ms())),
        };
        if let Some(index) = self.entries.iter().rposition(|known| known.place.id.digest == entry.place.id.digest) {
            let known = self.entries[index];
            let earlier = entry.place.cmp(&known.place).then(entry.value.total_cmp(&known.value));
            let contradicts = entry.value.total_cmp(&known.value).is_ne();
            if earlier.is_ge() {
                return Inserted::Duplicate { contradicts };
            }
            self.entries.remove(index);
            inserted = Inserted::Moved { contradicts };
        }
        let index = self.entries.partition_point(|known| known.place < entry.place);
        self.entries.insert(index, entry);
        let forgotten = self.forget(spec);
        match inserted {
            Inserted::Counted { late } => Inserted::Counted { late: late || index < forgotten },
            known => known,
        }
    }

    /// Notes that readings up to `at_ms` were counted once and are lost.
    pub(super) fn lose(&mut self, at_ms: i64) {
        self.forgotten = self.forgotten.max(Some(Place { at: at_ms, id: ReadingId::LAST }));
    }

    /// The window's statistics, and whether readings that belong to it may be missing.
    pub fn average(&self, spec: &WindowSpec) -> Option<(Average, bool)> {
        self.average_to(spec, self.entries.len())
    }

    /// As [`Self::average`], for the readings before `end_ms` only.
    pub fn average_before(&self, spec: &WindowSpec, end_ms: i64) -> Option<(Average, bool)> {
        self.average_to(spec, self.end_before(end_ms))
    }

    /// The newest reading before `end_ms`.
    pub fn newest_before(&self, end_ms: i64) -> Option<Entry> {
        self.end_before(end_ms).checked_sub(1).map(|index| self.entries[index])
    }

    fn end_before(&self, end_ms: i64) -> usize {
        self.entries.partition_point(|entry| entry.place.at < end_ms)
    }

    fn average_to(&self, spec: &WindowSpec, end: usize) -> Option<(Average, bool)> {
        let window = &self.entries[self.start(spec, end)..end];
        let average = Average::of(window.iter().map(|entry| entry.value))?;
        Some((average, self.may_miss(spec, end)))
    }

    /// Where the window begins whose newest reading is the one before `end`.
    pub(super) fn start(&self, spec: &WindowSpec, end: usize) -> usize {
        end.saturating_sub(spec.capacity()).max(self.start_by_time(spec, end))
    }

    fn start_by_time(&self, spec: &WindowSpec, end: usize) -> usize {
        let (Some(length), Some(newest)) = (spec.length_ms(), end.checked_sub(1).map(|index| self.entries[index]))
        else {
            return 0;
        };
        let limit = newest.place.at.saturating_sub(length);
        self.entries[..end].partition_point(|entry| entry.place.at <= limit)
    }

    /// Whether a reading that is not remembered could belong to the window.
    fn may_miss(&self, spec: &WindowSpec, end: usize) -> bool {
        let by_number = end.saturating_sub(spec.capacity());
        if spec.last.is_none() && by_number > self.start_by_time(spec, end) {
            // A window by time that is full to its limit does not hold all readings of its time.
            return true;
        }
        let Some(forgotten) = self.forgotten else { return false };
        let in_number = end < spec.capacity() || self.entries[by_number].place < forgotten;
        let in_time = spec.length_ms().is_none_or(|length| {
            end.checked_sub(1).is_some_and(|index| forgotten.at > self.entries[index].place.at.saturating_sub(length))
        });
        in_time && (spec.last.is_none() || in_number)
    }

    /// Drops the readings that no window needs any more, and returns how many.
    fn forget(&mut self, spec: &WindowSpec) -> usize {
        let Some(newest) = self.newest() else { return 0 };
        let mut since = newest.place.at.saturating_sub(spec.lateness_ms());
        let mut start = self.start(spec, self.entries.len());
        if let Some(interval) = spec.history_ms() {
            // The windows of the rows of history that can still be corrected begin before their first reading.
            since = since.div_euclid(interval) * interval;
            start = start.min(self.start(spec, self.end_before(since)));
        }
        start = start.min(self.end_before(since)).max(self.entries.len().saturating_sub(spec.remembered()));
        if let Some(last) = start.checked_sub(1) {
            self.forgotten = self.forgotten.max(Some(self.entries[last].place));
            self.entries.drain(..start);
        }
        start
    }
}
