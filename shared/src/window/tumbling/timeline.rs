//! The timeline of one metric: how its readings advance its windows.

mod open;
mod pending;

pub use pending::{Entry, MAX_PENDING, MAX_PENDING_BYTES};

pub(super) use open::{Open, Track};
pub(super) use pending::{Pending, kind};

use super::aggregate::Timed;
use super::interval::{Interval, intervals};
use super::result::WindowResult;
use crate::device::profile::document::Kind;
use crate::device::profile::{Metric, Size, Window, Windows};
use crate::device::reading::Value;
use crate::keyed::Counts;
use pending::Placed;
use std::collections::BTreeSet;

/// What the profile asks of a metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec<'a> {
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its numbers; empty where there is none.
    pub unit: &'a str,
    /// Its windows.
    pub windows: &'a Windows,
}

impl<'a> MetricSpec<'a> {
    /// What a metric of a profile asks for; `None` if it has no windows.
    pub fn of(metric: &'a Metric) -> Option<Self> {
        Some(Self { kind: metric.kind, unit: &metric.unit, windows: metric.windows.as_ref()? })
    }
}

/// What is kept of one metric: the readings that may still move, and the aggregates of the older ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    pub(super) kind: Kind,
    /// The newest time that came, in milliseconds since the epoch.
    pub(super) clock_ms: Option<i64>,
    /// All readings before this time are folded, and what comes from before it is too late.
    pub(super) horizon_ms: i64,
    /// Readings up to this time may be missing.
    pub(super) lost_until: Option<i64>,
    /// The last reading that was folded.
    pub(super) folded: Option<Timed<Value>>,
    pub(super) pending: Pending,
    /// The windows of each size that have folded readings and can still change.
    pub(super) tracks: Vec<Track>,
}

/// What a reading comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Inserted {
    /// Whether it counts.
    pub counts: Counts,
    /// The results that are due: of the windows that it closes, and of closed ones that it changes.
    pub due: Vec<WindowResult>,
}

/// Windows, each by the index of its size and by its time.
type Due = BTreeSet<(usize, Interval)>;

impl Timeline {
    /// The timeline of a metric that nothing is known of yet. Readings up to `lost_until` may be missing.
    pub const fn new(kind: Kind, lost_until: Option<i64>) -> Self {
        Self {
            kind,
            clock_ms: None,
            horizon_ms: i64::MIN,
            lost_until,
            folded: None,
            pending: Pending::new(),
            tracks: Vec::new(),
        }
    }

    /// Notes that readings up to `until_ms` may be missing, in milliseconds since the epoch.
    pub fn lose(&mut self, until_ms: i64) {
        self.lost_until = self.lost_until.max(Some(until_ms));
    }

    /// Advances the timeline by a reading. An id that comes twice counts once, at the earlier of its times, whichever came first.
    ///
    /// A value that is not of the kind that `spec` names has no effect, and the answer is `None`.
    pub fn insert(&mut self, spec: MetricSpec<'_>, entry: Entry) -> Option<Inserted> {
        if kind(&entry.value) != spec.kind {
            return None;
        }
        self.follow(spec);
        let at = entry.at;
        if at < self.horizon_ms && !self.pending.has(entry.id) {
            return Some(Inserted { counts: Counts::Once { late: true }, due: self.leave_out(spec, at) });
        }
        let clock_ms = self.clock_ms.map_or(at, |clock_ms| clock_ms.max(at));
        let placed = self.pending.place(entry, self.horizon_ms);
        let mut due = self.closed_until(spec, clock_ms);
        let (mut emptied, mut repeated) = (Due::new(), Due::new());
        match placed {
            Placed::New => due.extend(self.changed_by(spec, at, clock_ms)),
            Placed::Moved { from } => {
                due.extend(self.changed_by(spec, at, clock_ms));
                emptied = self.changed_by(spec, from, clock_ms);
            }
            Placed::Known { at } => {
                repeated = self.changed_by(spec, at, clock_ms);
                repeated.extend(self.closed_by(spec, at, clock_ms));
            }
        }
        let mut results = Vec::new();
        for key @ (index, interval) in due.union(&emptied).chain(repeated.difference(&due)).copied().collect::<Due>() {
            let result = self.result(spec, index, interval, interval.to_ms);
            // A window that has lost its only reading to a correction is written without any. Where a reading is repeated,
            // nothing has changed, so the stored row may know more than a partial result.
            let has_changed = due.contains(&key) || emptied.contains(&key);
            if (result.count() > 0 || emptied.contains(&key)) && (has_changed || !result.partial) {
                results.push(result);
            }
        }
        self.clock_ms = Some(clock_ms);
        results.extend(self.fold(spec, clock_ms));
        let counts = if matches!(placed, Placed::New) { Counts::Once { late: false } } else { Counts::Duplicate };
        Some(Inserted { counts, due: results })
    }

