//! How readings advance the hours of a device.
//!
//! A temperature holds until the next reading, for at most a quarter of an hour. So a sensor that is silent makes no degree
//! hours, and the result says how much of the hour is known.

use crate::outcome::WarmHour;
use crate::state::{DeviceState, OpenHour};
use myaku::device::profile::Profile;
use myaku::device::reading::Value;
use myaku::keyed::{Closed, Counts, Incoming, Rule, State, Step};
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
/// How long a temperature holds, in milliseconds.
const HOLDS_MS: i64 = 900_000;

/// The rule. A metric takes part if its profile has `"functions": {"degree-hours": {"above": 8}}`, in the metric's unit.
pub(crate) struct DegreeHours;

impl Rule for DegreeHours {
    type Settings = Arc<Profile>;
    type State = DeviceState;

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Number(_))
    }

    fn wants(profile: &Arc<Profile>, metric: &str) -> bool {
        limit(profile, metric).is_some()
    }

    fn step(
        profile: &Arc<Profile>,
        state: &mut DeviceState,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<WarmHour>> {
        let above = limit(profile, reading.metric)?;
        let Value::Number(value) = *reading.value else { return None };
        let from_ms = reading.at.div_euclid(HOUR_MS) * HOUR_MS;
        let next = OpenHour { from_ms, at: reading.at, id: reading.id.digest, value, warm: 0.0, known_ms: 0.0 };
        state.lost_until = state.lost_until.max(lost_until);
        let Some(open) = state.hours.get_mut(reading.metric) else {
            state.hours.insert(reading.metric.to_owned(), next);
            return Some(Step::of(Counts::Once { late: false }));
        };
        if open.id == reading.id.digest {
            return Some(Step::of(Counts::Duplicate));
        }
        if reading.at <= open.at {
            return Some(Step::of(Counts::Once { late: true }));
        }
        let mut history = Vec::new();
        open.hold(reading.at, above);
        if from_ms > open.from_ms {
            let outcome = open.outcome(state.lost_until);
            history.push(Closed { seconds: 0, from_ms: open.from_ms, outcome });
            // The last temperature may hold on into the new hour.
            *open = OpenHour { from_ms, warm: 0.0, known_ms: 0.0, ..*open };
            open.hold(reading.at, above);
        }
        *open = OpenHour { at: reading.at, id: reading.id.digest, value, ..*open };
        Some(Step { history, ..Step::of(Counts::Once { late: false }) })
    }

    fn latest(_: &Arc<Profile>, state: &DeviceState) -> Vec<(String, WarmHour)> {
        let outcome = |(metric, hour): (&String, &OpenHour)| (metric.clone(), hour.outcome(state.lost_until));
        state.hours.iter().map(outcome).collect()
    }
}

impl OpenHour {
    /// Adds the time in which the last temperature holds, up to `until_ms` and within the hour.
    fn hold(&mut self, until_ms: i64, above: f64) {
        let begin_ms = self.at.max(self.from_ms);
        let end_ms = until_ms.min(self.at + HOLDS_MS).min(self.from_ms + HOUR_MS);
        let ms = (end_ms - begin_ms).max(0) as f64;
        // What a state keeps must be finite.
        self.warm = (self.warm + (self.value - above).max(0.0) * ms).min(f64::MAX);
        self.known_ms += ms;
    }

    /// What the hour comes to so far. A lost reading matters to it if its temperature would hold on into the hour.
    fn outcome(&self, lost_until: Option<i64>) -> WarmHour {
        WarmHour {
            degree_hours: self.warm / HOUR_MS as f64,
            known_seconds: self.known_ms / 1_000.0,
            partial: lost_until.is_some_and(|until_ms| until_ms + HOLDS_MS >= self.from_ms),
        }
    }
}

/// The limit of a metric; `None` if its profile sets none.
fn limit(profile: &Profile, metric: &str) -> Option<f64> {
    profile.metric(metric)?.functions.get(DeviceState::NAME)?.get("above")?.as_f64()
}
