//! Windows that were lost against those that were not: random readings, late and repeated.

use super::*;
use crate::device::event_time::ClockSource;
use crate::keyed::State as _;
use crate::keyed::id_digest;
use crate::results::MetricResult;
use crate::window::tests::{Reading, latest, readings, specs, step};
use proptest::prelude::*;

const ALL: Known = Known { since_ms: None, settled_ms: i64::MAX };

/// A device under the moving average.
#[derive(Clone, Default)]
struct Device {
    kept: Option<Kept<DeviceState>>,
    /// What is known of its slot.
    lost_until: Option<i64>,
}

impl Device {
    /// Takes in a batch, as [`keyed`](crate::keyed) does.
    fn take(&mut self, spec: &WindowSpec, readings: &[Reading]) {
        let kept = self.kept.get_or_insert_default();
        if let Some(until_ms) = self.lost_until.filter(|_| self.lost_until > kept.lost_until) {
            kept.lost_until = self.lost_until;
            kept.state.lose(until_ms);
        }
        for reading in readings {
            step(spec, &mut kept.state, reading, kept.lost_until);
        }
    }

    /// Has `kept` instead, and has lost readings up to `until_ms`.
    fn fall_back(&mut self, kept: Option<Kept<DeviceState>>, until_ms: i64) {
        self.kept = kept;
        self.lost_until = Some(until_ms);
    }

    fn rebuild(&mut self, spec: &WindowSpec, recovered: &Recovered, known: Known) -> Outcome {
        let outcome = rebuild(self.kept.as_ref(), self.lost_until, recovered, |_| Some(spec), known);
        if let Outcome::Rebuilt(rebuilt) = &outcome {
            self.kept = Some(rebuilt.kept.clone());
        }
        outcome
    }

    fn series(&self) -> Option<&Series> {
        self.kept.as_ref()?.state.series("m")
    }

    fn latest(&self, spec: &WindowSpec) -> Option<MetricResult> {
        latest(spec, &self.kept.as_ref()?.state)
    }
}

fn recovered(spec: &WindowSpec, readings: impl IntoIterator<Item = Reading>) -> Recovered {
    let mut recovered = Recovered::default();
    for (id, at, value) in readings {
        let place = Place { at, id: ReadingId::of(&id, 0) };
        recovered.insert(spec, "m", Entry { place, value, clock: Some(ClockSource::Device) });
    }
    recovered
}

fn newest_ms(readings: &[Reading]) -> i64 {
    readings.iter().map(|(_, at, _)| *at).max().unwrap_or_default()
}