    /// The results of the windows that are not closed, and of the sessions that a reading can still change.
    pub fn live(&self, spec: MetricSpec<'_>) -> Vec<WindowResult> {
        let mut timeline = self.clone();
        timeline.follow(spec);
        let Some(clock_ms) = timeline.clock_ms else { return Vec::new() };
        let mut results = Vec::new();
        for (index, window) in spec.windows.list.iter().enumerate() {
            if let Size::Session { gap_ms } = window.size {
                let track = &timeline.tracks[index];
                let sessions = track.sessions(gap_ms, timeline.kind, timeline.pending.iter());
                results.extend(sessions.iter().map(|open| timeline.session_result(spec, index, gap_ms, open)));
            }
            let open = intervals(&window.size, clock_ms).into_iter();
            results.extend(open.map(|interval| timeline.result(spec, index, interval, clock_ms)));
        }
        results.retain(|result| result.count() > 0);
        results
    }

    /// Takes over the windows that the profile asks for now. Of a new size of window, the readings that were folded before
    /// are missing.
    fn follow(&mut self, spec: MetricSpec<'_>) {
        if self.kind != spec.kind {
            *self = Self::new(spec.kind, self.lost_until);
        }
        let names = || spec.windows.list.iter().map(|window| &window.name);
        if names().eq(self.tracks.iter().map(|track| &track.window)) {
            return;
        }
        let mut known = std::mem::take(&mut self.tracks);
        self.tracks = names()
            .map(|name| match known.iter().position(|track| track.window == *name) {
                Some(index) => known.swap_remove(index),
                None => Track::new(name, self.folded.as_ref().map(|_| self.horizon_ms)),
            })
            .collect();
    }

    /// Notes in the windows that a reading belongs to that it came too late. Those that are closed are due.
    fn leave_out(&mut self, spec: MetricSpec<'_>, at: i64) -> Vec<WindowResult> {
        let mut due = Due::new();
        for (index, window) in spec.windows.list.iter().enumerate() {
            if let Size::Session { gap_ms } = window.size {
                self.tracks[index].leave_out_of_session(gap_ms, at);
            }
            for interval in self.open_at(window, at) {
                let carried = self.carried_into(interval);
                self.tracks[index].open_mut(self.kind, interval, carried.as_ref()).left_out += 1;
                if Some(interval.to_ms) <= self.clock_ms {
                    due.insert((index, interval));
                }
            }
        }
        let results = due.into_iter().map(|(index, interval)| self.result(spec, index, interval, interval.to_ms));
        results.filter(|result| result.count() > 0).collect()
    }

    /// The windows that end while the clock goes on to `clock_ms`. The readings of such a window are not after the present time
    /// of the clock, and its end is; so it contains that time.
    fn closed_until(&self, spec: MetricSpec<'_>, clock_ms: i64) -> Due {
        let before = self.clock_ms.filter(|before| *before < clock_ms);
        before.map_or_else(Due::new, |before| self.closed(spec, before, clock_ms, |_| true))
    }

    /// The closed windows whose results depend on a reading at `at`: those that it belongs to, and those that its value is
    /// carried into.
    fn changed_by(&self, spec: MetricSpec<'_>, at: i64, clock_ms: i64) -> Due {
        if at >= clock_ms {
            return Due::new();
        }
        let mut due = self.closed(spec, at, clock_ms, |_| true);
        if let Some(next) = self.pending.after(at).filter(|_| self.kind != Kind::Text) {
            due.extend(self.closed(spec, next.at, clock_ms, |interval| interval.from_ms > at));
        }
        due
    }

    /// The windows that a reading at `at` closed when it came first.
    fn closed_by(&self, spec: MetricSpec<'_>, at: i64, clock_ms: i64) -> Due {
        let before = self.pending.before(at).map(|entry| entry.at).or(self.folded.as_ref().map(|folded| folded.at));
        before.map_or_else(Due::new, |before| self.closed(spec, before, clock_ms, |interval| interval.to_ms <= at))
    }

    /// The windows that a time belongs to, that are closed at `clock_ms` and can still change.
    fn closed(&self, spec: MetricSpec<'_>, at: i64, clock_ms: i64, which: impl Fn(&Interval) -> bool) -> Due {
        let windows = spec.windows.list.iter().enumerate();
        let all = windows.flat_map(|(index, window)| self.open_at(window, at).map(move |interval| (index, interval)));
        all.filter(|(_, interval)| interval.to_ms <= clock_ms && which(interval)).collect()
    }

