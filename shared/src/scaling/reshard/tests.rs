//! Ticks on streams, metrics, alarms and ledgers in memory.

mod crashes;

use super::alarms::MemoryAlarms;
use super::control::{MemoryControl, Summary};
use super::ledger::{Entry, Lease, MemoryLedger};
use super::metrics::{MemoryMetrics, SeriesId};
use super::*;
use crate::platform::clock::ManualClock;
use crate::scaling::alarms::{AlarmState, ShardAlarms, Statistic};
use crate::scaling::shards::{Direction, Mode, Policy, Step, StreamMode, StreamStatus};
use std::time::Duration;

const STREAM: &str = "ingest";
const READER: &str = "archiver";
const NOW_MS: i64 = 1_795_218_900_000;
const MINUTE_MS: i64 = 60_000;

type Memory = Autoscaler<MemoryControl, MemoryMetrics, MemoryAlarms, MemoryLedger>;

fn alarms_of() -> ShardAlarms {
    ShardAlarms { stream: STREAM.to_owned(), prefix: "ingest-load".to_owned(), actions: vec!["topic".to_owned()] }
}

fn autoscaler(shards: u32, policy: Policy) -> Memory {
    Autoscaler {
        control: MemoryControl::new(STREAM, shards),
        metrics: MemoryMetrics::default(),
        alarms: MemoryAlarms::default(),
        ledger: MemoryLedger::default(),
        policy: policy.checked().unwrap(),
        readers: Readers { functions: vec![READER.to_owned()] },
        alarms_of: Some(alarms_of()),
        lease: Duration::from_secs(90),
    }
}

/// Stream mode: the stream doubles after five minutes over 80 %, and halves after thirty under 20 %.
fn marks() -> Policy {
    Policy { mode: Mode::Stream, ..Policy::default() }
}

/// Puts the metrics of two hours until `now_ms`: a constant load, and a consumer that reads all the time.
fn load(metrics: &MemoryMetrics, records_per_s: f64, now_ms: i64) {
    for back in 0..120 {
        let minute = (now_ms / MINUTE_MS - back) * MINUTE_MS;
        let put = |name, statistic, value| metrics.put(SeriesId::of_stream(STREAM, name, statistic), minute, value);
        put("IncomingRecords", Statistic::Sum, records_per_s * 60.0);
        put("IncomingBytes", Statistic::Sum, records_per_s * 60.0 * 100.0);
        put("GetRecords.Success", Statistic::SampleCount, 60.0);
        put("GetRecords.IteratorAgeMilliseconds", Statistic::Maximum, 50.0);
    }
}

async fn tick(autoscaler: &Memory, at_ms: i64) -> Report {
    autoscaler.tick(&format!("invocation-{at_ms}"), &ManualClock::at(at_ms)).await.unwrap()
}

async fn entry(autoscaler: &Memory) -> Entry {
    autoscaler.ledger.load(STREAM).await.unwrap().entry
}

fn expected_alarms(open: u32, policy: &Policy) -> Vec<crate::scaling::alarms::AlarmDefinition> {
    let mut definitions = alarms_of().definitions(open, &crate::scaling::shards::Capacity::of(&[]), policy).unwrap();
    definitions.sort_by(|a, b| a.name.cmp(&b.name));
    definitions
}

async fn alarms_are_for(autoscaler: &Memory, open: u32) {
    let alarms = autoscaler.alarms.describe(&alarms_of().names()).await.unwrap();
    let definitions: Vec<_> = alarms.into_iter().map(|alarm| alarm.definition).collect();
    assert_eq!(definitions, expected_alarms(open, &autoscaler.policy));
}

#[tokio::test]
async fn a_busy_stream_doubles_and_its_alarms_follow_once_the_shards_are_open() {
    let autoscaler = autoscaler(2, marks());
    autoscaler.control.looks(2);
    load(&autoscaler.metrics, 1_900.0, NOW_MS + 10 * MINUTE_MS);
    let report = tick(&autoscaler, NOW_MS).await;
    assert_eq!((report.outcome, report.begun), (TickOutcome::Begun, Some(Step::UpdateShardCount { target: 4 })));
    assert!(report.reason.contains("80 %"), "{}", report.reason);
    alarms_are_for(&autoscaler, 2).await;

    // While the stream is updating, ticks wait.
    for minute in 1..=2 {
        let report = tick(&autoscaler, NOW_MS + minute * MINUTE_MS).await;
        assert_eq!((report.outcome, report.open), (TickOutcome::Waiting, Some(2)));
    }
    tick(&autoscaler, NOW_MS + 3 * MINUTE_MS).await;
    assert_eq!(autoscaler.control.keyspace().count(), 4);
    alarms_are_for(&autoscaler, 4).await;
    let entry = entry(&autoscaler).await;
    assert_eq!(entry.calls, [NOW_MS]);
    assert_eq!(entry.changes.iter().map(|change| change.direction).collect::<Vec<_>>(), [Direction::Grow]);
    assert!(entry.lease.is_none() && entry.work.is_none());
}

#[tokio::test]
async fn an_idle_stream_halves_and_one_without_metrics_stays() {
    for (lacks_metrics, outcome) in [(false, TickOutcome::Begun), (true, TickOutcome::Nothing)] {
        let autoscaler = autoscaler(4, marks());
        if !lacks_metrics {
            load(&autoscaler.metrics, 100.0, NOW_MS);
        }
        let report = tick(&autoscaler, NOW_MS).await;
        assert_eq!(report.outcome, outcome, "{}", report.reason);
    }
}

