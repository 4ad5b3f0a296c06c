//! Windows that were lost against those that were not: random readings, late and repeated, in several shards.

use super::*;
use crate::keyed::{Change, Incoming, Loss, Origin};
use crate::window::rule::advance;
use crate::window::tests::specs;
use proptest::prelude::*;

const ALL: Known = Known { since_ms: None, settled_ms: i64::MAX };

/// A device under the moving average, which writes rows as the function does.
#[derive(Clone, Default)]
struct Device {
    state: Option<DeviceState>,
    rows: BTreeMap<Item, Row>,
    taken: usize,
}

impl Device {
    /// Takes in a batch: `shard` is that of the readings' stream.
    fn take(&mut self, spec: &WindowSpec, shard: &str, readings: &[(String, i64, f64)]) {
        let at = |index: usize| Position { sequence: (self.taken + index + 1).to_string().parse().unwrap(), sub: 0 };
        let incoming = readings.iter().enumerate().map(|(index, (id, at_ms, value))| Incoming {
            position: at(index),
            metric: "m",
            id: id_digest(id),
            at: *at_ms,
            value: *value,
            index,
        });
        let incoming: Vec<_> = incoming.collect();
        let loss = |row: &Row| ("m".to_owned(), Loss { at: row.at, revision: row.revision, position: row.position });
        let losses = match self.state {
            None => self.latest().map(loss).into_iter().collect(),
            Some(_) => BTreeMap::new(),
        };
        let out = advance(self.state.as_ref(), Origin { stream: "s", shard }, &incoming, |_| Some(spec), &losses);
        for change in &out.changes {
            let row = row(change, shard);
            self.rows.insert(row.item.clone(), row);
        }
        self.state = Some(out.state);
        self.taken += readings.len();
    }

    fn latest(&self) -> Option<&Row> {
        self.rows.get(&Item::Latest { metric: "m".to_owned() })
    }

    fn rebuild(&mut self, spec: &WindowSpec, recovered: &Recovered, known: Known) -> Outcome {
        let rows: Vec<_> = self.rows.values().cloned().collect();
        let outcome = rebuild(self.state.as_ref(), &rows, recovered, |_| Some(spec), known);
        if let Outcome::Rebuilt(rebuilt) = &outcome {
            self.state = Some(rebuilt.state.clone());
            self.rows.extend(rebuilt.rows.iter().map(|row| (row.item.clone(), row.clone())));
        }
        outcome
    }

    fn series(&self) -> Series {
        let series = self.state.as_ref().unwrap().series("m").unwrap().clone();
        // It only ever grows, and says nothing of what the window holds.
        Series { revision: 0, ..series }
    }
}

fn row(change: &Change, shard: &str) -> Row {
    Row {
        device_id: "bed-17".to_owned(),
        item: match change.interval_ms {
            None => Item::Latest { metric: change.metric.clone() },
            Some(from_ms) => Item::History { metric: change.metric.clone(), from_ms },
        },
        facility: String::new(),
        unit: String::new(),
        value: change.value,
        at: change.at,
        average: change.average,
        partial: change.partial,
        lost_until: change.lost_until,
        revision: change.revision,
        stream: "s".to_owned(),
        shard: shard.to_owned(),
        position: change.position,
        base: change.base,
        received_at: 0,
        updated_at: 1,
        expires_at: None,
    }
}

fn recovered(spec: &WindowSpec, readings: impl IntoIterator<Item = (String, i64, f64)>) -> Recovered {
    let mut recovered = Recovered::default();
    for (id, at, value) in readings {
        recovered.insert(spec, "m", &id, at, value);
    }
    recovered
}

