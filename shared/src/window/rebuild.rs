//! Restores the lost windows of a device from readings that were kept elsewhere. Pure.
//!
//! A window is a function of the set of its readings, so the set is all that is needed. Readings up to the time of the loss are
//! put back. Later ones are in the state already, or on their way to it. A reading that is put back and comes again is known
//! by its id.

use super::{DeviceState, Entry, Place, Series};
use crate::device::profile::WindowSpec;
use crate::keyed::{Kept, ReadingId};
use std::collections::{BTreeMap, BTreeSet};

/// Readings of one device that were kept elsewhere, by metric: as many as its windows need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered(BTreeMap<String, Series>);

impl Recovered {
    /// Adds a reading of `metric`: in any order, and as often as it comes.
    pub fn insert(&mut self, spec: &WindowSpec, metric: &str, entry: Entry) {
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
    /// All readings up to this time are recovered.
    pub settled_ms: i64,
}

/// What became of a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has lost nothing, or what it lost is put back already.
    Whole,
    /// Its last readings may not be archived yet: try again later.
    Busy,
    /// What was found is put back.
    Rebuilt(Box<Rebuilt>),
}

/// What is put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// What to keep of the device, with what was found.
    pub kept: Kept<DeviceState>,
    /// How many metrics lack nothing any more.
    pub whole: usize,
    /// How many metrics have windows that reach further back than the recovered readings.
    pub partial: usize,
}

/// Puts back what the windows of a device have lost.
///
/// `loaded` is what is kept of the device. Its slot has lost readings up to `lost_until`. `spec` gives the window of a metric.
pub fn rebuild<'s>(
    loaded: Option<&Kept<DeviceState>>,
    lost_until: Option<i64>,
    recovered: &Recovered,
    spec: impl Fn(&str) -> Option<&'s WindowSpec>,
    known: Known,
) -> Outcome {
    let Some(until_ms) = lost_until.max(loaded.and_then(|kept| kept.lost_until)) else { return Outcome::Whole };
    if until_ms > known.settled_ms {
        return Outcome::Busy;
    }
    let lost_to = Place { at: until_ms, id: ReadingId::LAST };
    let mut out = Rebuilt { kept: loaded.cloned().unwrap_or_default(), whole: 0, partial: 0 };
    let is_noted = out.kept.lost_until == Some(until_ms);
    out.kept.lost_until = Some(until_ms);
    let remembered = out.kept.state.series.iter().map(|(metric, _)| metric.clone());
    let metrics: BTreeSet<String> = remembered.chain(recovered.0.keys().cloned()).collect();
    for metric in metrics {
        let Some(spec) = spec(&metric) else { continue };
        let remembered = out.kept.state.series(&metric);
        // What the window has dropped by itself since is later than the loss.
        if remembered.is_some_and(|series| series.forgotten > Some(lost_to)) {
            continue;
        }
        let series = restored(remembered, recovered.0.get(&metric), lost_to, spec, known.since_ms);
        match series.average(spec) {
            Some((_, false)) => out.whole += 1,
            _ => out.partial += 1,
        }
        *out.kept.state.series_mut(&metric, None) = series;
    }
    let is_changed = !is_noted || loaded.is_none_or(|kept| kept.state != out.kept.state);
    if is_changed && out.whole + out.partial > 0 { Outcome::Rebuilt(Box::new(out)) } else { Outcome::Whole }
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
        Some(since_ms) => Some(Place { at: since_ms, id: ReadingId::LAST }.min(lost_to)),
        None => None,
    };
    series.forgotten = series.forgotten.max(unseen);
    series
}

#[cfg(test)]
mod tests;