#[tokio::test]
async fn after_a_change_by_hand_the_next_tick_updates_the_alarms_and_resets_one_that_fired() {
    let autoscaler = autoscaler(2, marks());
    tick(&autoscaler, NOW_MS).await;
    let [high, ..] = alarms_of().names();
    autoscaler.alarms.set(&high, AlarmState::Alarm);
    autoscaler.control.by_hand(&Step::UpdateShardCount { target: 3 }).unwrap();
    let report = tick(&autoscaler, NOW_MS + MINUTE_MS).await;
    assert_eq!(report.open, Some(3));
    alarms_are_for(&autoscaler, 3).await;
    let alarms = autoscaler.alarms.describe(&[high]).await.unwrap();
    assert_eq!(alarms[0].state, AlarmState::InsufficientData);
    // A change by hand starts the cool-down too.
    assert_eq!(entry(&autoscaler).await.changes[0].direction, Direction::Grow);
}

#[tokio::test]
async fn only_the_holder_of_the_lease_acts_and_after_it_expires_another_invocation_does() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let leased =
        Entry { lease: Some(Lease { holder: "another".to_owned(), until_ms: NOW_MS + MINUTE_MS }), ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &leased).await.unwrap();
    assert_eq!(tick(&autoscaler, NOW_MS).await.outcome, TickOutcome::Held);
    assert!(autoscaler.control.steps().is_empty());
    assert_eq!(tick(&autoscaler, NOW_MS + MINUTE_MS).await.outcome, TickOutcome::Begun);
}

#[tokio::test]
async fn a_refused_call_is_not_counted_and_splits_replace_it() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    autoscaler.control.calls_left(0);
    let report = tick(&autoscaler, NOW_MS).await;
    assert_eq!(report.outcome, TickOutcome::Refused);
    let after = entry(&autoscaler).await;
    assert_eq!((after.calls.len(), after.limited_at_ms), (0, Some(NOW_MS)));
    for minute in 1..=6 {
        tick(&autoscaler, NOW_MS + minute * MINUTE_MS).await;
    }
    assert_eq!(autoscaler.control.keyspace().count(), 4);
    assert!(autoscaler.control.steps().iter().all(|step| matches!(step, Step::Split { .. })));
}

#[tokio::test]
async fn a_shard_that_was_closed_since_the_plan_costs_only_its_step() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    // All calls are used, so the plan is two splits.
    let spent = Entry { calls: vec![NOW_MS - 1; 10], ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &spent).await.unwrap();
    tick(&autoscaler, NOW_MS).await;
    assert_eq!(entry(&autoscaler).await.work.unwrap().steps.len(), 2);
    // An operator splits the other shard at another point.
    let other = autoscaler.control.keyspace().shards()[1].clone();
    autoscaler.control.summary().await.unwrap();
    autoscaler.control.by_hand(&Step::Split { shard: other.shard, at: other.end - 5 }).unwrap();
    for minute in 1..=3 {
        tick(&autoscaler, NOW_MS + minute * MINUTE_MS).await;
    }
    assert_eq!(autoscaler.control.keyspace().count(), 4);
    assert!(entry(&autoscaler).await.work.is_none());
}

#[tokio::test]
async fn a_deleted_stream_is_not_a_failure_and_one_on_demand_has_no_alarms() {
    let autoscaler = autoscaler(2, marks());
    tick(&autoscaler, NOW_MS).await;
    let on_demand = Summary {
        status: StreamStatus::Active,
        mode: StreamMode::OnDemand,
        shard_metrics: false,
        enhanced_consumers: Vec::new(),
    };
    autoscaler.control.describe(on_demand);
    assert_eq!(tick(&autoscaler, NOW_MS + 1).await.outcome, TickOutcome::OnDemand);
    assert_eq!(autoscaler.alarms.describe(&alarms_of().names()).await.unwrap(), []);
    autoscaler.control.delete();
    assert_eq!(tick(&autoscaler, NOW_MS + 2).await.outcome, TickOutcome::Gone);
    assert_eq!(entry(&autoscaler).await, Entry::default());
}

#[tokio::test]
async fn throttled_metrics_fail_the_tick_and_release_the_lease() {
    let autoscaler = autoscaler(2, marks());
    autoscaler.metrics.throttle(true);
    let clock = ManualClock::at(NOW_MS);
    let error = autoscaler.tick("one", &clock).await.unwrap_err();
    assert_eq!(error.to_string(), "GetMetricData failed");
    autoscaler.metrics.throttle(false);
    assert_eq!(autoscaler.tick("two", &clock).await.unwrap().outcome, TickOutcome::Nothing);
}

#[tokio::test]
async fn a_plan_in_progress_continues_while_metrics_are_throttled() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let spent = Entry { calls: vec![NOW_MS - 1; 10], ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &spent).await.unwrap();
    tick(&autoscaler, NOW_MS).await;
    autoscaler.metrics.throttle(true);
    assert_eq!(tick(&autoscaler, NOW_MS + MINUTE_MS).await.outcome, TickOutcome::Begun);
}

#[tokio::test]
async fn a_look_changes_nothing() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let (observation, plan) = autoscaler.look(&ManualClock::at(NOW_MS)).await.unwrap().unwrap();
    assert_eq!((observation.open(), plan.steps), (2, vec![Step::UpdateShardCount { target: 4 }]));
    assert!(autoscaler.control.steps().is_empty());
    assert_eq!(entry(&autoscaler).await, Entry::default());
    assert_eq!(autoscaler.alarms.describe(&alarms_of().names()).await.unwrap(), []);
}
