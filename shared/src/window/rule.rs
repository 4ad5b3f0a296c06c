//! The rule of the moving average: how readings advance the windows of one device.

use super::{DeviceState, Entry, Inserted, Place, Series};
use crate::device::event_time::ClockSource;
use crate::device::profile::{Profile, WindowSpec};
use crate::device::reading::Value;
use crate::keyed::{Closed, Counts, Incoming, Rule, Step};
use crate::results::{Average, MetricResult};
use std::marker::PhantomData;
use std::sync::Arc;

/// The windows of one device's metrics.
pub trait MetricWindows: Send + Sync + 'static {
    /// The window of `metric`; `None` where its profile asks for none.
    fn window(&self, metric: &str) -> Option<&WindowSpec>;

    /// The unit of the values of `metric`; empty where there is none.
    fn unit(&self, metric: &str) -> &str;
}

impl MetricWindows for Arc<Profile> {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        Profile::window(self, metric)
    }

    fn unit(&self, metric: &str) -> &str {
        self.metric(metric).map_or("", |metric| &metric.unit)
    }
}

/// The moving average, for windows that `W` names: those of the device's profile when deployed.
pub struct MovingAverage<W = Arc<Profile>>(PhantomData<fn() -> W>);

impl<W: MetricWindows> Rule for MovingAverage<W> {
    type Settings = W;
    type State = DeviceState;

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Number(_))
    }

    fn wants(settings: &W, metric: &str) -> bool {
        settings.window(metric).is_some()
    }

    fn step(
        settings: &W,
        state: &mut DeviceState,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<MetricResult>> {
        let Value::Number(value) = *reading.value else { return None };
        let spec = settings.window(reading.metric)?;
        let series = state.series_mut(reading.metric, lost_until);
        let before = series.newest();
        let place = Place { at: reading.at, id: reading.id };
        let inserted = series.insert(spec, Entry { place, value, clock: Some(reading.clock) });
        let counts = match inserted {
            Inserted::Counted { late } => Counts::Once { late },
            Inserted::Moved { contradicts: true } | Inserted::Duplicate { contradicts: true } => Counts::Contradiction,
            Inserted::Moved { .. } | Inserted::Duplicate { .. } => Counts::Duplicate,
        };
        let mut due = Vec::new();
        if inserted != (Inserted::Counted { late: true }) {
            due = intervals(series, spec, before, place);
        }
        let is_repeated = matches!(inserted, Inserted::Duplicate { .. });
        due.extend(closed_by(series, spec, place).filter(|_| is_repeated));
        let history = due.into_iter().filter_map(|from_ms| {
            let end_ms = from_ms.saturating_add(spec.history_ms().unwrap_or(i64::MAX));
            let (statistics, newest) = series.average_before(spec, end_ms).zip(series.newest_before(end_ms))?;
            // Nothing has changed, so the stored row may know more than a partial result.
            if is_repeated && statistics.1 {
                return None;
            }
            let outcome = result(settings.unit(reading.metric), statistics, newest, series);
            Some(Closed { seconds: 0, from_ms, outcome })
        });
        Some(Step { history: history.collect(), ..Step::of(counts) })
    }

    fn latest(settings: &W, state: &DeviceState) -> Vec<(String, MetricResult)> {
        let results = state.series.iter().filter_map(|(metric, series)| {
            let statistics = series.average(settings.window(metric)?)?;
            Some((metric.clone(), result(settings.unit(metric), statistics, series.newest()?, series)))
        });
        results.collect()
    }
}

/// The beginning of the interval that a reading at `place` closed when it came first.
fn closed_by(series: &Series, spec: &WindowSpec, place: Place) -> Option<i64> {
    let length = spec.history_ms()?;
    let last = series.newest_before(place.at.div_euclid(length) * length)?;
    Some(last.place.at.div_euclid(length) * length)
}

fn result(unit: &str, (average, partial): (Average, bool), newest: Entry, series: &Series) -> MetricResult {
    MetricResult {
        unit: unit.to_owned(),
        value: newest.value,
        at: newest.place.at,
        clock: newest.clock.filter(|clock| *clock != ClockSource::Device),
        average,
        partial,
        lost_until: series.forgotten.filter(|_| partial).map(|place| place.at),
    }
}

/// The beginnings of the intervals of history whose rows a reading at `place` makes due: the interval that it closes, which
/// is the last one before it, or those closed ones whose windows it belongs to.
///
/// Only a later reading closes an interval: there is no clock here. After a loss, an interval can be closed again, with fewer
/// readings: its result is partial then.
fn intervals(series: &Series, spec: &WindowSpec, before: Option<Entry>, place: Place) -> Vec<i64> {
    let (Some(length), Some(before)) = (spec.history_ms(), before) else { return Vec::new() };
    let interval = |at: i64| at.div_euclid(length) * length;
    let open = interval(before.place.at);
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
