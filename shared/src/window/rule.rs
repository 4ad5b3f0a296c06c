//! The rule of the moving average: how a batch's readings advance the windows of one device.

use super::{DeviceState, Entry, Inserted, Place, Series};
use crate::device::profile::{Profile, WindowSpec};
use crate::keyed::{Advance, Change, Incoming, Loss, Origin, Rule, State as _, id_digest};
use crate::results::Average;
use crate::stream::batch::Position;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// The windows of one device's metrics.
pub trait MetricWindows: Send + Sync + 'static {
    /// The window of `metric`; `None` where its profile asks for none.
    fn window(&self, metric: &str) -> Option<&WindowSpec>;
}

impl MetricWindows for Arc<Profile> {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        Profile::window(self, metric)
    }
}

/// The moving average, for windows that `W` names: those of the device's profile when deployed.
pub struct MovingAverage<W = Arc<Profile>>(PhantomData<fn() -> W>);

impl<W: MetricWindows> Rule for MovingAverage<W> {
    type Settings = W;
    type State = DeviceState;

    fn wants(settings: &W, metric: &str) -> bool {
        settings.window(metric).is_some()
    }

    fn advance(
        settings: &W,
        loaded: Option<&DeviceState>,
        origin: Origin<'_>,
        readings: &[Incoming<'_>],
        losses: &BTreeMap<String, Loss>,
    ) -> Advance<DeviceState> {
        advance(loaded, origin, readings, |metric| settings.window(metric), losses)
    }
}

/// Advances `loaded` by `readings` of `origin`, which are in the order of their shard. `spec` gives the window of a metric;
/// a metric without one is skipped. `losses` are what is known to be missing, by metric.
pub(super) fn advance<'s>(
    loaded: Option<&DeviceState>,
    origin: Origin<'_>,
    readings: &[Incoming<'_>],
    spec: impl Fn(&str) -> Option<&'s WindowSpec>,
    losses: &BTreeMap<String, Loss>,
) -> Advance<DeviceState> {
    let seen = loaded.and_then(|state| state.position(origin.stream));
    let mut state = loaded.cloned().unwrap_or_default();
    state.seen = state.seen.for_stream(origin.stream);
    let shard = id_digest(origin.shard);
    for (metric, loss) in losses {
        state.series_mut(metric).lose(loss.at, loss.revision);
    }
    let mut out = Advance { state, changes: Vec::new(), counted: 0, duplicates: 0, too_late: 0, redelivered: 0 };
    let mut latest: BTreeMap<&str, (&Incoming<'_>, Position)> = BTreeMap::new();
    let mut history: BTreeMap<(&str, i64), Change> = BTreeMap::new();
    // Neighbours are often of one metric, whose window is looked up once.
    let mut window: Option<(&str, Option<&WindowSpec>)> = None;
    for reading in readings {
        if out.state.seen.contains_digest(shard, reading.position) {
            out.redelivered += 1;
            continue;
        }
        out.state.seen.advance_digest(shard, reading.position);
        // A record that landed in a sibling shard, below what the device has seen, must not make its rows look older.
        let position = seen.map_or(reading.position, |seen| seen.max(reading.position));
        let known = window.filter(|(metric, _)| *metric == reading.metric);
        let (_, spec) = *window.insert(known.unwrap_or_else(|| (reading.metric, spec(reading.metric))));
        let Some(spec) = spec else { continue };
        let series = out.state.series_mut(reading.metric);
        let (before, revision) = (series.newest(), series.revision);
        let place = Place { at: reading.at, id: reading.id };
        let late = match series.insert(spec, Entry { place, value: reading.value }) {
            Inserted::Duplicate => {
                out.duplicates += 1;
                continue;
            }
            Inserted::Moved => {
                out.duplicates += 1;
                false
            }
            Inserted::Counted { late } => {
                out.counted += 1;
                out.too_late += usize::from(late);
                late
            }
        };
        // The latest row follows the metric also where a reading leaves its average alone: its revision and position are
        // how a later invocation detects a lost state, and how far the loss reaches.
        if series.revision > revision || losses.contains_key(reading.metric) {
            latest.insert(reading.metric, (reading, position));
        }
        if late {
            continue;
        }
        let base = base_of(seen, losses.get(reading.metric));
        for interval in intervals(series, spec, before, place) {
            let end_ms = interval.saturating_add(spec.history_ms().unwrap_or(i64::MAX));
            let computed = series.average_before(spec, end_ms).zip(series.newest_before(end_ms));
            if let Some((statistics, newest)) = computed {
                history.insert(
                    (reading.metric, interval),
                    change((reading, position), Some(interval), statistics, newest, series, base),
                );
            }
        }
    }
    for (metric, reading) in latest {
        let base = base_of(seen, losses.get(metric));
        out.changes.extend(out.state.series(metric).and_then(|series| {
            Some(change(reading, None, series.average(spec(metric)?)?, series.newest()?, series, base))
        }));
    }
    out.changes.extend(history.into_values());
    out
}

fn base_of(seen: Option<Position>, loss: Option<&Loss>) -> Option<Position> {
    seen.max(loss.map(|loss| loss.position))
}

fn change(
    (reading, position): (&Incoming<'_>, Position),
    interval_ms: Option<i64>,
    (average, partial): (Average, bool),
    newest: Entry,
    series: &Series,
    base: Option<Position>,
) -> Change {
    Change {
        metric: reading.metric.to_owned(),
        interval_ms,
        average,
        partial,
        lost_until: series.forgotten.filter(|_| partial).map(|place| place.at),
        value: newest.value,
        at: newest.place.at,
        revision: series.revision,
        position,
        base,
        index: reading.index,
    }
}

/// The beginnings of the intervals of history whose rows a reading at `place` makes due: the interval that it closes, which
/// is the last one before it, or those closed ones whose windows it belongs to.
///
/// This follows from the readings and their order alone, so that a batch that is delivered again, cut elsewhere, makes the
/// same rows due. Only a later reading closes an interval: there is no clock here.
fn intervals(series: &Series, spec: &WindowSpec, before: Option<Entry>, place: Place) -> Vec<i64> {
    // What was lost was newer than what is left: its intervals were closed before.
    let newest = before.map(|before| before.place).max(series.forgotten);
    let (Some(length), Some(newest)) = (spec.history_ms(), newest) else { return Vec::new() };
    let interval = |at: i64| at.div_euclid(length) * length;
    let open = interval(newest.at);
    if interval(place.at) > open {
        return vec![open];
    }
    let mut due = Vec::new();
    let mut index = series.entries.partition_point(|entry| entry.place < place);
    while let Some(entry) = series.entries.get(index) {
        let start = interval(entry.place.at);
        if start >= open {
            break;
        }
        let end = series.entries.partition_point(|entry| entry.place.at < start.saturating_add(length));
        if series.entries[series.start(spec, end)].place > place {
            break;
        }
        due.push(start);
        index = end;
    }
    due
}
