//! Judges a reading: does the condition of a rule hold?

use super::area;
use super::flat::Stretch;
use super::means::Means;
use super::recent::Recent;
use super::state::Memory;
use super::trend::Trend;
use crate::anomaly::score::{Detector, Score};
use crate::device::profile::{Condition, Count, Forecast, StateValue, Threshold};
use crate::device::reading::Value;
use crate::keyed::Incoming;
use jiff::tz::TimeZone;

/// Larger numbers, of either sign, count as this one: so no sum of them exceeds the range of a number.
const LARGEST: f64 = 1e30;

/// What a condition says of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judgement {
    /// Whether the condition holds.
    pub(super) holds: bool,
    /// Since when, in milliseconds since the epoch, by this reading alone.
    pub(super) since_ms: i64,
    /// The number that is judged, if there is one, and its limit.
    pub(super) value: Option<f64>,
    pub(super) limit: Option<f64>,
    /// The score, if that is the condition.
    pub(super) score: Option<Score>,
}

/// A reading, and what is known beside it.
pub(super) struct Situation<'a> {
    pub(super) reading: &'a Incoming<'a>,
    /// The time of the reading before it, in milliseconds since the epoch.
    pub(super) before_ms: Option<i64>,
    /// Whether the rule has an open incident.
    pub(super) is_open: bool,
    /// Where times of the day are meant.
    pub(super) zone: &'a TimeZone,
}

/// Judges a reading, and lets `memory` remember it. `None`: it cannot be said yet, or the reading is not of the kind of the condition.
pub(super) fn judge(condition: &Condition, memory: &mut Memory, situation: &Situation<'_>) -> Option<Judgement> {
    let Situation { reading, before_ms, is_open, zone } = *situation;
    let at = reading.at;
    let number = match reading.value {
        Value::Number(number) => Some(number.clamp(-LARGEST, LARGEST)),
        _ => None,
    };
    let ms = |seconds: u32| i64::from(seconds) * 1_000;
    let judgement = |holds: bool, value, limit| Judgement { holds, since_ms: at, value, limit, score: None };
    Some(match condition {
        Condition::Threshold(threshold) => {
            let value = match threshold.mean_seconds {
                None => number?,
                Some(seconds) => with_recent(memory, seconds, at, Some(number?), Recent::mean)?,
            };
            let (holds, limit) = exceeds(threshold, value, is_open);
            judgement(holds, Some(value), limit)
        }
        Condition::Change(change) => {
            let span = with_recent(memory, change.seconds, at, Some(number?), Recent::span);
            judgement(span > change.above, Some(span), Some(change.above))
        }
        Condition::Flat(flat) => {
            let value = number?;
            let stretch = match *memory {
                Memory::Flat(stretch) => stretch.with(at, value, flat.within),
                _ => Stretch::new(at, value),
            };
            *memory = Memory::Flat(stretch);
            let holds = at.saturating_sub(stretch.since_ms) >= ms(flat.seconds);
            Judgement { since_ms: stretch.since_ms, ..judgement(holds, Some(value), None) }
        }
        Condition::Gap(gap) => {
            let before = before_ms?;
            let waited = at.saturating_sub(before);
            let seconds = Some(waited as f64 / 1_000.0);
            Judgement { since_ms: before, ..judgement(waited > ms(gap.seconds), seconds, Some(gap.seconds.into())) }
        }
        Condition::Drift(drift) => {
            let value = number?;
            let long_ms = ms(drift.seconds);
            let means = match *memory {
                Memory::Means(means) => means.with(at, value, long_ms),
                _ => Means::new(at, value),
            };
            *memory = Memory::Means(means);
            let distance = means.distance(long_ms)?;
            judgement(distance.abs() > drift.above, Some(distance), Some(drift.above))
        }
        Condition::State(state) => judgement(is(reading.value, &state.is)?, None, None),
        Condition::Count(count) => {
            let added = matches(count, reading.value).then_some(0.0);
            let found = with_recent(memory, count.seconds, at, added, Recent::count);
            judgement(found >= count.at_least.into(), Some(found as f64), Some(count.at_least.into()))
        }
        Condition::Zone(zone_of) => match reading.value {
            Value::Position(position) => judgement(area::holds(zone_of, *position, at, zone), None, None),
            _ => return None,
        },
        Condition::Forecast(forecast) => {
            let value = number?;
            let mut trend = match std::mem::take(memory) {
                Memory::Trend(trend) => trend,
                _ => Trend::default(),
            };
            trend.add(at, value, ms(forecast.over_seconds.unwrap_or(forecast.within_seconds)));
            let slope = trend.slope();
            *memory = Memory::Trend(trend);
            let (holds, limit) = reaches(forecast, value, slope);
            judgement(holds, Some(value), limit)
        }
        Condition::Score(above) => {
            let value = number?;
            let mut detector = match std::mem::take(memory) {
                Memory::Score(detector) => detector,
                _ => Box::new(Detector::new()),
            };
            let score = detector.update(at, value);
            *memory = Memory::Score(detector);
            Judgement { score: Some(score), ..judgement(score.value >= above.from, Some(value), None) }
        }
    })
}

