//! The state of one device, and how a batch's readings advance it: purely, so that doing it again does it the same.

use super::{Entry, Inserted, Place, Series, id_digest};
use crate::device::profile::WindowSpec;
use crate::results::Average;
use crate::stream::batch::Position;
use std::collections::BTreeMap;

/// Shards whose last record is remembered: that of the device, and those before the reshards of the last minutes.
pub(super) const MAX_SHARDS: usize = 4;

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The stream's name: positions compare within one stream only.
    pub stream: &'a str,
    /// The shard's id.
    pub shard: &'a str,
}

/// What is kept of one device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceState {
    /// [`id_digest`] of the stream's name: positions compare within one stream only.
    pub(super) stream: u64,
    /// [`id_digest`] of each shard that records of this device came from, and the last one taken in from it. A device is
    /// one partition key and so in one shard, but for a moment after a reshard, when an aggregate that was packed by the
    /// shards before lands beside it: then two shards hold records of the device, and which comes first is open.
    pub(super) seen: Vec<(u64, Position)>,
    /// Its metrics, in the order of their names.
    pub(super) series: Vec<(String, Series)>,
}

impl DeviceState {
    /// The furthest record taken in from `stream`.
    pub fn position(&self, stream: &str) -> Option<Position> {
        if self.stream == id_digest(stream) { self.furthest() } else { None }
    }

    fn furthest(&self) -> Option<Position> {
        self.seen.iter().map(|(_, position)| *position).max()
    }

    /// Whether the record at `position` of a shard was taken in before: each shard is delivered in order.
    fn has_seen(&self, shard: u64, position: Position) -> bool {
        self.seen.iter().any(|(of, seen)| *of == shard && position <= *seen)
    }

    /// Takes in the record at `position` of a shard. A shard that falls off this list is one that ended long ago; of what
    /// it might still deliver again, the ids of the readings tell.
    fn see(&mut self, shard: u64, position: Position) {
        // As nearly always, the shard that the device was last heard from.
        if let Some((_, seen)) = self.seen.last_mut().filter(|(of, _)| *of == shard) {
            *seen = position;
            return;
        }
        self.seen.retain(|(of, _)| *of != shard);
        self.seen.push((shard, position));
        if self.seen.len() > MAX_SHARDS {
            self.seen.remove(0);
        }
    }

    /// The remembered readings of a metric.
    pub fn series(&self, metric: &str) -> Option<&Series> {
        self.place_of(metric).ok().map(|index| &self.series[index].1)
    }

    /// The remembered readings of a metric; none yet, if it is new.
    pub(super) fn series_mut(&mut self, metric: &str) -> &mut Series {
        let index = self.place_of(metric).unwrap_or_else(|index| {
            self.series.insert(index, (metric.to_owned(), Series::default()));
            index
        });
        &mut self.series[index].1
    }

    /// Where a metric is, or where it belongs.
    fn place_of(&self, metric: &str) -> Result<usize, usize> {
        self.series.binary_search_by(|(name, _)| name.as_str().cmp(metric))
    }
}

/// A number that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incoming<'a> {
    /// Its record's place in the shard.
    pub position: Position,
    /// Its metric.
    pub metric: &'a str,
    /// [`id_digest`] of its id.
    pub id: u64,
    /// Its time, in milliseconds since the epoch.
    pub at: i64,
    /// Its value, finite.
    pub value: f64,
    /// What its caller finds it again by.
    pub index: usize,
}

/// What is known to be missing from the state of a metric: results were written from a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The time of the newest reading that those results were over or were missing, in milliseconds since the epoch.
    pub at: i64,
    /// Their revision.
    pub revision: u64,
    /// Their position.
    pub position: Position,
}

/// A result that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The metric.
    pub metric: String,
    /// The beginning of the interval of history, in milliseconds since the epoch; `None` for the latest.
    pub interval_ms: Option<i64>,
    /// The statistics.
    pub average: Average,
    /// Readings that belong to the window may be missing.
    pub partial: bool,
    /// If so, up to which time, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
    /// The newest reading of the window.
    pub newest: Entry,
    /// Grows with each change of the metric.
    pub revision: u64,
    /// The record that changed it, or the furthest one that was taken in before.
    pub position: Position,
    /// The state's position before, or further on the position of results that the state is behind: whoever finds
    /// this result and has a state that is behind it has lost something.
    pub base: Option<Position>,
    /// Which of the readings changed it.
    pub index: usize,
}

/// What a batch's readings of one device come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// The state after them.
    pub state: DeviceState,
    /// The results to write.
    pub changes: Vec<Change>,
    /// How many of them count for the first time.
    pub counted: usize,
    /// How many were known by their id.
    pub duplicates: usize,
    /// How many came behind the allowed lateness.
    pub too_late: usize,
    /// How many were taken in before, by their position: delivered again.
    pub redelivered: usize,
}

/// Advances `loaded` by `readings` of `origin`, which are in its order. `spec` gives the window of a metric; a metric
/// without one is passed over. `losses` are what is known to be missing, by metric.
pub fn advance<'s>(
    loaded: Option<&DeviceState>,
    origin: Origin<'_>,
    readings: &[Incoming<'_>],
    spec: impl Fn(&str) -> Option<&'s WindowSpec>,
    losses: &BTreeMap<String, Loss>,
) -> Advance {
    let mut state = loaded.cloned().unwrap_or_default();
    let seen = state.position(origin.stream);
    if seen.is_none() {
        state.seen.clear();
    }
    state.stream = id_digest(origin.stream);
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
        if out.state.has_seen(shard, reading.position) {
            out.redelivered += 1;
            continue;
        }
        out.state.see(shard, reading.position);
        // What came astray, behind a record of another shard, must not make the rows look older.
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
        // The latest row keeps up with the metric, also where this reading leaves its average alone: by its revision and
        // position a state is told that has lost something, and it says how far a loss reaches.
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
        newest,
        revision: series.revision,
        position,
        base,
        index: reading.index,
    }
}

/// The beginnings of the intervals of history whose rows a reading at `place` makes due: the one that it closes, being
/// the first behind it, or those closed ones whose windows it belongs to.
///
/// It follows from the readings and their order alone, so that a batch that comes again, cut elsewhere, makes the same
/// rows due. An interval is closed by a reading behind it and by nothing else: there is no clock here.
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
