//! Runs the function on ports in memory, with each fault.
#![allow(clippy::float_cmp, reason = "means of small whole numbers are exact")]

mod groups;
mod loss;

use myaku::device::profile::WindowSpec;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::states::{Commit, Committed, Loaded, States};
use myaku::keyed::{Context, GROUP, Ports, SettingsSource, handle};
use myaku::lake::dead_letter::{MemoryDeadLetters, Problem, Reason};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::results::memory::MemoryResults;
use myaku::results::{Item, Results, ResultsReader as _, Row, Write, Written};
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::window::{DeviceState, MetricWindows, MovingAverage};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Mutex;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_910_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;

/// The same windows for every device except `stranger`, which is not registered.
struct Fixed(Metrics);

/// The windows of a device, by metric.
#[derive(Clone)]
struct Metrics(HashMap<String, WindowSpec>);

impl MetricWindows for Metrics {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        self.0.get(metric)
    }
}

impl SettingsSource for Fixed {
    type Settings = Metrics;

    async fn resolve<'a>(
        &self,
        devices: &[&'a str],
    ) -> Result<HashMap<&'a str, Result<Metrics, Problem>>, RemoteError> {
        let found = |device: &str| match device {
            "stranger" => Err(Problem { reason: Reason::UnknownDevice, detail: "unknown".to_owned() }),
            _ => Ok(self.0.clone()),
        };
        Ok(devices.iter().map(|device| (*device, found(device))).collect())
    }
}

/// What a port does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Fails before the call.
    Before(Remedy),
    /// Makes the call, and loses the answer.
    After,
    /// Never answers.
    Hangs,
}

/// A port with a switch for faults of its reads, and one for its writes.
#[derive(Default)]
struct Faulty<P> {
    port: P,
    load: Mutex<Option<Fault>>,
    write: Mutex<Option<Fault>>,
}

async fn with_fault<T>(
    fault: &Mutex<Option<Fault>>,
    call: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let fault = *fault.lock().unwrap();
    match fault {
        Some(Fault::Before(remedy)) => Err(RemoteError::new("call", remedy, "down")),
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::After) => {
            call.await?;
            Err(RemoteError::new("call", Remedy::Retry, "the answer was lost"))
        }
        None => call.await,
    }
}

impl States for Faulty<MemoryStates<DeviceState>> {
    type State = DeviceState;

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<DeviceState>>, RemoteError> {
        with_fault(&self.load, self.port.load(devices)).await
    }

