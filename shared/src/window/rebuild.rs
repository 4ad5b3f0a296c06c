//! Restores the lost windows of a device from readings that were kept elsewhere. Pure.
//!
//! A window is a function of the set of its readings, so the set is all that is needed. Only the readings that results were
//! once made of are put back. Later readings are in the state already, or on their way to it, and must not be counted here.
//! Nothing is done while an invocation may be working on the device, or while its last readings may not be archived yet.

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
    /// Adds a reading: in any order, and as often as it comes.
    pub fn insert(&mut self, spec: &WindowSpec, metric: &str, id: &str, at: i64, value: f64) {
        let entry = Entry { place: Place { at, id: id_digest(id) }, value };
        match self.0.get_mut(metric) {
            Some(series) => drop(series.insert(spec, entry)),
            None => drop(self.0.entry(metric.to_owned()).or_default().insert(spec, entry)),
        }
    }
}

/// Which time the recovered readings cover, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// All readings from this time on are recovered; `None`: all that ever were.
    pub since_ms: Option<i64>,
    /// All readings up to this time are recovered, and every invocation that wrote a row before it has ended by now.
    pub settled_ms: i64,
}

/// What became of a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has lost nothing.
    Whole,
    /// An invocation may be working on it, or its last readings may not be archived yet: try again later.
    Busy,
    /// What was found is put back.
    Rebuilt(Box<Rebuilt>),
}

/// What is put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// The device's state, with what was found.
    pub state: DeviceState,
    /// The rows of its latest averages that change. They keep the position of the rows that they replace.
    pub rows: Vec<Row>,
    /// How many metrics lack nothing any more.
    pub whole: usize,
    /// How many metrics have windows that reach further back than the recovered readings.
    pub partial: usize,
}

/// Puts back what the windows of a device have lost.
///
/// `loaded` is the device's state. `rows` are its results, which say how far its windows had once come. `spec` gives the
/// window of a metric.
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
    // The state does not know of these rows: it was lost, or their writer has not committed yet.
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
            // A row that is newer than what was found stays as it is.
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

/// Up to where readings of a metric may be missing from what is remembered; `None` if none are.
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
    let dropped = recovered.and_then(|series| series.forgotten).map(|place| place.min(lost_to));
    series.forgotten = series.forgotten.max(dropped);
    // What lies before the recovered readings is still lost. If nothing was found, everything is.
    let unseen = match since_ms {
        _ if series.entries.is_empty() => Some(lost_to),
        Some(since_ms) => Some(Place { at: since_ms, id: u64::MAX }.min(lost_to)),
        None => None,
    };
    series.forgotten = series.forgotten.max(unseen);
    series
}

/// The highest position of each shard that the state or the rows know of. The shards with the highest positions come last.
fn seen(before: &[(u64, Position)], rows: &[&Row]) -> Vec<(u64, Position)> {
    let of_rows = rows.iter().map(|row| (id_digest(&row.shard), row.position));
    let mut shards = BTreeMap::new();
    for (shard, position) in before.iter().copied().chain(of_rows) {
        let highest = shards.entry(shard).or_insert(position);
        *highest = position.max(*highest);
    }
    let mut seen: Vec<_> = shards.into_iter().collect();
    seen.sort_by_key(|(_, position)| *position);
    seen.split_off(seen.len().saturating_sub(MAX_SHARDS))
}

#[cfg(test)]
mod tests;
