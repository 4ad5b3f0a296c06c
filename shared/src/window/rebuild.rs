//! A device's lost windows, made anew from readings that were kept elsewhere: purely.
//!
//! A window is a function of the set of its readings, so the set is all it takes. Only what results were once made of is
//! put back: what came later is in the state already, or on its way to it, and must find it without itself. And nothing is
//! done while somebody may be at work on the same device, or the last of its readings may not be kept yet.

use super::{DeviceState, Entry, Place, Series};
use crate::device::profile::WindowSpec;
use crate::keyed::{MAX_SHARDS, Seen, State as _, id_digest};
use crate::results::{Item, Row};
use crate::stream::batch::Position;
use std::collections::BTreeMap;

/// Readings of one device that were kept elsewhere, by metric: as many as its windows need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered(BTreeMap<String, Series>);

impl Recovered {
    /// Takes in a reading: in any order, and as often as it comes.
    pub fn insert(&mut self, spec: &WindowSpec, metric: &str, id: &str, at: i64, value: f64) {
        let entry = Entry { place: Place { at, id: id_digest(id) }, value };
        match self.0.get_mut(metric) {
            Some(series) => drop(series.insert(spec, entry)),
            None => drop(self.0.entry(metric.to_owned()).or_default().insert(spec, entry)),
        }
    }
}

/// What is known of the time, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// From this time on all readings are recovered; `None`: all that ever were.
    pub since_ms: Option<i64>,
    /// Up to this time they are, and whoever wrote a row before it has come to an end by now.
    pub settled_ms: i64,
}

/// What came of a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has lost nothing.
    Whole,
    /// Somebody may be at work on it, or its last readings may not be kept yet: later.
    Busy,
    /// It gets back what was found.
    Rebuilt(Box<Rebuilt>),
}

/// What is put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// The device's state with it.
    pub state: DeviceState,
    /// The rows of its latest averages that are others now. They have the position of those that they take the place of.
    pub rows: Vec<Row>,
    /// Metrics that have lost nothing any more.
    pub whole: usize,
    /// Metrics whose windows reach further back than was looked.
    pub partial: usize,
}

/// Puts back what the windows of a device have lost.
///
/// `loaded` is its state, and `rows` are its results, which say how far its windows had once come; `spec` gives the window
/// of a metric.
pub fn rebuild<'s>(
    loaded: Option<&DeviceState>,
    rows: &[Row],
    recovered: &Recovered,
    spec: impl Fn(&str) -> Option<&'s WindowSpec>,
    known: Known,
) -> Outcome {
    let Some(newest) = rows.iter().max_by_key(|row| row.updated_at) else { return Outcome::Whole };
    let stream = newest.stream.as_str();
    let rows: Vec<&Row> = rows.iter().filter(|row| row.stream == stream).collect();
    let loaded = loaded.filter(|state| state.position(stream).is_some());
    let position = loaded.and_then(|state| state.position(stream));
    // Rows that the state does not know of: it was lost, or their writer has yet to commit it.
    let is_ahead = |row: &Row| Some(row.position) > position;
    if rows.iter().any(|row| is_ahead(row) && row.updated_at > known.settled_ms) {
        return Outcome::Busy;
    }
    let mut state = loaded.cloned().unwrap_or_default();
    state.seen = Seen { stream: id_digest(stream), shards: seen(&state.seen.shards, &rows) };
    let mut out = Rebuilt { state, rows: Vec::new(), whole: 0, partial: 0 };
    for row in rows {
        let Item::Latest { metric } = &row.item else { continue };
        let Some(spec) = spec(metric) else { continue };
        let remembered = loaded.and_then(|state| state.series(metric));
        let Some(lost_to) = lost_to(remembered, row, spec, is_ahead(row)) else { continue };
        if lost_to.at > known.settled_ms {
            return Outcome::Busy;
        }
        let mut series = restored(remembered, recovered.0.get(metric), lost_to, spec, known.since_ms);
        series.revision = remembered.map_or(0, Series::revision).max(row.revision);
        let average = series.average(spec);
        match average {
            Some((_, false)) => out.whole += 1,
            _ => out.partial += 1,
        }
        let differs = average.zip(series.newest()).filter(|(now, _)| *now != (row.average, row.partial));
        if let Some(((average, partial), newest)) = differs {
            series.revision += 1;
            // A row that reaches beyond what was found keeps what it says.
            if newest.place.at >= row.at {
                let (revision, value, at) = (series.revision, newest.value, newest.place.at);
                let lost_until = row.lost_until.filter(|_| partial);
                out.rows.push(Row { value, at, average, partial, lost_until, revision, ..row.clone() });
            }
        }
        *out.state.series_mut(metric) = series;
    }
    if out.whole + out.partial == 0 { Outcome::Whole } else { Outcome::Rebuilt(Box::new(out)) }
}

/// Up to where readings of a metric may be missing from what is remembered of it; `None`: none are.
fn lost_to(remembered: Option<&Series>, row: &Row, spec: &WindowSpec, is_ahead: bool) -> Option<Place> {
    let all = Place { at: row.at, id: u64::MAX };
    let Some(series) = remembered else { return Some(all) };
    if is_ahead {
        return Some(all.max(series.forgotten.unwrap_or(all)));
    }
    let is_partial = series.average(spec).is_none_or(|(_, partial)| partial);
    series.forgotten.filter(|_| is_partial)
}

/// What is remembered, with what was recovered up to `lost_to`.
fn restored(
    remembered: Option<&Series>,
    recovered: Option<&Series>,
    lost_to: Place,
    spec: &WindowSpec,
    since_ms: Option<i64>,
) -> Series {
    let mut series = Series::default();
    let found = recovered.into_iter().flat_map(|series| &series.entries).filter(|entry| entry.place <= lost_to);
    for entry in found.chain(remembered.into_iter().flat_map(|series| &series.entries)) {
        series.insert(spec, *entry);
    }
    let passed_over = recovered.and_then(|series| series.forgotten).map(|place| place.min(lost_to));
    series.forgotten = series.forgotten.max(passed_over);
    // What lies further back than anybody looked is still lost; and where nothing was found, everything is.
    let unseen = match since_ms {
        _ if series.entries.is_empty() => Some(lost_to),
        Some(since_ms) => Some(Place { at: since_ms, id: u64::MAX }.min(lost_to)),
        None => None,
    };
    series.forgotten = series.forgotten.max(unseen);
    series
}

/// The furthest record of each shard that the state or the results tell of, the furthest shards last.
fn seen(before: &[(u64, Position)], rows: &[&Row]) -> Vec<(u64, Position)> {
    let of_rows = rows.iter().map(|row| (id_digest(&row.shard), row.position));
    let mut shards = BTreeMap::new();
    for (shard, position) in before.iter().copied().chain(of_rows) {
        let furthest = shards.entry(shard).or_insert(position);
        *furthest = position.max(*furthest);
    }
    let mut seen: Vec<_> = shards.into_iter().collect();
    seen.sort_by_key(|(_, position)| *position);
    seen.split_off(seen.len().saturating_sub(MAX_SHARDS))
}

#[cfg(test)]
mod tests;