    async fn commit(&self, commits: &[Commit<'_, DeviceState>]) -> Result<Vec<Committed>, RemoteError> {
        with_fault(&self.write, self.port.commit(commits)).await
    }
}

impl Results for Faulty<MemoryResults> {
    async fn write(&self, writes: &[Write]) -> Result<Vec<Written>, RemoteError> {
        with_fault(&self.write, self.port.write(writes)).await
    }
}

/// The ports of a test, with `S` for states and `R` for results.
struct TestPorts<S, R>(PhantomData<fn() -> (S, R)>);

impl<S: States<State = DeviceState>, R: Results> Ports for TestPorts<S, R> {
    type Rule = MovingAverage<Metrics>;
    type Settings = Fixed;
    type States = S;
    type Results = R;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

type Test = Context<TestPorts<Faulty<MemoryStates<DeviceState>>, Faulty<MemoryResults>>>;

fn context() -> Test {
    let heart_rate = WindowSpec { history_seconds: Some(60), ..WindowSpec::last(3) };
    Context {
        settings: Fixed(Metrics(
            [("heart_rate".to_owned(), heart_rate), ("spo2".to_owned(), WindowSpec::last(3))].into(),
        )),
        states: Faulty::default(),
        results: Faulty::default(),
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        history_ttl: Duration::from_hours(24),
        group: GROUP,
    }
}

/// A context with `states`, in which nothing else fails.
fn with_states<S: States<State = DeviceState>>(states: S) -> Context<TestPorts<S, MemoryResults>> {
    let Context { settings, letters, clock, history_ttl, group, .. } = context();
    Context { settings, states, results: MemoryResults::default(), letters, clock, history_ttl, group }
}

/// The reading `n` of a device: at second `n`, with the value `n`.
fn json(device: &str, n: u32) -> String {
    format!(
        r#"{{"id":"{device}-{n}","deviceId":"{device}","facility":"home-3","metric":"heart_rate","value":{n},"unit":"1/min","at":{},"clock":"device","receivedAt":{},"quality":"good"}}"#,
        u64::from(n) * 1_000 + 1_795_218_840_000,
        u64::from(n) * 1_000 + 1_795_218_840_100
    )
}

fn record(sequence: u32, key: &str, data: impl Into<Vec<u8>>) -> StreamRecord {
    StreamRecord {
        sequence: sequence.to_string().parse().unwrap(),
        partition_key: key.into(),
        arrived_ms: NOW_MS - 1_000,
        data: data.into().into(),
    }
}

fn batch(records: Vec<StreamRecord>) -> Batch {
    Batch { stream: "readings".to_owned(), shard: "shardId-000000000000".to_owned(), records }
}

/// A batch with one record for each reading `n`, whose sequence number is also `n`.
fn readings(device: &str, ns: impl IntoIterator<Item = u32>) -> Batch {
    batch(ns.into_iter().map(|n| record(n, device, json(device, n))).collect())
}

/// The sequence number that an answer names.
fn retry_from(answer: Answer) -> Option<String> {
    answer.retry_from().map(|sequence| sequence.to_string())
}

async fn invoke(context: &Test, batch: &Batch) -> Option<String> {
    let response = handle(context, batch, DEADLINE_MS).await;
    retry_from(response)
}

async fn done(context: &Test, batch: &Batch) {
    assert_eq!(invoke(context, batch).await, None);
}

async fn latest(context: &Test, device: &str) -> Row {
    context.results.port.latest(device).await.unwrap().remove(0)
}

async fn mean(context: &Test, device: &str) -> f64 {
    latest(context, device).await.average.mean
}

#[tokio::test]
async fn the_sample_event_gives_averages_and_the_next_batch_continues_them() {
    let context = context();
    let batch = Batch::from_event(include_str!("../../../events/kinesis-readings.json")).unwrap();
    done(&context, &batch).await;
    let row = latest(&context, "bed-17").await;
    assert_eq!((row.average.count, row.average.mean, row.average.min, row.average.max), (3, 63.0, 61.0, 65.0));
    assert_eq!((row.value, row.at, row.partial, row.revision), (65.0, 1_795_218_902_020, false, 3));
    assert_eq!((row.facility.as_str(), row.unit.as_str()), ("home-3", "1/min"));
    assert_eq!(mean(&context, "bed-18").await, 72.0);
    assert!(context.letters.letters().is_empty(), "a text is not an error");

    let next = json("bed-17", 99).replace("\"value\":99", "\"value\":61");
    done(
        &context,
        &super::tests::batch(vec![StreamRecord {
            sequence: batch.records[1].sequence.to_string().replace("921", "999").parse().unwrap(),
            ..record(1, "bed-17", next)
        }]),
    )
    .await;
    assert_eq!(mean(&context, "bed-17").await, 63.0);
    assert_eq!(latest(&context, "bed-17").await.average.min, 61.0);
}

#[tokio::test]
async fn a_response_has_the_format_that_lambda_reads() {
    let context = context();
    let good = handle(&context, &readings("a", 1..3), DEADLINE_MS).await;
    insta::assert_snapshot!(serde_json::to_string(&good).unwrap(), @r#"{"batchItemFailures":[]}"#);
    *context.states.load.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
    let bad = handle(&context, &readings("a", 3..5), DEADLINE_MS).await;
    insta::assert_snapshot!(serde_json::to_string(&bad).unwrap(), @r#"{"batchItemFailures":[{"itemIdentifier":"3"}]}"#);
}

#[tokio::test]
async fn a_bad_record_becomes_a_dead_letter_and_does_not_affect_the_others() {
    let context = context();
    let text = json("a", 2).replace("\"value\":2", "\"value\":\"high\"");
    let aggregate = myaku::stream::kpl::encode([("a", json("a", 8).as_bytes()), ("a", b"{}".as_slice())]);
    let records = vec![
        record(1, "a", json("a", 1)),
        record(2, "a", text),
        record(3, "a", "not JSON \u{fffd}"),
        record(4, "b", json("a", 4)),
        record(5, "stranger", json("stranger", 5)),
        record(6, "a", json("a", 6).replace("\"at\":1795218846000", "\"at\":-1")),
        record(7, "a", Vec::new()),
        record(8, "a", aggregate),
        record(9, "a", json("a", 9)),
    ];
    done(&context, &batch(records)).await;
    assert_eq!((latest(&context, "a").await.average.count, mean(&context, "a").await), (3, 6.0));
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
    *context.states.load.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
    *context.results.write.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
    done(&context, &batch(Vec::new())).await;
    done(&context, &batch(vec![record(1, "a", "{}")])).await;
    let other = json("a", 2).replace("heart_rate", "no_window");
    done(&context, &batch(vec![record(2, "a", other)])).await;
}

#[tokio::test]
async fn with_any_fault_of_any_port_the_batch_is_retried_and_then_everything_counts_once() {
    let faults = [Fault::Before(Remedy::Retry), Fault::Before(Remedy::GiveUp), Fault::After, Fault::Hangs];
    for fault in faults {
        for port in 0..4 {
            let context = context();
            done(&context, &readings("a", 1..3)).await;
            let switch = [&context.states.load, &context.results.write, &context.states.write];
            match switch.get(port) {
                Some(switch) => *switch.lock().unwrap() = Some(fault),
                None if fault == Fault::Hangs => context.letters.hang(),
                None => context.letters.refuse("", Remedy::SlowDown),
            }
            let mut batch = readings("a", 3..5);
            batch.records.push(record(5, "a", "not a reading"));
            // A tenth of a second is left to wait for a port that never answers.
            let response = handle(&context, &batch, NOW_MS + 1_100).await;
            assert_eq!(retry_from(response).as_deref(), Some("3"), "{fault:?} at {port}");
            for switch in switch {
                *switch.lock().unwrap() = None;
            }
            context.letters.recover();
            done(&context, &batch).await;
            let row = latest(&context, "a").await;
            assert_eq!((row.average.mean, row.revision, row.partial), (3.0, 4, false), "{fault:?} at {port}");
            assert_eq!(context.letters.letters().len(), 1);
        }
    }
}

#[tokio::test]
async fn after_a_crash_before_the_commit_the_same_rows_are_written_wherever_the_batch_is_cut() {
    let untouched = context();
    done(&untouched, &readings("a", 1..80)).await;
    for cut in 41..80 {
        let context = context();
        done(&context, &readings("a", 1..41)).await;
        *context.states.write.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
        assert!(invoke(&context, &readings("a", 41..70)).await.is_some());
        *context.states.write.lock().unwrap() = None;
        done(&context, &readings("a", 41..cut)).await;
        done(&context, &readings("a", cut..80)).await;
        let rows = |context: &Test| -> Vec<Row> {
            context.results.port.rows().into_iter().map(|row| Row { base: None, ..row }).collect()
        };
        assert_eq!(rows(&context), rows(&untouched), "cut at {cut}");
    }
}

#[tokio::test]
async fn redelivered_and_repeated_readings_count_once() {
    let context = context();
    done(&context, &readings("a", 1..5)).await;
    let before = context.results.port.rows();
    done(&context, &readings("a", 1..5)).await;
    done(&context, &readings("a", 2..4)).await;
    assert_eq!(context.results.port.rows(), before);
    let again = batch(vec![record(50, "a", json("a", 4)), record(51, "a", json("a", 3))]);
    done(&context, &again).await;
    assert_eq!(context.results.port.rows(), before, "a duplicate from upstream has its own position");
}

#[tokio::test]
async fn a_zombie_neither_commits_nor_overwrites() {
    let (context, zombie) = (context(), context());
    done(&context, &readings("a", 1..3)).await;
    let loaded = context.states.port.snapshot();
    done(&context, &readings("a", 3..6)).await;
    done(&context, &readings("a", 6..9)).await;
    let (rows, states) = (context.results.port.rows(), context.states.port.snapshot());

    // The zombie loaded its states before the others, and continues now: its states are old, and the stored rows and
    // states are newer.
    zombie.states.port.restore(loaded);
    for row in rows.clone() {
        zombie.results.port.write(&[Write { row, over: None, revision: 0 }]).await.unwrap();
    }
    let overlaid = Overlaid { old: &zombie.states.port, new: &context.states.port };
    let late = with_states(overlaid);
    for row in rows.clone() {
        late.results.write(&[Write { row, over: None, revision: 0 }]).await.unwrap();
    }
    let response = handle(&late, &readings("a", 3..6), DEADLINE_MS).await;
    assert_ne!(response, Answer::DONE, "its commit fails");
    assert_eq!(late.results.rows(), rows);
    assert_eq!(context.states.port.snapshot(), states);
}

/// Loads from one store and commits to another, as if time had passed in between.
struct Overlaid<'a> {
    old: &'a MemoryStates<DeviceState>,
    new: &'a MemoryStates<DeviceState>,
}

impl States for Overlaid<'_> {
    type State = DeviceState;

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<DeviceState>>, RemoteError> {
        self.old.load(devices).await
    }

    async fn commit(&self, commits: &[Commit<'_, DeviceState>]) -> Result<Vec<Committed>, RemoteError> {
        self.new.commit(commits).await
    }
}

#[tokio::test]
async fn after_a_conflict_the_whole_batch_is_retried() {
    let context = context();
    done(&context, &readings("a", 1..3)).await;
    let old = MemoryStates::default();
    let late = with_states(Overlaid { old: &old, new: &context.states.port });
    let mixed = batch(vec![record(1, "b", json("b", 1)), record(2, "a", json("a", 2))]);
    let response = handle(&late, &mixed, DEADLINE_MS).await;
    assert_eq!(retry_from(response).as_deref(), Some("1"));
}

#[tokio::test]
async fn two_shards_that_race_for_a_device_lose_nothing_and_mark_nothing_partial() {
    for first in [2, 9] {
        let context = context();
        done(&context, &readings("a", [1])).await;
        // The first shard writes its rows and fails to commit. In the meantime the other one, after a reshard,
        // advances.
        let (uncommitted, other) = (readings("a", [first]), readings("a", [5]));
        let other = Batch { shard: "shardId-000000000007".to_owned(), ..other };
        *context.states.write.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
        assert!(invoke(&context, &uncommitted).await.is_some());
        *context.states.write.lock().unwrap() = None;
        done(&context, &other).await;
        done(&context, &uncommitted).await;
        let row = latest(&context, "a").await;
        let expected = f64::from(1 + first + 5) / 3.0;
        assert_eq!((row.average.count, row.average.mean, row.partial), (3, expected, false), "{first}");
    }
}

#[tokio::test]
async fn results_after_a_lost_state_are_partial_until_the_window_has_filled_and_those_of_a_new_device_are_not() {
    let context = context();
    done(&context, &readings("a", 1..7)).await;
    context.states.port.lose_everything();
    let mut partial = Vec::new();
    for n in 7..11 {
        done(&context, &batch(vec![record(n, "a", json("a", n)), record(n, "new", json("new", n))])).await;
        let row = latest(&context, "a").await;
        partial.push((row.average.count, row.partial));
        assert!(!latest(&context, "new").await.partial, "a new device has lost nothing");
    }
    assert_eq!(partial, [(1, true), (2, true), (3, false), (3, false)]);
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.revision), (9.0, 10), "revisions continue");
}

#[tokio::test]
async fn the_rows_show_that_a_state_lost_its_last_writes() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let old = context.states.port.snapshot();
    done(&context, &readings("a", 4..6)).await;
    context.states.port.restore(old);
    done(&context, &readings("a", 6..7)).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.count, row.average.mean, row.partial), (3, 11.0 / 3.0, true), "4 and 5 are missing");
    done(&context, &readings("a", 7..9)).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial), (7.0, false));
}

