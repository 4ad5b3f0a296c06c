//! The window against a plain reference: all readings kept, everything computed from the whole set.
#![allow(clippy::float_cmp, reason = "means of small whole numbers are exact")]

use super::rule::advance;
use super::*;
use crate::device::profile::MAX_READINGS;
use crate::device::profile::WindowSpec;
use crate::keyed::{Change, Incoming, Loss, Origin, State as _, id_digest};
use crate::results::Average;
use crate::stream::batch::Position;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What the contract says, with no regard to memory: of each id the earliest, sorted; the last N, and those of the
/// last M seconds before the newest.
fn reference(spec: &WindowSpec, readings: &[(String, i64, f64)], before_ms: i64) -> Vec<(i64, f64)> {
    let mut by_id: BTreeMap<&str, (i64, f64)> = BTreeMap::new();
    for (id, at, value) in readings {
        let known = by_id.entry(id).or_insert((*at, *value));
        if *at < known.0 {
            *known = (*at, *value);
        }
    }
    let mut all: Vec<_> = by_id.into_iter().filter(|(_, (at, _))| *at < before_ms).collect();
    all.sort_by_key(|(id, (at, _))| (*at, id_digest(id)));
    let newest = all.last().map_or(0, |(_, (at, _))| *at);
    let last = spec.last.map_or(usize::MAX, |last| last as usize);
    let skip = all.len().saturating_sub(last);
    all.into_iter()
        .skip(skip)
        .map(|(_, reading)| reading)
        .filter(|(at, _)| spec.seconds.is_none_or(|seconds| *at > newest - i64::from(seconds) * 1_000))
        .collect()
}

const ORIGIN: Origin<'_> = Origin { stream: "s", shard: "shard" };

fn at(n: usize) -> Position {
    Position { sequence: (n + 1).to_string().parse().unwrap(), sub: 0 }
}

