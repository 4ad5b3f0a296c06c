//! The rule of windows of time: how readings advance the timelines of one device.

use super::device::MetricTimelines;
use super::result::WindowResult;
use super::timeline::{Entry, MetricSpec};
use crate::device::profile::Profile;
use crate::device::reading::Value;
use crate::keyed::{Closed, Incoming, Rule, Step};
use std::sync::Arc;

/// Windows of time, as the device's profile asks for them.
///
/// It has nothing for a latest row: what is not closed is in the state.
pub struct TumblingWindow;

impl Rule for TumblingWindow {
    type Settings = Arc<Profile>;
    type State = MetricTimelines;

    fn takes(_: &Value) -> bool {
        true
    }

    fn wants(settings: &Arc<Profile>, metric: &str) -> bool {
        settings.metric(metric).is_some_and(|metric| metric.windows.is_some())
    }

    fn step(
        settings: &Arc<Profile>,
        state: &mut MetricTimelines,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<WindowResult>> {
        let spec = MetricSpec::of(settings.metric(reading.metric)?)?;
        let entry = Entry { at: reading.at, id: reading.id, value: reading.value.clone() };
        let inserted = state.insert(reading.metric, spec, entry, lost_until)?;
        let seconds = |result: &WindowResult| {
            let window = spec.windows.list.iter().find(|window| window.name == result.window);
            window.map_or(0, |window| window.size.seconds())
        };
        let history = inserted.due.into_iter().map(|result| Closed {
            seconds: seconds(&result),
            from_ms: result.interval.from_ms,
            outcome: result,
        });
        Some(Step { history: history.collect(), ..Step::of(inserted.counts) })
    }
}

#[cfg(test)]
mod tests;
