//! Timelines against a plain reference: all readings kept, everything computed from the whole set.

mod cases;
mod reference;

use super::*;
use crate::device::profile::document::Kind;
use crate::device::profile::{Size, Windows};
use crate::device::reading::Value;
use crate::keyed::ReadingId;
use crate::keyed::codec::{decode, encode};
use crate::keyed::{Counts, Kept, State as _};
use proptest::prelude::*;
use reference::{Reference, check};
use std::collections::BTreeMap;

/// An id that is after those of lower numbers.
const fn numbered(id: u64) -> ReadingId {
    ReadingId { order: id, digest: id }
}

/// Windows that divide time, that overlap, days, and sessions.
pub(super) fn windows(allowed_lateness_seconds: i64) -> Windows {
    let fixed = |length: i64, step: i64| Size::Fixed { length_ms: length * 1_000, step_ms: step * 1_000 };
    let zone = jiff::tz::TimeZoneDatabase::bundled().get("Asia/Tokyo").unwrap();
    let sizes = [fixed(30, 30), fixed(60, 25), Size::Days { days: 1, zone }, Size::Session { gap_ms: 12_000 }];
    Windows { list: sizes.map(Into::into).to_vec(), allowed_lateness_ms: allowed_lateness_seconds * 1_000 }
}

pub(super) fn spec(kind: Kind, windows: &Windows) -> MetricSpec<'_> {
    MetricSpec { kind, unit: "", windows }
}

fn value(kind: Kind, n: i32) -> Value {
    match kind {
        Kind::Number => Value::Number(f64::from(n) / 8.0),
        Kind::Boolean => Value::Boolean(n.rem_euclid(2) == 1),
        Kind::Text => Value::Text(format!("error {}", n.rem_euclid(7))),
        Kind::Position => Value::Position([179.9 - f64::from(n.rem_euclid(20)) / 100.0, f64::from(n % 40)]),
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Number), Just(Kind::Boolean), Just(Kind::Text), Just(Kind::Position)]
}

/// Readings in the order in which they come. Their times repeat and go back, and ids come again with other times. They are
/// around a midnight in Tokyo.
fn readings(kind: Kind) -> impl Strategy<Value = Vec<Entry>> {
    let reading = (0..60_u64, 0..400_i64, -100..100_i32);
    prop::collection::vec(reading, 1..60).prop_map(move |readings| {
        let midnight = 15 * 3_600_000;
        let entry = |(id, seconds, n)| Entry {
            at: midnight + (seconds - 200) * 1_000,
            id: numbered(id),
            value: value(kind, n),
        };
        readings.into_iter().map(entry).collect()
    })
}

/// Readings that come at most `lateness` seconds after newer ones, in two such orders.
fn two_orders(kind: Kind, lateness: i64) -> impl Strategy<Value = (Vec<Entry>, Vec<Entry>)> {
    let delays = prop::collection::vec((0..=lateness, 0..=lateness), 60);
    (readings(kind), delays).prop_map(|(readings, delays)| {
        // An id comes again at the same time, which is known as long as it may move.
        let mut times = BTreeMap::new();
        let readings: Vec<_> = readings
            .into_iter()
            .map(|entry| Entry { at: *times.entry(entry.id).or_insert(entry.at), ..entry })
            .zip(delays)
            .collect();
        let order = |delay: fn(&(i64, i64)) -> i64| {
            let mut ordered = readings.clone();
            ordered.sort_by_key(|(entry, delays)| entry.at + delay(delays) * 1_000);
            ordered.into_iter().map(|(entry, _)| entry).collect()
        };
        (order(|delays| delays.0), order(|delays| delays.1))
    })
}

/// The results that were due last, by window and beginning.
pub(super) type Last = BTreeMap<(String, i64), WindowResult>;

pub(super) fn note(last: &mut Last, due: Vec<WindowResult>) {
    last.extend(due.into_iter().map(|result| ((result.window.clone(), result.interval.from_ms), result)));
}

/// The device after it was stored and loaded again.
pub(super) fn stored(device: MetricTimelines) -> MetricTimelines {
    let kept = Kept { state: device, ..Kept::default() };
    let again = decode::<MetricTimelines>(&encode(&kept)).unwrap();
    assert_eq!(again, kept);
    again.state
}