#[tokio::test]
async fn a_loss_during_a_redelivery_is_still_detected() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    done(&context, &readings("a", 4..6)).await;
    context.states.port.lose_everything();
    done(&context, &readings("a", 5..6)).await;
    assert_eq!(mean(&context, "a").await, 4.0, "the row of the same record stays");
    done(&context, &readings("a", 6..7)).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.count, row.partial), (2, true));
}

#[tokio::test]
async fn a_corrupted_state_counts_as_lost_and_the_batch_is_done() {
    let context = context();
    done(&context, &readings("a", 1..7)).await;
    context.states.port.put_raw("a", b"\xff\x00 not a state, and never was");
    done(&context, &readings("a", 7..8)).await;
    assert!(latest(&context, "a").await.partial);
    done(&context, &readings("a", 8..10)).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial), (8.0, false));
}

#[tokio::test]
async fn history_has_a_row_for_each_closed_interval_and_a_late_reading_corrects_it() {
    let context = context();
    done(&context, &readings("a", [10, 20, 70])).await;
    let history = || context.results.port.history("a", "heart_rate", 0, i64::MAX);
    let rows = history().await.unwrap();
    assert_eq!(rows.len(), 1, "the second interval is still open");
    assert_eq!((rows[0].average.mean, rows[0].revision, rows[0].value), (15.0, 3, 20.0));
    let from_ms = 1_795_218_840_000;
    assert_eq!(rows[0].item, Item::History { metric: "heart_rate".to_owned(), from_ms });
    assert_eq!(rows[0].expires_at, Some(from_ms / 1_000 + 86_400));

    done(&context, &batch(vec![record(90, "a", json("a", 30))])).await;
    let rows = history().await.unwrap();
    assert_eq!((rows[0].average.mean, rows[0].revision, rows[0].value), (20.0, 4, 30.0));
}

#[tokio::test]
async fn an_invocation_without_time_left_asks_for_a_retry() {
    let context = context();
    let response = handle(&context, &readings("a", 4..6), NOW_MS + 500).await;
    assert_eq!(retry_from(response).as_deref(), Some("4"));
    assert!(context.states.port.snapshot().is_empty());
}
