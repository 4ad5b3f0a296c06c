//! The window against a plain reference: all readings kept, everything computed from the whole set.
#![allow(clippy::float_cmp, reason = "means of small whole numbers are exact")]

use super::*;
use crate::device::event_time::ClockSource;
use crate::device::profile::{MAX_READINGS, WindowSpec};
use crate::device::reading::Value;
use crate::keyed::{Closed, Counts, Incoming, ReadingId, Rule, State as _, Step, id_digest};
use crate::results::{Average, MetricResult};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the contract says, with no regard to memory: of each id the earliest, sorted; the last N, and those of the
/// last M seconds before the newest.
fn reference(spec: &WindowSpec, readings: &[Reading], before_ms: i64) -> Vec<(i64, f64)> {
    let mut by_id: BTreeMap<&str, (i64, f64)> = BTreeMap::new();
    for (id, at, value) in readings {
        let known = by_id.entry(id).or_insert((*at, *value));
        if *at < known.0 {
            *known = (*at, *value);
        }
    }
    let mut all: Vec<_> = by_id.into_iter().filter(|(_, (at, _))| *at < before_ms).collect();
    // Readings of one time are in the order of their numbers.
    let number = |id: &str| id.strip_prefix("b/p").and_then(|id| id.split_once('@')?.0.parse::<u32>().ok());
    all.sort_by_key(|(id, (at, _))| (*at, number(id)));
    let newest = all.last().map_or(0, |(_, (at, _))| *at);
    let last = spec.last.map_or(usize::MAX, |last| last as usize);
    let skip = all.len().saturating_sub(last);
    all.into_iter()
        .skip(skip)
        .map(|(_, reading)| reading)
        .filter(|(at, _)| spec.seconds.is_none_or(|seconds| *at > newest - i64::from(seconds) * 1_000))
        .collect()
}

/// A window of the metric `m`, and of no other.
pub(super) struct Only(pub(super) WindowSpec);

impl MetricWindows for Only {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        (metric == "m").then_some(&self.0)
    }

    fn unit(&self, _: &str) -> &'static str {
        "°C"
    }
}

/// Advances a state by a reading of `m`.
pub(super) fn step(
    spec: &WindowSpec,
    state: &mut DeviceState,
    reading: &Reading,
    lost_until: Option<i64>,
) -> Step<MetricResult> {
    let (id, at, value) = reading;
    let value = Value::Number(*value);
    let id = ReadingId::of(id, 0);
    let incoming = Incoming { metric: "m", id, at: *at, clock: ClockSource::Device, value: &value };
    MovingAverage::step(&Only(spec.clone()), state, &incoming, lost_until).expect("it has a window")
}

/// The latest result of `m`.
pub(super) fn latest(spec: &WindowSpec, state: &DeviceState) -> Option<MetricResult> {
    MovingAverage::latest(&Only(spec.clone()), state).pop().map(|(metric, result)| {
        assert_eq!((metric.as_str(), result.unit.as_str()), ("m", "°C"));
        result
    })
}

/// A reading: its id, its time in milliseconds, and its value.
pub(super) type Reading = (String, i64, f64);

/// Steps through the readings; returns the state and, of each interval of history, what its result was last.
fn run(spec: &WindowSpec, readings: &[Reading]) -> (DeviceState, BTreeMap<i64, MetricResult>) {
    let mut state = DeviceState::default();
    let mut history = BTreeMap::new();
    for reading in readings {
        let closed = step(spec, &mut state, reading, None).history.into_iter();
        history.extend(closed.map(|closed| (closed.from_ms, closed.outcome)));
    }
    (state, history)
}

/// Windows of all kinds.
pub(super) fn specs() -> impl Strategy<Value = WindowSpec> {
    let some = |range| proptest::option::of(range);
    (some(1..8_u32), some(1..60_u32), some(1..20_u32), 0..60_u32)
        .prop_filter("a window", |(last, seconds, ..)| last.is_some() || seconds.is_some())
        .prop_map(|(last, seconds, history_seconds, allowed_lateness_seconds)| WindowSpec {
            last,
            seconds,
            history_seconds,
            allowed_lateness_seconds,
        })
}

/// Readings whose times repeat and go back, with duplicates.
pub(super) fn readings() -> impl Strategy<Value = Vec<Reading>> {
    prop::collection::vec((0..40_u32, 0..120_i64, -100..100_i32), 1..50).prop_map(|readings| {
        let mut known: BTreeMap<u32, (i64, f64)> = BTreeMap::new();
        readings
            .into_iter()
            .map(|(id, seconds, value)| {
                let (at, value) = *known.entry(id).or_insert((seconds * 1_000, f64::from(value)));
                (format!("b/p{id}@0#0"), at, value)
            })
            .collect()
    })
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * (1.0 + right.abs())
}

