//! Random interleavings of a rule that counts every reading that it is given. So one that is processed twice shows, and so
//! does one that is missing: also among the rows that are partial.

use super::super::sums::{Ids, Sums, json};
use super::super::trial::{Action, INVOCATIONS, Trial, devices};
use crate::device::reading::Reading;
use crate::results::{Item, MetricResult};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_892_020;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (0..INVOCATIONS, 1..5_usize).prop_map(|(place, length)| Action::Start(place, length)),
        30 => (0..INVOCATIONS).prop_map(Action::Step),
        1 => (0..INVOCATIONS).prop_map(Action::Crash),
        1 => (0..4_usize, 0..40_usize).prop_map(|(device, age)| Action::Rollback(device, age)),
    ];
    prop::collection::vec(action, 0..250)
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let devices = devices();
    let readings = prop::collection::vec((0..3_usize, 0..200_i64), 1..14);
    readings.prop_map(move |readings| {
        let reading = |((device, seconds), n): ((usize, i64), u32)| {
            Reading::parse(json(&devices[device], n, NOW_MS + seconds * 1_000).as_bytes()).unwrap()
        };
        readings.into_iter().zip(0..).map(reading).collect()
    })
}

fn trial(readings: &[Reading], interval_seconds: u64, group: usize) -> Trial<Sums> {
    Trial::new(
        Ids::Ignored,
        |result: &MetricResult| result.partial,
        readings,
        Duration::from_secs(interval_seconds),
        group,
    )
}

/// A partial row has no more than there was, and lacks no more than may be lost.
fn check_partial(trial: &Trial<Sums>, readings: &[Reading]) -> Result<(), TestCaseError> {
    for row in trial.rows() {
        let position: usize = row.position.sequence.to_string().parse().unwrap();
        let before_ms = match row.item {
            Item::Latest => i64::MAX,
            Item::History { from_ms, .. } => from_ms + 60_000,
        };
        let of_device = readings[..position].iter().filter(|reading| reading.device_id == row.device_id);
        let times: Vec<i64> = of_device.map(|reading| reading.at).filter(|at| *at < before_ms).collect();
        let MetricResult { average, lost_until, .. } = &row.metrics["m"];
        let (count, expected) = (average.count as usize, times.len());
        let may_lack = times.iter().filter(|at| Some(**at) <= *lost_until).count();
        prop_assert!(count <= expected, "{row:?} has more than {expected} readings");
        prop_assert!(count + may_lack >= expected, "{row:?} lacks more than the {may_lack} that may be lost");
    }
    Ok(())
}

fn held(result: Result<(), String>) -> Result<(), TestCaseError> {
    result.map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_right_or_partial_whoever_runs_and_whatever_is_lost(
        readings in readings(),
        actions in actions(),
        interval_seconds in prop_oneof![Just(0), Just(12)],
        group in 1..3_usize,
    ) {
        let mut trial = trial(&readings, interval_seconds, group);
        for action in actions {
            trial.act(action);
            held(trial.check())?;
            check_partial(&trial, &readings)?;
        }
        held(trial.finish())?;
        check_partial(&trial, &readings)?;
    }

    #[test]
    fn without_losses_every_row_is_whole_in_the_end(readings in readings(), actions in actions()) {
        let mut trial = trial(&readings, 0, 1);
        for action in actions.into_iter().filter(|action| !matches!(action, Action::Rollback(..))) {
            trial.act(action);
        }
        held(trial.finish())?;
        for row in trial.rows() {
            prop_assert!(!row.metrics["m"].partial, "{row:?}");
        }
    }
}
