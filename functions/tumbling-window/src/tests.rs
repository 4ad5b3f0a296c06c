//! Runs the function on ports in memory: what its rule adds to what every stateful function does.

use myaku::alert::MemoryReporter;
use myaku::device::registry::{Device, Key, Kind, LONGEST_USE, MemoryMasterData, Registry};
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::{Context, GROUP, Limits, Ports, Shards, handle};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::ManualClock;
use myaku::results::memory::MemoryResults;
use myaku::results::{Item, Row};
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::stream::source::memory::MemoryStream;
use myaku::window::tumbling::{MetricTimelines, Summary, TumblingWindow, WindowResult};
use std::time::Duration;

/// The beginning of an hour.
const BEGIN_MS: i64 = 1_795_219_200_000;
const NOW_MS: i64 = BEGIN_MS + 3_600_000;

struct InMemory;

impl Ports for InMemory {
    type Rule = TumblingWindow;
    type Settings = Registry<MemoryMasterData, ManualClock>;
    type Shards = MemoryStream;
    type Progress = MemoryProgress;
    type States = MemoryStates<MetricTimelines>;
    type Results = MemoryResults<WindowResult>;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

fn context() -> Context<InMemory> {
    let store = MemoryMasterData::new();
    for device_id in ["bed-17", "bed-18"] {
        store.put_device(&Device::new(device_id, "bed", None));
    }
    let profile = r#"{"id": "bed",
        "metrics": {
            "heart_rate": {"unit": "1/min", "windows": [{"seconds": 60}, {"seconds": 300}], "allowedLatenessSeconds": 30},
            "posture": {"kind": "text", "windows": [{"seconds": 60}], "allowedLatenessSeconds": 0}},
        "versions": [{"name": "1", "format": "json", "fields": [
            {"metric": "heart_rate", "from": "hr"}, {"metric": "posture", "from": "p"}]}]}"#;
    store.put_document(Key::new(Kind::Profile, "bed"), profile.to_owned());
    Context {
        settings: Registry::new(store, ManualClock::at(NOW_MS), LONGEST_USE),
        shards: Shards::new(MemoryStream::new(1)),
        progress: MemoryProgress::default(),
        states: MemoryStates::default(),
        results: MemoryResults::default(),
        findings: None,
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(24), group: GROUP },
    }
}

/// A record of a reading of `bed-17` at a second, with a JSON value; its sequence number is `n`.
fn record(n: u32, metric: &str, seconds: i64, value: &str) -> StreamRecord {
    let at = BEGIN_MS + seconds * 1_000;
    let data = format!(
        r#"{{"id":"m{n}","deviceId":"bed-17","facility":"home-3","metric":"{metric}","value":{value},"unit":"","at":{at},"clock":"device","receivedAt":{at},"quality":"good"}}"#
    );
    StreamRecord {
        sequence: n.to_string().parse().unwrap(),
        partition_key: "bed-17".into(),
        arrived_ms: NOW_MS - 1_000,
        data: data.into_bytes().into(),
    }
}

async fn done(context: &Context<InMemory>, records: Vec<StreamRecord>) {
    let batch = Batch { stream: "readings".to_owned(), shard: "shardId-000000000000".to_owned(), records };
    assert_eq!(handle(context, &batch, NOW_MS + 60_000).await, Answer::DONE);
}

fn row(context: &Context<InMemory>, seconds: u32, from_seconds: i64) -> Option<Row<WindowResult>> {
    context.results.row("bed-17", Item::History { seconds, from_ms: BEGIN_MS + from_seconds * 1_000 })
}

fn mean(result: &WindowResult) -> f64 {
    match result.summary() {
        Some(Summary::Numbers(numbers)) => numbers.mean,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn windows_of_all_metrics_close_with_their_readings_and_late_ones_correct_them() {
    let context = context();
    done(&context, vec![record(1, "heart_rate", 10, "60"), record(2, "posture", 20, "\"left\"")]).await;
    assert_eq!(row(&context, 60, 0), None, "nothing is closed");
    done(&context, vec![record(3, "posture", 70, "\"back\""), record(4, "heart_rate", 65, "70")]).await;
    let closed = row(&context, 60, 0).unwrap();
    assert_eq!(closed.metrics.keys().collect::<Vec<_>>(), ["heart_rate", "posture"]);
    assert!((mean(&closed.metrics["heart_rate"]) - 60.0).abs() < 1e-9);
    done(&context, vec![record(5, "heart_rate", 50, "80")]).await;
    let corrected = row(&context, 60, 0).unwrap();
    assert!((mean(&corrected.metrics["heart_rate"]) - 70.0).abs() < 1e-9);
    assert_eq!(corrected.metrics["posture"], closed.metrics["posture"]);
    let minute = (BEGIN_MS + 24 * 3_600_000) / 1_000;
    assert_eq!(corrected.expires_at, Some(minute), "counted from its own time");
}

#[tokio::test]
async fn a_batch_that_is_delivered_again_changes_nothing() {
    let context = context();
    let records = || [(1, 10), (2, 30), (3, 61), (4, 70)].map(|(n, at)| record(n, "heart_rate", at, "60")).to_vec();
    done(&context, records()).await;
    let rows = context.results.rows();
    done(&context, records()).await;
    assert_eq!(context.results.rows(), rows);
    done(&context, vec![record(9, "heart_rate", 45, "60")]).await;
    assert_eq!(row(&context, 60, 0).unwrap().metrics["heart_rate"].count(), 3, "a reading that is new counts");
}

#[tokio::test]
async fn after_a_loss_windows_are_partial_until_one_begins_after_it() {
    let context = context();
    done(&context, vec![record(1, "heart_rate", 10, "60"), record(2, "heart_rate", 70, "60")]).await;
    context.states.lose_everything();
    let later = [(3, 80), (4, 125), (5, 185), (6, 245), (7, 310)];
    done(&context, later.map(|(n, at)| record(n, "heart_rate", at, "60")).to_vec()).await;
    let found = |seconds, from| {
        let result = row(&context, seconds, from).unwrap().metrics["heart_rate"].clone();
        (result.count(), result.partial, result.lost_until.map(|at| (at - BEGIN_MS) / 1_000))
    };
    assert_eq!(found(60, 0), (1, false, None), "it was written before");
    assert_eq!(found(60, 60), (1, true, Some(70)));
    assert_eq!(found(60, 120), (1, false, None), "the value at 80 s is carried into it");
    assert_eq!(found(300, 0), (4, true, Some(70)));
}

#[tokio::test]
async fn a_state_that_was_evicted_counts_as_lost() {
    let context = context();
    done(&context, vec![record(1, "heart_rate", 10, "60")]).await;
    context.states.evict("bed-17");
    done(&context, vec![record(2, "heart_rate", 20, "60"), record(3, "heart_rate", 70, "60")]).await;
    let result = row(&context, 60, 0).unwrap().metrics["heart_rate"].clone();
    assert_eq!((result.count(), result.partial), (1, true));
}

#[tokio::test]
async fn the_sample_event_is_processed() {
    let context = context();
    let sample = Batch::from_event(include_str!("../../../events/kinesis-readings.json")).unwrap();
    assert_eq!(handle(&context, &sample, NOW_MS + 60_000).await, Answer::DONE);
    assert!(context.letters.letters().is_empty());
    let rows: Vec<_> = context.results.rows().iter().map(Row::key).collect();
    let expected = ["windows#", "window#60#1795218840000", "window#300#1795218600000", "windows#"];
    assert_eq!(rows, expected, "bed-17 has closed two windows, and bed-18 none");
}