fn matches(average: &Average, window: &[(i64, f64)]) -> bool {
    let n = window.len() as f64;
    let mean = window.iter().map(|(_, value)| value).sum::<f64>() / n;
    let variance = window.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / n;
    average.count as usize == window.len() && close(average.mean, mean) && close(average.stddev, variance.sqrt())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_latest_average_is_that_of_the_set_in_any_order_and_with_duplicates(spec in specs(), readings in readings()) {
        let (state, _) = run(&spec, &readings);
        let window = reference(&spec, &readings, i64::MAX);
        let result = latest(&spec, &state).unwrap();
        prop_assert!(matches(&result.average, &window), "{result:?} of {window:?}");
        prop_assert_eq!(Some(&(result.at, result.value)), window.last(), "it has the newest reading");
        prop_assert_eq!((result.partial, result.lost_until), (false, None), "nothing was lost");
    }

    #[test]
    fn each_id_counts_once(spec in specs(), readings in readings()) {
        // Reaches back to all of them.
        let spec = WindowSpec { allowed_lateness_seconds: 120, ..spec };
        let mut state = DeviceState::default();
        let mut counted = BTreeSet::new();
        for reading in &readings {
            let before = state.clone();
            let step = step(&spec, &mut state, reading, None);
            if counted.insert(&reading.0) {
                prop_assert_eq!(step.counts, Counts::Once { late: false });
            } else {
                prop_assert!(matches!(step.counts, Counts::Duplicate | Counts::Contradiction));
                prop_assert_eq!(&state, &before);
                // Its rows are written again, as they are now.
                for Closed { from_ms, outcome: result, .. } in step.history {
                    let end_ms = from_ms + i64::from(spec.history_seconds.unwrap()) * 1_000;
                    let now = state.series("m").unwrap().average_before(&spec, end_ms);
                    prop_assert_eq!(now, Some((result.average, false)));
                }
            }
        }
    }

    #[test]
    fn history_is_that_of_the_set_when_no_reading_is_too_late(
        spec in specs(),
        readings in readings(),
    ) {
        let spec = WindowSpec { history_seconds: Some(spec.history_seconds.unwrap_or(7)), allowed_lateness_seconds: 120, ..spec };
        let length = i64::from(spec.history_seconds.unwrap()) * 1_000;
        let (_, history) = run(&spec, &readings);
        let newest = readings.iter().map(|(_, at, _)| at.div_euclid(length)).max().unwrap();
        let expected: BTreeSet<i64> = readings
            .iter()
            .map(|(_, at, _)| at.div_euclid(length))
            .filter(|interval| *interval < newest)
            .map(|interval| interval * length)
            .collect();
        let written: BTreeSet<i64> = history.keys().copied().collect();
        prop_assert_eq!(&written, &expected, "each closed interval with a reading has a result, and no other");
        for start in written {
            let window = reference(&spec, &readings, start + length);
            let result = &history[&start];
            prop_assert!(matches(&result.average, &window), "{result:?} of {window:?}");
            prop_assert_eq!(Some(&(result.at, result.value)), window.last());
            prop_assert!(!result.partial);
        }
    }

    #[test]
    fn a_result_is_that_of_the_set_or_partial_wherever_readings_were_lost(
        spec in specs(),
        readings in readings(),
        lost in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        later_seconds in 0..10_i64,
    ) {
        let spec = WindowSpec { allowed_lateness_seconds: 120, ..spec };
        // The state before some readings is what is left, and the loss reaches at least to the newest of them.
        let (from, to) = (lost.0.index(readings.len()), lost.1.index(readings.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);
        let until_ms = readings[..to].iter().map(|(_, at, _)| *at).max().unwrap() + later_seconds * 1_000;
        let (mut state, _) = run(&spec, &readings[..from]);
        state.lose(until_ms);
        let check = |result: &MetricResult, window: Vec<(i64, f64)>| {
            if result.partial {
                result.lost_until.is_some()
            } else {
                result.lost_until.is_none() && matches(&result.average, &window)
            }
        };
        for (n, reading) in readings.iter().enumerate().skip(to) {
            let step = step(&spec, &mut state, reading, Some(until_ms));
            let so_far = &readings[..=n];
            if let Some(result) = latest(&spec, &state) {
                prop_assert!(check(&result, reference(&spec, so_far, i64::MAX)), "{result:?}");
            }
            for Closed { from_ms: start, outcome: result, .. } in &step.history {
                let end = start + spec.history_ms().unwrap();
                prop_assert!(check(result, reference(&spec, so_far, end)), "{result:?}");
            }
        }
        // However much was lost, it is whole again when nothing that was lost can belong to the window.
        for n in 0..i64::from(spec.last.unwrap_or(1)) {
            let at = until_ms.max(120_000) + 60_000 + n;
            step(&spec, &mut state, &(format!("new{n}"), at, 1.0), Some(until_ms));
        }
        prop_assert_eq!(latest(&spec, &state).map(|result| (result.partial, result.lost_until)), Some((false, None)));
    }

    #[test]
    fn a_retry_with_another_time_counts_once_whichever_comes_first(
        seed in readings(),
        swap in any::<bool>(),
        delay in 1..60_i64,
    ) {
        // As far back as the allowed lateness reaches, here all of it.
        let spec = WindowSpec { allowed_lateness_seconds: 200, ..WindowSpec::last(3) };
        let mut readings = seed;
        let (id, at, value) = readings[readings.len() / 2].clone();
        let retry = (id.clone(), at + delay * 1_000, value);
        readings.push(retry);
        if swap {
            readings.reverse();
        }
        let (state, _) = run(&spec, &readings);
        let average = latest(&spec, &state).unwrap().average;
        prop_assert!(matches(&average, &reference(&spec, &readings, i64::MAX)), "{average:?}");
    }
}

fn one(n: u32, seconds: i64) -> Reading {
    (format!("r{n}"), seconds * 1_000, f64::from(n))
}

#[test]
fn an_id_that_left_the_window_a_short_while_ago_is_still_known() {
    let spec = WindowSpec::last(2);
    let mut readings: Vec<_> = (1..=5).map(|n| one(n, i64::from(n))).collect();
    readings.push(("r1".to_owned(), 60_000, 1.0));
    let (state, _) = run(&spec, &readings);
    assert_eq!(latest(&spec, &state).unwrap().average.mean, 4.5);
}

#[test]
fn readings_of_one_second_are_in_the_order_of_their_numbers() {
    let spec = WindowSpec::last(3);
    let mut shuffled: Vec<_> = (1..=12).map(|n| (format!("bed-17/p{n}@60000#0"), 60_000, f64::from(n))).collect();
    shuffled.sort_by_key(|(id, ..)| id_digest(id));
    let (state, _) = run(&spec, &shuffled);
    let result = latest(&spec, &state).unwrap();
    assert_eq!((result.value, result.average.mean), (12.0, 11.0));
}

#[test]
fn a_repetition_with_another_value_changes_nothing_and_is_a_contradiction() {
    let spec = WindowSpec::last(2);
    let mut state = DeviceState::default();
    let mut counts = |value: f64| step(&spec, &mut state, &("r".to_owned(), 60_000, value), None).counts;
    assert_eq!(counts(61.0), Counts::Once { late: false });
    assert_eq!(counts(61.0), Counts::Duplicate);
    assert_eq!(counts(62.0), Counts::Contradiction);
    assert_eq!(latest(&spec, &state).unwrap().value, 61.0);
}

#[test]
fn memory_is_bounded_however_fast_readings_come() {
    let spec = WindowSpec { allowed_lateness_seconds: 3_600, ..WindowSpec::last(2) };
    let mut series = Series::default();
    for n in 0..5_000 {
        let place = Place { at: n, id: ReadingId::of(&n.to_string(), n) };
        series.insert(&spec, Entry { place, value: n as f64, clock: None });
    }
    assert_eq!(series.entries().len(), 502);
    assert!(!series.average(&spec).unwrap().1, "the window itself is whole");
}

#[test]
fn a_window_by_time_that_is_full_to_its_limit_says_so() {
    let spec = WindowSpec::seconds(60);
    let mut series = Series::default();
    for n in 0..=i64::from(MAX_READINGS) {
        assert!(series.average(&spec).is_none_or(|(_, partial)| !partial));
        let place = Place { at: n, id: ReadingId::of(&n.to_string(), n) };
        series.insert(&spec, Entry { place, value: 1.0, clock: None });
    }
    let (average, partial) = series.average(&spec).unwrap();
    assert_eq!((average.count, partial), (MAX_READINGS, true));
}

#[test]
fn results_are_partial_after_a_loss_until_the_window_has_filled_again() {
    let spec = WindowSpec::last(2);
    let mut state = DeviceState::default();
    let partial = [9, 11, 12].map(|seconds| {
        step(&spec, &mut state, &one(seconds, i64::from(seconds)), Some(10_000));
        let result = latest(&spec, &state).unwrap();
        (result.partial, result.lost_until)
    });
    assert_eq!(partial, [(true, Some(10_000)), (true, Some(10_000)), (false, None)]);
}

#[test]
fn a_loss_concerns_all_metrics_of_a_device_those_it_has_and_new_ones() {
    struct Any(WindowSpec);
    impl MetricWindows for Any {
        fn window(&self, _: &str) -> Option<&WindowSpec> {
            Some(&self.0)
        }
        fn unit(&self, _: &str) -> &'static str {
            ""
        }
    }
    let settings = Any(WindowSpec::last(1));
    let mut state = DeviceState::default();
    let mut step = |metric, seconds: i64, lost_until| {
        let (id, at, clock) = (ReadingId::of("a", 0), seconds * 1_000, ClockSource::Device);
        let incoming = Incoming { metric, id, at, clock, value: &Value::Number(1.0) };
        if seconds == 3 {
            state.lose(3_000);
        }
        MovingAverage::step(&settings, &mut state, &incoming, lost_until).unwrap();
        MovingAverage::latest(&settings, &state).into_iter().map(|(metric, result)| (metric, result.partial)).collect()
    };
    let results = |results: &[(&str, bool)]| -> Vec<_> {
        results.iter().map(|(metric, partial)| ((*metric).to_owned(), *partial)).collect()
    };
    let before: Vec<_> = step("b", 1, None);
    assert_eq!(before, results(&[("b", false)]));
    assert_eq!(step("c", 3, Some(3_000)), results(&[("b", true), ("c", true)]));
    assert_eq!(step("a", 4, Some(3_000)), results(&[("a", false), ("b", true), ("c", true)]), "4 is after the loss");
    let wants = |metric| MovingAverage::wants(&Only(WindowSpec::last(1)), metric);
    assert!(wants("m") && !wants("n"));
}

