//! Runs the function on ports in memory, with each fault.
#![allow(clippy::float_cmp, reason = "means of small whole numbers are exact")]

mod faults;
mod groups;
mod loss;
mod ports;
mod reshard;
mod upgrade;
mod zombies;

use myaku::device::profile::WindowSpec;
use myaku::keyed::progress::{Acknowledged, Progress, ProgressStore as _};
use myaku::keyed::{Context, GROUP, Limits, Shards, State as _, handle};
use myaku::lake::dead_letter::{MemoryDeadLetters, Reason};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::Remedy;
use myaku::results::{Item, MetricResult, ResultsReader as _, Row};
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, Position, StreamRecord};
use myaku::stream::slot::Slot;
use myaku::window::DeviceState;
use ports::{Fault, Faulty, Fixed, Metrics, Stores, Switch, TestPorts};
use std::ops::Deref;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_910_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;
/// The time of second 0 of the readings: the beginning of a minute.
const BEGIN_MS: i64 = 1_795_218_840_000;
const SHARD: &str = "shardId-000000000000";

/// One process, which handles one batch after another. Others have contexts of their own, on the same stores.
struct Test {
    context: Context<TestPorts>,
    stores: Stores,
}

impl Deref for Test {
    type Target = Context<TestPorts>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl Test {
    /// A process on these stores. Each change of a device writes its row.
    fn on(stores: Stores) -> Self {
        let heart_rate = WindowSpec { history_seconds: Some(60), ..WindowSpec::last(3) };
        let metrics = [("heart_rate".to_owned(), heart_rate), ("spo2".to_owned(), WindowSpec::last(3))];
        let context = Context {
            settings: Fixed(Metrics(metrics.into())),
            shards: Shards::new(stores.stream.clone()),
            progress: Faulty::on(&stores.progress),
            states: Faulty::on(&stores.states),
            results: Faulty::on(&stores.results),
            findings: None,
            letters: MemoryDeadLetters::new(),
            clock: ManualClock::at(NOW_MS),
            limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(24), group: GROUP },
        };
        Self { context, stores }
    }

    /// Another process on the same stores.
    fn other(&self) -> Self {
        let mut other = Self::on(self.stores.clone());
        other.context.limits = self.limits;
        other
    }

    /// The switches of the ports, in the order in which a batch calls them.
    fn switches(&self) -> [&Switch; 5] {
        let Context { progress, states, results, .. } = &self.context;
        [&progress.read, &states.read, &states.write, &results.write, &progress.write]
    }
}

/// A process on new stores. Each change of a device writes its row.
fn context() -> Test {
    Test::on(Stores::new(1))
}

/// A process on new stores, where a row waits for half a minute.
fn slow_context() -> Test {
    let mut test = context();
    test.context.limits.results_interval = Duration::from_secs(30);
    test
}

/// The reading `n` of a device: at second `n`, with the value `n`.
fn json(device: &str, n: u32) -> String {
    format!(
        r#"{{"id":"{device}-{n}","deviceId":"{device}","facility":"home-3","metric":"heart_rate","value":{n},"unit":"1/min","at":{},"clock":"device","receivedAt":{},"quality":"good"}}"#,
        at_ms(n),
        at_ms(n) + 100
    )
}

/// The time of second `n`, in milliseconds since the epoch.
fn at_ms(n: u32) -> i64 {
    BEGIN_MS + i64::from(n) * 1_000
}

/// A record that arrives a second before now.
fn record(sequence: u32, key: &str, data: impl Into<Vec<u8>>) -> StreamRecord {
    StreamRecord {
        sequence: sequence.to_string().parse().unwrap(),
        partition_key: key.into(),
        arrived_ms: NOW_MS - 1_000,
        data: data.into().into(),
    }
}

/// The record of the reading `n` of a device, whose sequence number is also `n`.
fn reading(device: &str, n: u32) -> StreamRecord {
    record(n, device, json(device, n))
}

/// The record of a reading of another metric.
fn spo2(device: &str, n: u32) -> StreamRecord {
    record(n, device, json(device, n).replace("heart_rate", "spo2"))
}

fn batch(records: Vec<StreamRecord>) -> Batch {
    Batch { stream: "readings".to_owned(), shard: SHARD.to_owned(), records }
}

/// A batch with one record for each reading `n`, whose sequence number is also `n`.
fn readings(device: &str, ns: impl IntoIterator<Item = u32>) -> Batch {
    batch(ns.into_iter().map(|n| reading(device, n)).collect())
}

/// As [`readings`], where each record arrives at the time of its reading.
fn punctual(device: &str, ns: impl IntoIterator<Item = u32>) -> Batch {
    batch(ns.into_iter().map(|n| StreamRecord { arrived_ms: at_ms(n), ..reading(device, n) }).collect())
}

fn position(sequence: u32) -> Position {
    Position { sequence: sequence.to_string().parse().unwrap(), sub: 0 }
}

/// The sequence number that an answer names.
fn retry_from(answer: Answer) -> Option<String> {
    answer.retry_from().map(|sequence| sequence.to_string())
}