/// Whether what was counted is too old by now, before a reading of `at` counts.
pub(super) fn has_passed(condition: &Condition, memory: &mut Memory, at: i64) -> bool {
    let Condition::Count(count) = condition else { return false };
    with_recent(memory, count.seconds, at, None, Recent::count) < count.at_least.into()
}

/// What the numbers of the last so many seconds, with `added`, are by `ask`.
fn with_recent<T>(memory: &mut Memory, seconds: u32, at: i64, added: Option<f64>, ask: impl FnOnce(&Recent) -> T) -> T {
    let mut recent = match std::mem::take(memory) {
        Memory::Recent(recent) => recent,
        _ => Recent::default(),
    };
    recent.move_to(seconds, at);
    if let Some(value) = added {
        recent.add(at, value);
    }
    let answer = ask(&recent);
    *memory = Memory::Recent(recent);
    answer
}

/// Whether a number is beyond a limit, and which. While an incident is open, it must be back by the hysteresis.
fn exceeds(threshold: &Threshold, value: f64, is_open: bool) -> (bool, Option<f64>) {
    let by = if is_open { threshold.hysteresis } else { 0.0 };
    if threshold.above.is_some_and(|above| value > above - by) {
        return (true, threshold.above);
    }
    (threshold.below.is_some_and(|below| value < below + by), threshold.below)
}

/// Whether a number reaches its limit in time. A number that has reached it does, whatever its slope.
fn reaches(forecast: &Forecast, value: f64, slope: Option<f64>) -> (bool, Option<f64>) {
    let within_ms = f64::from(forecast.within_seconds) * 1_000.0;
    let is_beyond = |value: f64| {
        forecast.below.is_some_and(|below| value < below) || forecast.above.is_some_and(|above| value > above)
    };
    let limit = forecast.below.or(forecast.above);
    if is_beyond(value) {
        return (true, limit);
    }
    // Without a slope nothing is known of later, and the number has not reached its limit.
    (slope.is_some_and(|slope| is_beyond(slope.mul_add(within_ms, value))), limit)
}

/// Whether a boolean or a text has a value; `None` if it is of another kind.
fn is(value: &Value, state: &StateValue) -> Option<bool> {
    match (value, state) {
        (Value::Boolean(value), StateValue::Boolean(state)) => Some(value == state),
        (Value::Text(value), StateValue::Text(state)) => Some(value == state),
        _ => None,
    }
}

/// Whether a reading is one of those that are counted.
fn matches(count: &Count, value: &Value) -> bool {
    let number = |limit: Option<f64>, is_beyond: fn(f64, f64) -> bool| match (limit, value) {
        (Some(limit), Value::Number(number)) => is_beyond(*number, limit),
        _ => false,
    };
    match (count.above.or(count.below), &count.is) {
        (None, None) => true,
        (Some(_), _) => number(count.above, |n, limit| n > limit) || number(count.below, |n, limit| n < limit),
        (None, Some(state)) => is(value, state).unwrap_or(false),
    }
}