#[test]
fn a_window_by_time_is_whole_again_when_its_time_has_passed() {
    let mut series = Series::default();
    let spec = WindowSpec::seconds(5);
    series.lose(10_000);
    for (at, partial) in [(11_000, true), (14_999, true), (15_000, false)] {
        series.insert(
            &spec,
            Entry { place: Place { at, id: ReadingId::of(&at.to_string(), at) }, value: 1.0, clock: None },
        );
        assert_eq!(series.average(&spec).unwrap().1, partial, "{at}");
    }
}

#[test]
fn a_late_reading_corrects_the_results_it_belongs_to_and_none_when_too_late() {
    let spec = WindowSpec { history_seconds: Some(10), allowed_lateness_seconds: 30, ..WindowSpec::last(2) };
    let mut state = DeviceState::default();
    let steps = [one(1, 5), one(2, 15), one(3, 25), one(4, 12), one(5, 99), one(6, 14)].map(|reading| {
        let Step { counts, history, .. } = step(&spec, &mut state, &reading, None);
        let means: Vec<_> =
            history.into_iter().map(|closed| (closed.from_ms / 1_000, closed.outcome.average.mean)).collect();
        (counts, means)
    });
    let in_time = Counts::Once { late: false };
    assert_eq!(steps[0], (in_time, vec![]));
    assert_eq!(steps[1], (in_time, vec![(0, 1.0)]), "closed by the second reading");
    assert_eq!(steps[2], (in_time, vec![(10, 1.5)]));
    assert_eq!(steps[3], (in_time, vec![(10, 3.0)]), "the window of the next result does not reach so far");
    assert_eq!(steps[4], (in_time, vec![(20, 2.5)]));
    assert_eq!(steps[5], (Counts::Once { late: true }, vec![]));
}