async fn invoke(context: &Test, batch: &Batch) -> Option<String> {
    retry_from(handle(&context.context, batch, DEADLINE_MS).await)
}

async fn done(context: &Test, batch: &Batch) {
    assert_eq!(invoke(context, batch).await, None);
}

/// The batch fails, and the invocation ends there.
async fn crash(context: &Test, batch: &Batch) {
    assert!(invoke(context, batch).await.is_some());
}

fn latest(context: &Test, device: &str) -> Row {
    context.stores.results.row(device, Item::Latest).expect("the device has a row")
}

/// The latest result of the heart rate.
fn result(context: &Test, device: &str) -> MetricResult {
    latest(context, device).metrics["heart_rate"].clone()
}

/// How many readings the latest result has, their mean, and whether it is partial.
fn outline(context: &Test, device: &str) -> (u32, f64, bool) {
    let MetricResult { average, partial, .. } = result(context, device);
    (average.count, average.mean, partial)
}

/// All rows, without when their messages were received: a row that is written again has that of its batch.
fn rows(context: &Test) -> Vec<Row> {
    context.stores.results.rows().into_iter().map(|row| Row { received_at: 0, ..row }).collect()
}

/// Other devices of the same slot.
fn neighbours_of(device: &str) -> [String; 2] {
    let names = (0..10_000).map(|n| format!("neighbour-{n}"));
    let mut neighbours = names.filter(|name| Slot::of(name) == Slot::of(device));
    [(); 2].map(|()| neighbours.next().expect("there are many names"))
}

async fn progress(context: &Test) -> Progress {
    context.stores.progress.read(DeviceState::NAME, "readings").await.unwrap()
}

#[tokio::test]
async fn the_sample_event_gives_averages_and_the_next_batch_continues_them() {
    let context = context();
    let sample = Batch::from_event(include_str!("../../../events/kinesis-readings.json")).unwrap();
    done(&context, &sample).await;
    let row = latest(&context, "bed-17");
    assert_eq!((row.facility.as_str(), row.counted, row.metrics.len()), ("home-3", 3, 1));
    assert_eq!((row.received_at, row.updated_at, row.expires_at), (1_795_218_902_140, NOW_MS, None));
    let result = result(&context, "bed-17");
    let average = result.average;
    assert_eq!((average.count, average.mean, average.min, average.max), (3, 63.0, 61.0, 65.0));
    assert_eq!((result.value, result.at, result.partial), (65.0, 1_795_218_902_020, false));
    assert_eq!(result.unit, "1/min");
    assert_eq!(outline(&context, "bed-18"), (1, 72.0, false));
    assert!(context.letters.letters().is_empty(), "a text is not an error");

    let last = sample.records[1].sequence;
    assert_eq!(row.position, Position { sequence: last, sub: 0 });
    let next = json("bed-17", 99).replace("\"value\":99", "\"value\":61");
    let sequence = last.to_string().replace("922", "999").parse().unwrap();
    done(&context, &batch(vec![StreamRecord { sequence, ..record(1, "bed-17", next) }])).await;
    assert_eq!(outline(&context, "bed-17"), (3, 63.0, false));
    assert_eq!(latest(&context, "bed-17").counted, 4);
}

#[tokio::test]
async fn a_response_has_the_format_that_lambda_reads() {
    let context = context();
    let good = handle(&context.context, &readings("a", 1..3), DEADLINE_MS).await;
    insta::assert_snapshot!(serde_json::to_string(&good).unwrap(), @r#"{"batchItemFailures":[]}"#);
    context.states.read.fails(Fault::Before(Remedy::Retry));
    let bad = handle(&context.context, &readings("a", 3..5), DEADLINE_MS).await;
    insta::assert_snapshot!(serde_json::to_string(&bad).unwrap(), @r#"{"batchItemFailures":[{"itemIdentifier":"3"}]}"#);
}

#[tokio::test]
async fn a_bad_record_becomes_a_dead_letter_and_does_not_affect_the_others() {
    let context = context();
    let text = json("a", 2).replace("\"value\":2", "\"value\":\"high\"");
    let aggregate = myaku::stream::kpl::encode([("a", json("a", 8).as_bytes()), ("a", b"{}".as_slice())]);
    let records = vec![
        reading("a", 1),
        record(2, "a", text),
        record(3, "a", "not JSON \u{fffd}"),
        record(4, "b", json("a", 4)),
        reading("stranger", 5),
        record(6, "a", json("a", 6).replace("\"at\":1795218846000", "\"at\":-1")),
        record(7, "a", Vec::new()),
        record(8, "a", aggregate),
        reading("a", 9),
    ];
    done(&context, &batch(records)).await;
    assert_eq!(outline(&context, "a"), (3, 6.0, false));
    let letters = context.letters.letters();
    let mut reasons: Vec<_> = letters.iter().map(|letter| (format!("{:?}", letter.position), letter.reason)).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            ("3.0".to_owned(), Reason::NotAMessage),
            ("4.0".to_owned(), Reason::NotAMessage),
            ("5.0".to_owned(), Reason::UnknownDevice),
            ("6.0".to_owned(), Reason::TimeBeyondBelief),
            ("7.0".to_owned(), Reason::NotAMessage),
            ("8.1".to_owned(), Reason::NotAMessage),
        ]
    );
    assert!(letters.iter().all(|letter| !letter.detail.contains("not JSON")), "no payload in a detail");
}

