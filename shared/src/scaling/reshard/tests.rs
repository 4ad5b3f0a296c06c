//! Ticks over streams, metrics, alarms and ledgers in memory.

mod crashes;

use super::alarms::MemoryAlarms;
use super::control::{MemoryControl, Summary};
use super::ledger::{Entry, Lease, MemoryLedger};
use super::metrics::{MemoryMetrics, Wanted};
use super::*;
use crate::platform::clock::ManualClock;
use crate::scaling::alarms::{AlarmState, ShardAlarms, Statistic};
use crate::scaling::shards::{Direction, Mode, Policy, Step, StreamMode, StreamStatus};
use std::time::Duration;

const STREAM: &str = "ingest";
const PREFIX: &str = "ingest-load";
const READER: &str = "archiver";
const NOW_MS: i64 = 1_795_218_900_000;
const MINUTE_MS: i64 = 60_000;

type Memory = Autoscaler<MemoryControl, MemoryMetrics, MemoryAlarms, MemoryLedger>;

fn alarms_of() -> ShardAlarms {
    ShardAlarms { stream: STREAM.to_owned(), prefix: PREFIX.to_owned(), actions: vec!["topic".to_owned()] }
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

/// Stream mode: over 80 % for five minutes doubles, under 20 % for thirty halves.
fn marks() -> Policy {
    Policy { mode: Mode::Stream, ..Policy::default() }
}

/// Puts two hours of a load, in records a second, until `now_ms`; the stream is read all the time.
fn load(metrics: &MemoryMetrics, records_per_s: f64, now_ms: i64) {
    for back in 0..120 {
        let minute = (now_ms / MINUTE_MS - back) * MINUTE_MS;
        let put = |name, statistic, value| metrics.put(Wanted::of_stream(STREAM, name, statistic), minute, value);
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

fn alarm_names(open: u32, policy: &Policy) -> Vec<crate::scaling::alarms::AlarmDefinition> {
    let mut definitions = alarms_of().definitions(open, &crate::scaling::shards::Capacity::of(&[]), policy).unwrap();
    definitions.sort_by(|a, b| a.name.cmp(&b.name));
    definitions
}

async fn alarms_are_for(autoscaler: &Memory, open: u32) {
    let found = autoscaler.alarms.found(PREFIX).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|alarm| alarm.definition).collect();
    assert_eq!(found, alarm_names(open, &autoscaler.policy));
}

#[tokio::test]
async fn a_busy_stream_doubles_and_its_alarms_follow_when_the_shards_are_there() {
    let autoscaler = autoscaler(2, marks());
    autoscaler.control.looks(2);
    load(&autoscaler.metrics, 1_900.0, NOW_MS + 10 * MINUTE_MS);
    let report = tick(&autoscaler, NOW_MS).await;
    assert_eq!((report.outcome, report.begun), (Outcome::Begun, Some(Step::UpdateShardCount { target: 4 })));
    assert!(report.reason.contains("80 %"), "{}", report.reason);
    alarms_are_for(&autoscaler, 2).await;

    // While the stream is updating, ticks wait.
    for minute in 1..=2 {
        let report = tick(&autoscaler, NOW_MS + minute * MINUTE_MS).await;
        assert_eq!((report.outcome, report.open), (Outcome::Waiting, Some(2)));
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
async fn an_idle_stream_halves_and_a_blind_one_stays() {
    for (is_blind, outcome) in [(false, Outcome::Begun), (true, Outcome::Nothing)] {
        let autoscaler = autoscaler(4, marks());
        if !is_blind {
            load(&autoscaler.metrics, 100.0, NOW_MS);
        }
        let report = tick(&autoscaler, NOW_MS).await;
        assert_eq!(report.outcome, outcome, "{}", report.reason);
    }
}

#[tokio::test]
async fn a_change_by_hand_brings_the_alarms_with_the_next_tick_and_one_that_breaches_can_fire_again() {
    let autoscaler = autoscaler(2, marks());
    tick(&autoscaler, NOW_MS).await;
    let high = format!("{PREFIX}-high");
    autoscaler.alarms.set(&high, AlarmState::Alarm);
    autoscaler.control.by_hand(&Step::UpdateShardCount { target: 3 }).unwrap();
    let report = tick(&autoscaler, NOW_MS + MINUTE_MS).await;
    assert_eq!(report.open, Some(3));
    alarms_are_for(&autoscaler, 3).await;
    let found = autoscaler.alarms.found(&high).await.unwrap();
    assert_eq!(found[0].state, AlarmState::InsufficientData);
    // The hand's change cools down as one of its own does.
    assert_eq!(entry(&autoscaler).await.changes[0].direction, Direction::Grow);
}

#[tokio::test]
async fn who_has_the_lease_acts_alone_and_who_crashed_with_it_keeps_others_no_longer_than_that() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let held =
        Entry { lease: Some(Lease { holder: "another".to_owned(), until_ms: NOW_MS + MINUTE_MS }), ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &held).await.unwrap();
    assert_eq!(tick(&autoscaler, NOW_MS).await.outcome, Outcome::Held);
    assert!(autoscaler.control.steps().is_empty());
    assert_eq!(tick(&autoscaler, NOW_MS + MINUTE_MS).await.outcome, Outcome::Begun);
}

#[tokio::test]
async fn a_call_that_kinesis_refuses_is_not_counted_and_splits_come_in_its_place() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    autoscaler.control.calls_left(0);
    let report = tick(&autoscaler, NOW_MS).await;
    assert_eq!(report.outcome, Outcome::Refused);
    let after = entry(&autoscaler).await;
    assert_eq!((after.calls.len(), after.limited_at_ms), (0, Some(NOW_MS)));
    for minute in 1..=6 {
        tick(&autoscaler, NOW_MS + minute * MINUTE_MS).await;
    }
    assert_eq!(autoscaler.control.keyspace().count(), 4);
    assert!(autoscaler.control.steps().iter().all(|step| matches!(step, Step::Split { .. })));
}

#[tokio::test]
async fn a_shard_that_was_closed_meanwhile_costs_its_step_and_nothing_else() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    // Calls are spent, so that the plan is two splits.
    let spent = Entry { calls: vec![NOW_MS - 1; 10], ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &spent).await.unwrap();
    tick(&autoscaler, NOW_MS).await;
    assert_eq!(entry(&autoscaler).await.work.unwrap().steps.len(), 2);
    // Somebody splits the other shard, elsewhere.
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
async fn a_stream_that_is_gone_is_no_failure_and_one_on_demand_has_no_alarms() {
    let autoscaler = autoscaler(2, marks());
    tick(&autoscaler, NOW_MS).await;
    let on_demand = Summary {
        status: StreamStatus::Active,
        mode: StreamMode::OnDemand,
        shard_metrics: false,
        enhanced_consumers: Vec::new(),
    };
    autoscaler.control.describe(on_demand);
    assert_eq!(tick(&autoscaler, NOW_MS + 1).await.outcome, Outcome::OnDemand);
    assert_eq!(autoscaler.alarms.found(PREFIX).await.unwrap(), []);
    autoscaler.control.delete();
    assert_eq!(tick(&autoscaler, NOW_MS + 2).await.outcome, Outcome::Gone);
    assert_eq!(entry(&autoscaler).await, Entry::default());
}

#[tokio::test]
async fn metrics_that_are_throttled_fail_the_tick_and_leave_the_lease_free() {
    let autoscaler = autoscaler(2, marks());
    autoscaler.metrics.throttle(true);
    let clock = ManualClock::at(NOW_MS);
    let error = autoscaler.tick("one", &clock).await.unwrap_err();
    assert_eq!(error.to_string(), "GetMetricData failed");
    autoscaler.metrics.throttle(false);
    assert_eq!(autoscaler.tick("two", &clock).await.unwrap().outcome, Outcome::Nothing);
}

#[tokio::test]
async fn a_plan_in_progress_goes_on_while_metrics_are_throttled() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let spent = Entry { calls: vec![NOW_MS - 1; 10], ..Entry::default() };
    autoscaler.ledger.commit(STREAM, 0, &spent).await.unwrap();
    tick(&autoscaler, NOW_MS).await;
    autoscaler.metrics.throttle(true);
    assert_eq!(tick(&autoscaler, NOW_MS + MINUTE_MS).await.outcome, Outcome::Begun);
}

#[tokio::test]
async fn a_look_changes_nothing() {
    let autoscaler = autoscaler(2, Policy { min_shards: 4, ..marks() });
    let (observation, plan) = autoscaler.look(&ManualClock::at(NOW_MS)).await.unwrap().unwrap();
    assert_eq!((observation.open(), plan.steps), (2, vec![Step::UpdateShardCount { target: 4 }]));
    assert!(autoscaler.control.steps().is_empty());
    assert_eq!(entry(&autoscaler).await, Entry::default());
    assert_eq!(autoscaler.alarms.found(PREFIX).await.unwrap(), []);
}