fn run(kind: Kind, windows: &Windows, readings: &[Entry]) -> (MetricTimelines, Last) {
    let (mut device, mut last) = (MetricTimelines::default(), Last::new());
    for entry in readings {
        let inserted = device.insert("m", spec(kind, windows), entry.clone(), None).unwrap();
        note(&mut last, inserted.due);
    }
    (device, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_result_is_that_of_the_set_of_readings_that_were_in_time(
        (kind, readings) in kinds().prop_flat_map(|kind| (Just(kind), readings(kind))),
        lateness in prop_oneof![Just(0), 1..60_i64, Just(400)],
    ) {
        let windows = windows(lateness);
        let mut reference = Reference::new(&windows);
        let (mut device, mut last) = (MetricTimelines::default(), Last::new());
        for entry in &readings {
            let expected = reference.insert(entry.clone());
            let inserted = device.insert("m", spec(kind, &windows), entry.clone(), None).unwrap();
            prop_assert_eq!(inserted.counts, expected);
            note(&mut last, inserted.due);
            device = stored(device);
            let live = device.timeline("m").unwrap().live(spec(kind, &windows));
            check(&reference.live(), live)?;
            check(&reference.written(), last.values().cloned().collect())?;
        }
    }

    #[test]
    fn the_order_in_which_readings_come_changes_neither_a_result_nor_the_state(
        (kind, lateness, (left, right)) in (kinds(), 0..90_i64)
            .prop_flat_map(|(kind, lateness)| (Just(kind), Just(lateness), two_orders(kind, lateness))),
    ) {
        let windows = windows(lateness);
        let (left, right) = (run(kind, &windows, &left), run(kind, &windows, &right));
        prop_assert_eq!(left.0, right.0);
        prop_assert_eq!(left.1, right.1);
    }

    #[test]
    fn a_repeated_reading_counts_once_and_writes_its_closed_windows_again(
        (kind, readings) in kinds().prop_flat_map(|kind| (Just(kind), readings(kind))),
        which in any::<prop::sample::Index>(),
    ) {
        let windows = windows(400);
        let (mut device, last) = run(kind, &windows, &readings);
        let before = device.clone();
        let id = readings[which.index(readings.len())].id;
        let known = device.timelines[0].1.pending.iter().find(|entry| entry.id == id).unwrap().clone();
        let inserted = device.insert("m", spec(kind, &windows), known.clone(), None).unwrap();
        prop_assert_eq!(inserted.counts, Counts::Duplicate);
        prop_assert_eq!(&device, &before);
        let belongs = |result: &&WindowResult| (result.interval.from_ms..result.interval.to_ms).contains(&known.at);
        for result in last.values().filter(belongs).filter(|result| result.count() > 0) {
            prop_assert!(inserted.due.contains(result), "{:?} lacks {:?}", inserted.due, result);
        }
        for result in &inserted.due {
            prop_assert_eq!(last.get(&(result.window.clone(), result.interval.from_ms)), Some(result));
        }
    }

    #[test]
    fn a_result_is_partial_or_that_of_the_whole_set_wherever_readings_were_lost(
        (kind, readings) in kinds().prop_flat_map(|kind| (Just(kind), readings(kind))),
        lost in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let windows = windows(400);
        // Each id comes once, so that the set does not depend on what is known.
        let readings: Vec<_> = (0..).zip(readings).map(|(id, entry)| Entry { id: numbered(id), ..entry }).collect();
        let (from, to) = (lost.0.index(readings.len()), lost.1.index(readings.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);
        let until_ms = readings[..to].iter().map(|entry| entry.at).max().unwrap();
        // The state before some readings is what is left, and the loss reaches to the newest of them.
        let mut device = run(kind, &windows, &readings[..from]).0;
        device.lose(until_ms);
        let mut reference = Reference::new(&windows);
        for entry in &readings[..to] {
            reference.insert(entry.clone());
        }
        for entry in &readings[to..] {
            reference.insert(entry.clone());
            let due = device.insert("m", spec(kind, &windows), entry.clone(), Some(until_ms)).unwrap().due;
            let whole = reference.written();
            for result in due.into_iter().filter(|result| !result.partial) {
                let expected = whole.iter().find(|of| of.is_of(&result)).cloned();
                prop_assert!(expected.is_some(), "{:?}", result);
                check(&expected.into_iter().collect::<Vec<_>>(), vec![result])?;
            }
            let live = device.timeline("m").unwrap().live(spec(kind, &windows));
            for result in live {
                if result.partial {
                    prop_assert_eq!(result.lost_until, Some(until_ms));
                    continue;
                }
                let expected = reference.live().into_iter().find(|of| of.is_of(&result));
                check(&expected.into_iter().collect::<Vec<_>>(), vec![result])?;
            }
        }
    }
}