#[tokio::test]
async fn a_batch_without_a_number_calls_no_store() {
    let context = context();
    for switch in context.switches() {
        switch.fails(Fault::Before(Remedy::Retry));
    }
    done(&context, &batch(Vec::new())).await;
    done(&context, &batch(vec![record(1, "a", "{}")])).await;
    let other = json("a", 2).replace("heart_rate", "no_window");
    done(&context, &batch(vec![record(2, "a", other)])).await;
}

#[tokio::test]
async fn redelivered_and_repeated_readings_count_once() {
    let context = context();
    done(&context, &readings("a", 1..5)).await;
    let before = rows(&context);
    done(&context, &readings("a", 1..5)).await;
    done(&context, &readings("a", 2..4)).await;
    assert_eq!(rows(&context), before);
    done(&context, &batch(vec![record(50, "a", json("a", 4)), record(51, "a", json("a", 3))])).await;
    let again: Vec<_> = rows(&context).into_iter().map(|row| Row { position: position(4), ..row }).collect();
    assert_eq!(again, before, "a duplicate from upstream has a position of its own, and changes nothing else");
}

#[tokio::test]
async fn what_is_acknowledged_is_noted_with_the_newest_time_of_the_shard() {
    let context = context();
    done(&context, &batch(vec![reading("a", 7), reading("b", 8), record(9, "a", json("a", 3))])).await;
    done(&context, &batch(vec![record(10, "a", json("a", 5)), record(11, "a", "no reading")])).await;
    let slots = Slot::ALL.map(Slot).collect();
    let entry = Acknowledged { position: position(11), newest_ms: at_ms(8), slots };
    let expected = Progress { acknowledged: [(SHARD.to_owned(), entry)].into(), ..Progress::default() };
    assert_eq!(progress(&context).await, expected);
}

#[tokio::test]
async fn history_has_a_row_for_each_closed_interval_and_a_late_reading_corrects_it() {
    let context = context();
    done(&context, &readings("a", [10, 20, 70])).await;
    let history = || context.stores.results.history("a", "heart_rate", 0, i64::MAX);
    let rows = history().await.unwrap();
    assert_eq!(rows.len(), 1, "the second interval is still open");
    let outline = |row: &Row| {
        let result = &row.metrics["heart_rate"];
        (result.average.mean, result.value, row.counted)
    };
    assert_eq!(outline(&rows[0]), (15.0, 20.0, 3));
    assert_eq!(rows[0].item, Item::history(BEGIN_MS));
    assert_eq!(rows[0].expires_at, Some(BEGIN_MS / 1_000 + 86_400));

    done(&context, &batch(vec![record(90, "a", json("a", 30))])).await;
    let rows = history().await.unwrap();
    assert_eq!(outline(&rows[0]), (20.0, 30.0, 4));
}

#[tokio::test]
async fn a_row_has_all_metrics_of_its_device() {
    let context = slow_context();
    let batch = batch(vec![spo2("a", 1), reading("a", 2), spo2("a", 61), reading("a", 62)]);
    done(&context, &batch).await;
    let count = |row: &Row| -> Vec<_> {
        row.metrics.iter().map(|(metric, result)| (metric.clone(), result.average.count)).collect()
    };
    let both = [("heart_rate".to_owned(), 2), ("spo2".to_owned(), 2)];
    assert_eq!(count(&latest(&context, "a")), both);
    assert_eq!(context.stores.results.rows().len(), 2, "and one of history, which only the heart rate has");
}

#[tokio::test]
async fn a_row_waits_for_more_readings_and_time_passes_by_their_arrival() {
    let context = slow_context();
    let mut counted = Vec::new();
    for n in [1, 2, 30, 31, 32, 60, 61] {
        done(&context, &punctual("a", [n])).await;
        counted.push(latest(&context, "a").counted);
    }
    assert_eq!(counted, [1, 1, 1, 4, 4, 4, 7], "written at 1, 31 and 61");
    done(&context, &punctual("a", 62..100)).await;
    assert_eq!(latest(&context, "a").counted, 45, "a batch writes one row at most");
}

#[tokio::test]
async fn history_does_not_wait() {
    let context = slow_context();
    done(&context, &readings("a", [10])).await;
    done(&context, &readings("a", [20, 70])).await;
    assert_eq!(latest(&context, "a").counted, 1, "all arrived at the same time");
    let row = context.stores.results.row("a", Item::history(BEGIN_MS)).unwrap();
    assert_eq!(row.metrics["heart_rate"].average.mean, 15.0);
}

#[tokio::test]
async fn an_invocation_without_time_left_asks_for_a_retry() {
    let context = context();
    let response = handle(&context.context, &readings("a", 4..6), NOW_MS + 500).await;
    assert_eq!(retry_from(response).as_deref(), Some("4"));
    assert!(context.stores.states.snapshot().is_empty());
}