#[test]
fn a_reading_within_the_lateness_that_is_not_remembered_any_more_counts_as_too_late() {
    let spec = WindowSpec { history_seconds: Some(60), allowed_lateness_seconds: 3_600, ..WindowSpec::last(20) };
    let each_second: Vec<_> = (0..1_000).map(|n| one(n, i64::from(n))).collect();
    // Both are in the window of the interval that ends 2 s later.
    for (late_by, is_too_late) in [(641, true), (281, false)] {
        let mut state = run(&spec, &each_second).0;
        let step = step(&spec, &mut state, &one(5_000, 999 - late_by), None);
        assert_eq!(step.counts, Counts::Once { late: is_too_late }, "{late_by} s late");
        assert_eq!(step.history.is_empty(), is_too_late, "{late_by} s late");
    }
}

#[test]
fn a_retry_that_moves_a_reading_corrects_history_and_does_not_count() {
    let spec = WindowSpec { history_seconds: Some(10), allowed_lateness_seconds: 60, ..WindowSpec::last(5) };
    let mut state = run(&spec, &[one(1, 5), one(2, 15), one(3, 25)]).0;
    let step = step(&spec, &mut state, &one(2, 8), None);
    assert_eq!(step.counts, Counts::Duplicate);
    let counts: Vec<_> = step.history.iter().map(|closed| (closed.from_ms, closed.outcome.average.count)).collect();
    assert_eq!(counts, [(0, 2)]);
}