/// Applies the readings in batches that end before `cuts`; returns the state and, of each row, what it was last.
fn run(
    spec: &WindowSpec,
    readings: &[(String, i64, f64)],
    cuts: &[usize],
) -> (DeviceState, BTreeMap<Option<i64>, Change>) {
    let incoming: Vec<_> = readings
        .iter()
        .enumerate()
        .map(|(index, (id, time, value))| Incoming {
            position: at(index),
            metric: "m",
            id: id_digest(id),
            at: *time,
            value: *value,
            index,
        })
        .collect();
    let mut state = None;
    let mut rows = BTreeMap::new();
    let mut begin = 0;
    let ends = cuts.iter().map(|cut| cut % (incoming.len() + 1)).chain([incoming.len()]);
    for end in ends {
        if end < begin {
            continue;
        }
        // Each batch is delivered a second time with the one before it: nothing of it counts.
        let out = advance(state.as_ref(), ORIGIN, &incoming[begin..end], |_| Some(spec), &BTreeMap::new());
        let again = advance(Some(&out.state), ORIGIN, &incoming[..end], |_| Some(spec), &BTreeMap::new());
        assert_eq!((&again.state, again.changes.len(), again.redelivered), (&out.state, 0, end));
        rows.extend(out.changes.into_iter().map(|change| (change.interval_ms, change)));
        state = Some(out.state);
        begin = end;
    }
    (state.unwrap_or_default(), rows)
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
fn readings() -> impl Strategy<Value = Vec<(String, i64, f64)>> {
    prop::collection::vec((0..40_u32, 0..120_i64, -100..100_i32), 1..50).prop_map(|readings| {
        let mut known: BTreeMap<u32, (i64, f64)> = BTreeMap::new();
        readings
            .into_iter()
            .map(|(id, seconds, value)| {
                let (at, value) = *known.entry(id).or_insert((seconds * 1_000, f64::from(value)));
                (format!("r{id}"), at, value)
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
        let (state, rows) = run(&spec, &readings, &[]);
        let window = reference(&spec, &readings, i64::MAX);
        let (average, partial) = state.series("m").unwrap().average(&spec).unwrap();
        prop_assert!(matches(&average, &window), "{average:?} of {window:?}");
        prop_assert!(!partial, "nothing was lost");
        prop_assert_eq!(rows[&None].average, average, "the row is what the state says");
    }

    #[test]
    fn where_batches_are_cut_changes_neither_state_nor_rows(
        spec in specs(),
        readings in readings(),
        cuts in prop::collection::vec(any::<usize>(), 0..6).prop_map(|mut cuts| { cuts.sort_unstable(); cuts }),
    ) {
        let without_base = |rows: BTreeMap<Option<i64>, Change>| -> Vec<Change> {
            rows.into_values().map(|change| Change { base: None, ..change }).collect()
        };
        let (whole, rows) = run(&spec, &readings, &[]);
        let (cut, cut_rows) = run(&spec, &readings, &cuts);
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(without_base(rows), without_base(cut_rows));
    }

    #[test]
    fn history_is_that_of_the_set_when_no_reading_is_too_late(
        spec in specs(),
        readings in readings(),
    ) {
        let spec = WindowSpec { history_seconds: Some(spec.history_seconds.unwrap_or(7)), allowed_lateness_seconds: 120, ..spec };
        let length = i64::from(spec.history_seconds.unwrap()) * 1_000;
        let (_, rows) = run(&spec, &readings, &[]);
        let newest = readings.iter().map(|(_, at, _)| at.div_euclid(length)).max().unwrap();
        let expected: std::collections::BTreeSet<i64> = readings
            .iter()
            .map(|(_, at, _)| at.div_euclid(length))
            .filter(|interval| *interval < newest)
            .map(|interval| interval * length)
            .collect();
        let written: std::collections::BTreeSet<i64> = rows.keys().copied().flatten().collect();
        prop_assert_eq!(&written, &expected, "each closed interval with a reading has a row, and no other");
        for start in written {
            let window = reference(&spec, &readings, start + length);
            let change = &rows[&Some(start)];
            prop_assert!(matches(&change.average, &window), "{change:?} of {window:?}");
            prop_assert!(!change.partial);
        }
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
        let (state, _) = run(&spec, &readings, &[]);
        let (average, _) = state.series("m").unwrap().average(&spec).unwrap();
        prop_assert!(matches(&average, &reference(&spec, &readings, i64::MAX)), "{average:?}");
    }
}

fn one(n: u32, seconds: i64) -> (String, i64, f64) {
    (format!("r{n}"), seconds * 1_000, f64::from(n))
}

#[test]
fn an_id_that_left_the_window_a_short_while_ago_is_still_known() {
    let spec = WindowSpec::last(2);
    let mut readings: Vec<_> = (1..=5).map(|n| one(n, i64::from(n))).collect();
    readings.push(("r1".to_owned(), 60_000, 1.0));
    let (state, _) = run(&spec, &readings, &[]);
    assert_eq!(state.series("m").unwrap().average(&spec).unwrap().0.mean, 4.5);
}

#[test]
fn memory_is_bounded_however_fast_readings_come() {
    let spec = WindowSpec { allowed_lateness_seconds: 3_600, ..WindowSpec::last(2) };
    let mut series = Series::default();
    for n in 0..5_000 {
        let place = Place { at: n, id: id_digest(&n.to_string()) };
        series.insert(&spec, Entry { place, value: n as f64 });
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
        let place = Place { at: n, id: id_digest(&n.to_string()) };
        series.insert(&spec, Entry { place, value: 1.0 });
    }
    let (average, partial) = series.average(&spec).unwrap();
    assert_eq!((average.count, partial), (MAX_READINGS, true));
}

#[test]
fn results_are_partial_after_a_loss_until_the_window_has_filled_again() {
    let spec = WindowSpec::last(2);
    let losses = [("m".to_owned(), Loss { at: 10_000, revision: 7, position: at(0) })].into();
    let mut state = None;
    let mut partial = Vec::new();
    for (n, seconds) in [9_i64, 11, 12].into_iter().enumerate() {
        let id = n.to_string();
        let reading =
            Incoming { position: at(n), metric: "m", id: id_digest(&id), at: seconds * 1_000, value: 1.0, index: 0 };
        let none = BTreeMap::new();
        let losses = if n == 0 { &losses } else { &none };
        let out = advance(state.as_ref(), ORIGIN, &[reading], |_| Some(&spec), losses);
        partial.push((out.changes[0].partial, out.changes[0].revision));
        state = Some(out.state);
    }
    assert_eq!(partial, [(true, 8), (true, 9), (false, 10)]);
}

#[test]
fn a_window_by_time_is_whole_again_when_its_time_has_passed() {
    let mut series = Series::default();
    let spec = WindowSpec::seconds(5);
    series.lose(10_000, 1);
    for (at, partial) in [(11_000, true), (14_999, true), (15_000, false)] {
        series.insert(&spec, Entry { place: Place { at, id: at as u64 }, value: 1.0 });
        assert_eq!(series.average(&spec).unwrap().1, partial, "{at}");
    }
}

#[test]
fn a_late_reading_corrects_the_rows_it_belongs_to_with_a_higher_revision_and_no_row_when_too_late() {
    let spec = WindowSpec { history_seconds: Some(10), allowed_lateness_seconds: 30, ..WindowSpec::last(2) };
    let readings = [one(1, 5), one(2, 15), one(3, 25), one(4, 12), one(5, 99), one(6, 14)];
    let (_, rows) = run(&spec, &readings, &[1, 2, 3, 4, 5]);
    let row = |seconds: i64| {
        let change = &rows[&Some(seconds * 1_000)];
        (change.average.mean, change.revision)
    };
    assert_eq!(row(0), (1.0, 2), "closed by the second reading");
    assert_eq!(row(10), (3.0, 4), "corrected by the fourth, which the window of the next row does not reach");
    assert_eq!(row(20), (2.5, 5), "closed by the fifth; the sixth is too late");
}

#[test]
fn positions_of_another_stream_do_not_make_a_record_a_redelivery() {
    let spec = WindowSpec::last(5);
    let reading =
        |n: usize, id| Incoming { position: at(n), metric: "m", id: id_digest(id), at: 1, value: 1.0, index: 0 };
    let of = |stream| Origin { stream, shard: "shard" };
    let old = advance(None, of("old"), &[reading(9, "a")], |_| Some(&spec), &BTreeMap::new());
    let new =
        advance(Some(&old.state), of("new"), &[reading(1, "a"), reading(2, "b")], |_| Some(&spec), &BTreeMap::new());
    assert_eq!((new.redelivered, new.duplicates, new.counted), (0, 1, 1));
    assert_eq!(new.state.position("new"), Some(at(2)));
    assert_eq!(new.state.position("old"), None);
}

#[test]
fn a_record_that_a_reshard_led_astray_counts_once_although_another_shard_is_further() {
    let spec = WindowSpec::last(5);
    let reading =
        |n: usize, id| Incoming { position: at(n), metric: "m", id: id_digest(id), at: 1, value: 1.0, index: 0 };
    let of = |shard| Origin { stream: "s", shard };
    let after = |state: &DeviceState, shard, readings: &[Incoming<'_>]| {
        advance(Some(state), of(shard), readings, |_| Some(&spec), &BTreeMap::new())
    };
    let own = advance(None, of("own"), &[reading(9, "a")], |_| Some(&spec), &BTreeMap::new());
    let astray = after(&own.state, "sibling", &[reading(3, "b"), reading(4, "a")]);
    assert_eq!((astray.counted, astray.duplicates, astray.redelivered), (1, 1, 0));
    assert_eq!(astray.changes[0].position, at(9), "the row must not look older than it is");
    let again = after(&astray.state, "sibling", &[reading(3, "b"), reading(4, "a")]);
    assert_eq!((again.redelivered, again.changes.len()), (2, 0));
    assert_eq!(after(&again.state, "own", &[reading(9, "a")]).redelivered, 1);
}