/// The numbers of metrics that are whole and partial, of a device that was rebuilt.
fn rebuilt(outcome: &Outcome) -> Option<(usize, usize)> {
    match outcome {
        Outcome::Rebuilt(rebuilt) => Some((rebuilt.whole, rebuilt.partial)),
        Outcome::Whole | Outcome::Busy => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_window_that_was_lost_is_what_it_was(
        spec in specs(),
        readings in readings(),
        left in any::<prop::sample::Index>(),
        is_known in any::<bool>(),
        order in any::<u64>(),
    ) {
        let mut kept = Device::default();
        kept.take(&spec, &readings);
        let mut lost = Device::default();
        // Nothing is left, or the state before some of the readings.
        let left = left.index(readings.len());
        if left > 0 {
            lost.take(&spec, &readings[..left]);
        }
        let state = lost.kept.take();
        lost.fall_back(state, newest_ms(&readings));
        if is_known {
            lost.take(&spec, &[]);
        }
        // The lake gives them in any order, and some twice.
        let mut shuffled = [&readings[..], &readings[left..]].concat();
        shuffled.sort_by_key(|(id, ..)| id_digest(&format!("{order}{id}")));
        let outcome = lost.rebuild(&spec, &recovered(&spec, shuffled), ALL);
        prop_assert_eq!(rebuilt(&outcome), Some((1, 0)), "{:?}", outcome);
        prop_assert_eq!(lost.series(), kept.series());
        // And it goes on as if nothing had been.
        for device in [&mut lost, &mut kept] {
            device.take(&spec, &[("next".to_owned(), 130_000, 7.0)]);
        }
        prop_assert_eq!(lost.series(), kept.series());
        prop_assert_eq!(lost.latest(&spec), kept.latest(&spec));
    }

    #[test]
    fn a_window_that_went_on_after_its_loss_gets_back_what_it_lacks(
        spec in specs(),
        readings in readings(),
        cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        is_rebuilt_at_once in any::<bool>(),
    ) {
        let (left, cut) = (cuts.0.index(readings.len()), cuts.1.index(readings.len()));
        let (left, cut) = (left.min(cut), left.max(cut) + 1);
        let (mut kept, mut lost) = (Device::default(), Device::default());
        kept.take(&spec, &readings);
        if left > 0 {
            lost.take(&spec, &readings[..left]);
        }
        let state = lost.kept.take();
        lost.fall_back(state, newest_ms(&readings[..cut]));
        let all = recovered(&spec, readings.clone());
        if is_rebuilt_at_once {
            // Some of what is put back is on its way, and comes again.
            lost.rebuild(&spec, &all, ALL);
        }
        if cut < readings.len() {
            lost.take(&spec, &readings[cut..]);
        }
        lost.rebuild(&spec, &all, ALL);
        prop_assert_eq!(lost.latest(&spec), kept.latest(&spec));
        prop_assert!(!kept.latest(&spec).unwrap().partial);
        prop_assert_eq!(lost.rebuild(&spec, &all, ALL), Outcome::Whole, "a second time changes nothing");
    }
}

fn reading(n: i64) -> Reading {
    (format!("r{n}"), n * 1_000, n as f64)
}

/// A device whose readings 1 to 3 are lost.
fn lost(spec: &WindowSpec) -> Device {
    let mut device = Device::default();
    device.take(spec, &[1, 2, 3].map(reading));
    device.fall_back(None, 3_000);
    device
}

#[test]
fn what_lies_further_back_than_was_looked_stays_partial() {
    let spec = WindowSpec::last(3);
    let since = |ms| Known { since_ms: Some(ms), ..ALL };
    let two = recovered(&spec, [2, 3].map(reading));
    assert_eq!(rebuilt(&lost(&spec).rebuild(&spec, &two, since(1_500))), Some((0, 1)));
    let all = recovered(&spec, [1, 2, 3].map(reading));
    assert_eq!(rebuilt(&lost(&spec).rebuild(&spec, &all, since(500))), Some((1, 0)));
}

#[test]
fn where_nothing_at_all_is_found_the_loss_is_not_forgotten() {
    let spec = WindowSpec::last(3);
    let mut device = lost(&spec);
    assert_eq!(device.rebuild(&spec, &Recovered::default(), ALL), Outcome::Whole);
    device.take(&spec, &[reading(4)]);
    assert!(device.latest(&spec).unwrap().partial);
    // The same when it went on before.
    device.rebuild(&spec, &Recovered::default(), Known { since_ms: Some(3_500), ..ALL });
    device.take(&spec, &[reading(5)]);
    let result = device.latest(&spec).unwrap();
    assert_eq!((result.partial, result.lost_until), (true, Some(3_000)));
}

#[test]
fn where_only_later_readings_are_found_the_loss_is_not_forgotten_either() {
    let spec = WindowSpec::last(3);
    let mut device = lost(&spec);
    assert_eq!(rebuilt(&device.rebuild(&spec, &recovered(&spec, [reading(4)]), ALL)), Some((0, 1)));
    device.take(&spec, &[reading(4)]);
    let result = device.latest(&spec).unwrap();
    assert_eq!((result.partial, result.lost_until), (true, Some(3_000)));
}

#[test]
fn readings_after_the_loss_are_left_to_the_moving_average() {
    let spec = WindowSpec::last(3);
    let mut device = lost(&spec);
    device.rebuild(&spec, &recovered(&spec, [1, 2, 3, 4, 5].map(reading)), ALL);
    assert_eq!(device.series().unwrap().entries().len(), 3);
    device.take(&spec, &[reading(4)]);
    assert_eq!(device.latest(&spec).unwrap().average.max.total_cmp(&4.0), std::cmp::Ordering::Equal);
}

#[test]
fn a_device_whose_last_readings_may_not_be_archived_is_left_alone() {
    let spec = WindowSpec::last(3);
    let all = recovered(&spec, [1, 2, 3].map(reading));
    assert_eq!(lost(&spec).rebuild(&spec, &all, Known { settled_ms: 2_999, ..ALL }), Outcome::Busy);
    assert_eq!(rebuilt(&lost(&spec).rebuild(&spec, &all, Known { settled_ms: 3_000, ..ALL })), Some((1, 0)));
    // The state knows of a later loss than its slot's.
    let mut device = lost(&spec);
    device.take(&spec, &[]);
    device.lost_until = Some(2_000);
    assert_eq!(device.rebuild(&spec, &all, Known { settled_ms: 2_999, ..ALL }), Outcome::Busy);
}

#[test]
fn a_device_of_a_slot_that_lost_nothing_is_left_as_it_is() {
    let spec = WindowSpec::last(3);
    let all = recovered(&spec, [1, 2, 3].map(reading));
    assert_eq!(rebuild(None, None, &all, |_| Some(&spec), ALL), Outcome::Whole);
    let mut device = Device::default();
    device.take(&spec, &[reading(3)]);
    assert_eq!(device.rebuild(&spec, &all, ALL), Outcome::Whole);
}

#[test]
fn what_is_put_back_keeps_what_else_is_kept_of_the_device() {
    let spec = WindowSpec::last(3);
    let mut device = lost(&spec);
    device.take(&spec, &[reading(4)]);
    let kept = device.kept.as_mut().unwrap();
    kept.counted = 7;
    let before = kept.clone();
    device.rebuild(&spec, &recovered(&spec, [1, 2, 3].map(reading)), ALL);
    let kept = device.kept.unwrap();
    assert_eq!(kept, Kept { state: kept.state.clone(), ..before });
    assert_eq!(kept.lost_until, Some(3_000), "its slot's loss must not count a second time");
}
