//! The windows of one size that have folded readings.

use super::{Entry, Interval};
use crate::device::profile::MAX_SESSION_MS;
use crate::device::profile::document::Kind;
use crate::device::reading::Value;
use crate::window::tumbling::aggregate::{Aggregate, Timed};

/// The windows of one size that have folded readings and can still change.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::window::tumbling) struct Track {
    /// The name of the size.
    pub(in crate::window::tumbling) window: String,
    /// The profile asked for this size when readings before this time were folded already.
    pub(in crate::window::tumbling) since_ms: Option<i64>,
    /// Ascending by their beginnings. Of sessions, at most one.
    pub(in crate::window::tumbling) open: Vec<Open>,
}

/// A window, with the readings that are folded into it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::window::tumbling) struct Open {
    pub(in crate::window::tumbling) interval: Interval,
    /// The time of the reading that was carried in.
    pub(in crate::window::tumbling) carried_at: Option<i64>,
    /// How many readings came too late.
    pub(in crate::window::tumbling) left_out: u64,
    pub(in crate::window::tumbling) aggregate: Aggregate,
}

impl Open {
    /// A window without readings, which the last value before it is carried into.
    pub(super) fn new(kind: Kind, interval: Interval, last: Option<&Timed<Value>>) -> Self {
        let mut aggregate = Aggregate::new(kind);
        // The last reading is in the window itself if the profile has asked for this size only since.
        let carried = last.filter(|last| last.at < interval.from_ms);
        if let Some(carried) = carried {
            aggregate.carry(interval.from_ms, &carried.value);
        }
        Self { interval, carried_at: carried.map(|carried| carried.at), left_out: 0, aggregate }
    }

    /// Whether a reading at `at`, not before the last one, belongs to this session.
    fn continues(&self, gap_ms: i64, at: i64) -> bool {
        let Interval { from_ms, to_ms } = self.interval;
        at.saturating_sub(to_ms) < gap_ms && at.saturating_sub(from_ms) < MAX_SESSION_MS
    }
}

impl Track {
    pub(super) fn new(window: &str, since_ms: Option<i64>) -> Self {
        Self { window: window.to_owned(), since_ms, open: Vec::new() }
    }

    pub(super) fn open(&self, interval: Interval) -> Option<&Open> {
        self.open.iter().find(|open| open.interval == interval)
    }

    /// The window. If it is new, the last value before it is carried in.
    pub(super) fn open_mut(&mut self, kind: Kind, interval: Interval, last: Option<&Timed<Value>>) -> &mut Open {
        let index = self.open.partition_point(|open| open.interval < interval);
        if self.open.get(index).is_none_or(|open| open.interval != interval) {
            self.open.insert(index, Open::new(kind, interval, last));
        }
        &mut self.open[index]
    }

    /// Folds a reading into its session. Returns the session before, if it ended.
    pub(super) fn advance_session(&mut self, gap_ms: i64, kind: Kind, at: i64, value: &Value) -> Option<Open> {
        let ended = self.end_session(gap_ms, at);
        if self.open.is_empty() {
            self.open.push(Open::new(kind, Interval { from_ms: at, to_ms: at }, None));
        }
        if let Some(open) = self.open.first_mut() {
            open.interval.to_ms = at;
            open.aggregate.fold(at, value);
        }
        ended
    }

    /// Takes the session, if no reading from `at` on can belong to it.
    pub(super) fn end_session(&mut self, gap_ms: i64, at: i64) -> Option<Open> {
        self.open.pop_if(|open| !open.continues(gap_ms, at))
    }

    /// Notes that a reading came too late, if it could belong to the session.
    pub(super) fn leave_out_of_session(&mut self, gap_ms: i64, at: i64) {
        let near = |open: &&mut Open| {
            at > open.interval.from_ms.saturating_sub(gap_ms) && at < open.interval.to_ms.saturating_add(gap_ms)
        };
        if let Some(open) = self.open.first_mut().filter(near) {
            open.left_out += 1;
        }
    }

    /// All sessions, with those of pending readings, oldest first.
    pub(super) fn sessions<'a>(&self, gap_ms: i64, kind: Kind, pending: impl Iterator<Item = &'a Entry>) -> Vec<Open> {
        let mut track = self.clone();
        let mut sessions: Vec<Open> =
            pending.filter_map(|entry| track.advance_session(gap_ms, kind, entry.at, &entry.value)).collect();
        sessions.append(&mut track.open);
        sessions
    }
}