/// Readings whose times repeat and go back, with duplicates.
fn readings() -> impl Strategy<Value = Vec<(String, i64, f64)>> {
    prop::collection::vec((0..40_u32, 0..120_i64), 1..50).prop_map(|readings| {
        let mut known = BTreeMap::new();
        let reading = |(id, seconds): (u32, i64)| {
            let at = *known.entry(id).or_insert(seconds * 1_000);
            (format!("r{id}"), at, f64::from(id))
        };
        readings.into_iter().map(reading).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_window_that_was_lost_is_what_it_was(
        spec in specs(),
        readings in readings(),
        cut in any::<prop::sample::Index>(),
        order in any::<u64>(),
    ) {
        let mut kept = Device::default();
        let cut = cut.index(readings.len());
        kept.take(&spec, "parent", &readings[..cut]);
        kept.take(&spec, "child", &readings[cut..]);
        let mut lost = Device { state: None, ..kept.clone() };
        // The lake gives them in any order, and some twice.
        let mut shuffled = [&readings[..], &readings[cut..]].concat();
        shuffled.sort_by_key(|(id, ..)| id_digest(&format!("{order}{id}")));
        let outcome = lost.rebuild(&spec, &recovered(&spec, shuffled), ALL);
        prop_assert!(matches!(&outcome, Outcome::Rebuilt(rebuilt) if (rebuilt.whole, rebuilt.partial) == (1, 0)), "{outcome:?}");
        prop_assert_eq!(lost.series(), kept.series());
        prop_assert_eq!(lost.latest().map(|row| row.average), kept.latest().map(|row| row.average));
        // And it goes on as if nothing had been.
        for device in [&mut lost, &mut kept] {
            device.take(&spec, "child", &[("next".to_owned(), 130_000, 7.0)]);
        }
        prop_assert_eq!(lost.series(), kept.series());
        let (lost, kept) = (lost.latest().unwrap(), kept.latest().unwrap());
        prop_assert_eq!((lost.average, lost.partial, lost.position), (kept.average, false, kept.position));
    }

    #[test]
    fn a_window_that_went_on_after_its_loss_gets_back_what_it_lacks(
        spec in specs(),
        readings in readings(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = 1 + cut.index(readings.len());
        let (mut kept, mut lost) = (Device::default(), Device::default());
        kept.take(&spec, "shard", &readings[..cut]);
        lost.take(&spec, "shard", &readings[..cut]);
        lost.state = None;
        for device in [&mut kept, &mut lost] {
            if cut < readings.len() {
                device.take(&spec, "shard", &readings[cut..]);
            }
        }
        let was_partial = lost.state.as_ref().is_none_or(|state| state.series("m").unwrap().average(&spec).is_none_or(|(_, partial)| partial));
        let revision = lost.latest().unwrap().revision;
        let all = recovered(&spec, readings.clone());
        let outcome = lost.rebuild(&spec, &all, ALL);
        prop_assert_eq!(matches!(outcome, Outcome::Rebuilt(_)), was_partial);
        let row = lost.latest().unwrap();
        prop_assert_eq!(row.partial, false);
        prop_assert_eq!((row.average, row.at), (kept.latest().unwrap().average, kept.latest().unwrap().at));
        prop_assert!(row.revision >= revision);
        prop_assert_eq!(lost.rebuild(&spec, &all, ALL), Outcome::Whole, "a second time changes nothing");
    }
}

fn reading(n: i64) -> (String, i64, f64) {
    (format!("r{n}"), n * 1_000, n as f64)
}

fn lost(spec: &WindowSpec) -> Device {
    let mut device = Device::default();
    device.take(spec, "shard", &[reading(1), reading(2), reading(3)]);
    device.state = None;
    device
}

#[test]
fn what_lies_further_back_than_was_looked_stays_partial() {
    let spec = WindowSpec::last(3);
    let since = |ms| Known { since_ms: Some(ms), ..ALL };
    let all = || recovered(&spec, [2, 3].map(reading));
    assert!(
        matches!(lost(&spec).rebuild(&spec, &all(), since(1_500)), Outcome::Rebuilt(it) if (it.whole, it.partial) == (0, 1))
    );
    let whole = recovered(&spec, [1, 2, 3].map(reading));
    assert!(
        matches!(lost(&spec).rebuild(&spec, &whole, since(500)), Outcome::Rebuilt(it) if (it.whole, it.partial) == (1, 0))
    );
    // Where nothing at all is found, the loss is not forgotten: the next result is partial.
    let mut nothing = lost(&spec);
    nothing.rebuild(&spec, &Recovered::default(), ALL);
    nothing.take(&spec, "shard", &[reading(4)]);
    assert!(nothing.latest().unwrap().partial);
}

#[test]
fn readings_beyond_the_results_are_left_to_the_moving_average() {
    let spec = WindowSpec::last(3);
    let mut device = lost(&spec);
    device.rebuild(&spec, &recovered(&spec, [1, 2, 3, 4, 5].map(reading)), ALL);
    assert_eq!(device.series().entries().len(), 3);
    device.take(&spec, "shard", &[reading(4)]);
    assert_eq!(device.latest().unwrap().average.max.total_cmp(&4.0), std::cmp::Ordering::Equal);
}

#[test]
fn a_device_that_somebody_may_be_at_work_on_is_left_alone() {
    let spec = WindowSpec::last(3);
    let all = recovered(&spec, [1, 2, 3].map(reading));
    // Its rows are of time 1, its newest reading of time 3,000.
    assert_eq!(lost(&spec).rebuild(&spec, &all, Known { settled_ms: 0, ..ALL }), Outcome::Busy);
    assert_eq!(lost(&spec).rebuild(&spec, &all, Known { settled_ms: 2_999, ..ALL }), Outcome::Busy);
    assert!(matches!(lost(&spec).rebuild(&spec, &all, Known { settled_ms: 3_000, ..ALL }), Outcome::Rebuilt(_)));
    let mut behind = Device::default();
    behind.take(&spec, "shard", &[reading(1)]);
    let state = behind.state.clone();
    behind.take(&spec, "shard", &[reading(2), reading(3)]);
    // The last writes are lost, or on their way.
    behind.state = state;
    assert_eq!(behind.clone().rebuild(&spec, &all, Known { settled_ms: 0, ..ALL }), Outcome::Busy);
    assert!(matches!(behind.rebuild(&spec, &all, ALL), Outcome::Rebuilt(_)));
    assert_eq!(behind.series().entries().len(), 3);
}

#[test]
fn a_device_without_results_has_lost_nothing() {
    let spec = WindowSpec::last(3);
    let all = recovered(&spec, [1, 2, 3].map(reading));
    assert_eq!(rebuild(None, &[], &all, |_| Some(&spec), ALL), Outcome::Whole);
}