    /// The windows that a time belongs to and that can still change, closed or not.
    fn open_at(&self, window: &Window, at: i64) -> impl Iterator<Item = Interval> + use<> {
        let settled_ms = self.settled_ms();
        intervals(&window.size, at).into_iter().filter(move |interval| interval.to_ms > settled_ms)
    }

    /// Windows that end here or before cannot change any more. Readings that are folded early do not close a window.
    fn settled_ms(&self) -> i64 {
        self.clock_ms.map_or(i64::MIN, |clock_ms| self.horizon_ms.min(clock_ms))
    }

    /// The last reading before a window that no reading is folded into.
    fn carried_into(&self, interval: Interval) -> Option<Timed<Value>> {
        let pending = self.pending.before(interval.from_ms);
        pending.map(|entry| Timed { at: entry.at, value: entry.value.clone() }).or_else(|| self.folded.clone())
    }

    /// The result of a window, whose last value holds until `until_ms`.
    fn result(&self, spec: MetricSpec<'_>, index: usize, interval: Interval, until_ms: i64) -> WindowResult {
        let track = &self.tracks[index];
        let mut open = track
            .open(interval)
            .cloned()
            .unwrap_or_else(|| Open::new(self.kind, interval, self.carried_into(interval).as_ref()));
        for entry in self.pending.within(interval) {
            open.aggregate.fold(entry.at, &entry.value);
        }
        open.aggregate.close(until_ms);
        let carried_ms = if self.kind == Kind::Text { interval.from_ms } else { open.carried_at.unwrap_or(i64::MIN) };
        self.finished(spec, track, open, interval.from_ms, carried_ms)
    }

    fn session_result(&self, spec: MetricSpec<'_>, index: usize, gap_ms: i64, open: &Open) -> WindowResult {
        let first_ms = open.interval.from_ms.saturating_sub(gap_ms - 1);
        self.finished(spec, &self.tracks[index], open.clone(), first_ms, first_ms)
    }

    /// The result of a window that readings from `first_ms` on may belong to, and that a reading at `carried_ms` or later is
    /// carried into.
    fn finished(
        &self,
        spec: MetricSpec<'_>,
        track: &Track,
        open: Open,
        first_ms: i64,
        carried_ms: i64,
    ) -> WindowResult {
        let lost = self.lost_until.filter(|lost| *lost >= carried_ms);
        let unseen = track.since_ms.filter(|since| *since > first_ms).map(|since| since - 1);
        let lost_until = lost.max(unseen);
        WindowResult {
            window: track.window.clone(),
            unit: spec.unit.to_owned(),
            interval: open.interval,
            aggregate: open.aggregate,
            partial: lost_until.is_some() || open.left_out > 0,
            lost_until,
            left_out: open.left_out,
        }
    }

    /// Folds the readings that cannot move any more, and drops the windows that cannot change any more. Returns the sessions
    /// that ended.
    fn fold(&mut self, spec: MetricSpec<'_>, clock_ms: i64) -> Vec<WindowResult> {
        let allowed_ms = clock_ms.saturating_sub(spec.windows.allowed_lateness_ms);
        let horizon_ms = self.horizon_ms.max(allowed_ms).max(self.pending.limit_ms());
        self.horizon_ms = horizon_ms;
        let settled_ms = self.settled_ms();
        let mut ended = Vec::new();
        while let Some(entry) = self.pending.pop_before(horizon_ms) {
            for (index, (window, track)) in spec.windows.list.iter().zip(&mut self.tracks).enumerate() {
                if let Size::Session { gap_ms } = window.size {
                    let session = track.advance_session(gap_ms, self.kind, entry.at, &entry.value);
                    ended.extend(session.map(|open| (index, gap_ms, open)));
                }
                for interval in intervals(&window.size, entry.at) {
                    if interval.to_ms > settled_ms {
                        let open = track.open_mut(self.kind, interval, self.folded.as_ref());
                        open.aggregate.fold(entry.at, &entry.value);
                    }
                }
            }
            self.folded = Some(Timed { at: entry.at, value: entry.value });
        }
        for (index, (window, track)) in spec.windows.list.iter().zip(&mut self.tracks).enumerate() {
            match window.size {
                Size::Session { gap_ms } => {
                    ended.extend(track.end_session(gap_ms, horizon_ms).map(|open| (index, gap_ms, open)));
                }
                _ => track.open.retain(|open| open.interval.to_ms > settled_ms),
            }
        }
        ended.iter().map(|(index, gap_ms, open)| self.session_result(spec, *index, *gap_ms, open)).collect()
    }
}
