//! Tests from a request to a result, through the functions that read the stream, on ports in memory.

use super::*;
use myaku::alert::MemoryReporter;
use myaku::device::presence::watch::memory::MemoryWatch;
use myaku::keyed;
use myaku::keyed::Shards;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::MemoryStates;
use myaku::lake::dead_letter::{MemoryDeadLetters, Reason};
use myaku::results::Item;
use myaku::results::memory::MemoryResults;
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::stream::source::memory as source;
use myaku::window::{DeviceState, MovingAverage};
use std::collections::BTreeMap;

const DEADLINE_MS: i64 = NOW_MS + 60_000;
/// Shards of the stream of readings.
const SHARDS: usize = 2;
/// A profile without a time or a number: only the sender identifies its messages.
const BARE: &str = r#"{"id":"bare","metrics":{"heart_rate":{"window":{"last":500}}},
    "versions":[{"name":"1","format":"json","fields":[{"metric":"heart_rate","from":"hr"}]}]}"#;

fn registered() -> MemoryMasterData {
    let store = master_data();
    store.put_device(&Device::new("bed-17", "bare", Some("home-3")));
    store.put_document(Key::new(Kind::Profile, "bare"), BARE);
    store
}

/// The ports of the functions that read the stream.
struct Consumers;

impl transform::Ports for Consumers {
    type MasterData = MemoryMasterData;
    type Stream = MemoryStream;
    type Letters = MemoryDeadLetters;
    type Watch = MemoryWatch;
    type Clock = ManualClock;
}

impl keyed::Ports for Consumers {
    type Rule = MovingAverage;
    type Settings = Registry<MemoryMasterData, ManualClock>;
    type Shards = source::MemoryStream;
    type Progress = MemoryProgress;
    type States = MemoryStates<DeviceState>;
    type Results = MemoryResults;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

/// The batches that Lambda delivers from a stream: one for each shard.
fn batches(stream: &MemoryStream) -> Vec<Batch> {
    let mut shards = BTreeMap::<String, Vec<StreamRecord>>::new();
    for (sequence, (shard, entry)) in (100_u32..).zip(stream.records()) {
        shards.entry(shard).or_default().push(StreamRecord {
            sequence: sequence.to_string().parse().unwrap(),
            partition_key: entry.partition_key.into(),
            arrived_ms: NOW_MS,
            data: entry.data.into(),
        });
    }
    shards.into_iter().map(|(shard, records)| Batch { stream: "stream".to_owned(), shard, records }).collect()
}

/// Processes everything on the stream of `context`. Returns how many readings the average of `bed-17` has, and the
/// reasons of the dead letters.
async fn process_all(context: &Fixture) -> (u32, Vec<Reason>) {
    let transform = transform::Context::<Consumers> {
        registry: Registry::new(registered(), ManualClock::at(NOW_MS), DEFAULT_TTL),
        readings: Producer::seeded(MemoryStream::new(SHARDS), Placement::Slots, Limits::default(), 1),
        letters: MemoryDeadLetters::new(),
        watch: MemoryWatch::default(),
        clock: ManualClock::at(NOW_MS),
    };
    for batch in batches(context.messages.port()) {
        assert_eq!(transform::handle(&transform, &batch, DEADLINE_MS).await, Answer::DONE);
    }
    let averages = keyed::Context::<Consumers> {
        settings: Registry::new(registered(), ManualClock::at(NOW_MS), DEFAULT_TTL),
        shards: Shards::new(source::MemoryStream::new(SHARDS)),
        progress: MemoryProgress::default(),
        states: MemoryStates::default(),
        results: MemoryResults::default(),
        findings: None,
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        limits: keyed::Limits {
            results_interval: Duration::ZERO,
            history_ttl: Duration::from_hours(24),
            group: keyed::GROUP,
        },
    };
    for batch in batches(transform.readings.port()) {
        assert_eq!(keyed::handle(&averages, &batch, DEADLINE_MS).await, Answer::DONE);
    }
    let row = averages.results.row("bed-17", Item::Latest);
    let count = row.map_or(0, |row| row.metrics["heart_rate"].average.count);
    let letters = transform.letters.letters().iter().map(|letter| letter.reason).collect();
    (count, letters)
}

fn bare(n: usize) -> Value {
    json!({"deviceId": "bed-17", "facility": "home-3", "kind": "vital",
        "payload": {"hr": 60 + n % 7, "note": "x".repeat(1_000)}})
}

#[tokio::test]
async fn a_request_that_is_sent_again_after_a_lost_answer_counts_once_in_the_average() {
    let context = fixture();
    let mut request = request(json!([bare(1), bare(1)]).to_string());
    request["headers"]["idempotency-key"] = json!("k-1");
    for invocation in ["first", "second"] {
        assert_eq!(respond(&context, &request, invocation).await.status_code, 202);
    }
    assert_eq!((stored_messages(&context).len(), process_all(&context).await.0), (4, 2));

    request["headers"]["idempotency-key"] = json!("k-2");
    respond(&context, &request, "third").await;
    assert_eq!(process_all(&context).await.0, 4, "another key is another request");
    request["headers"].as_object_mut().unwrap().remove("idempotency-key");
    respond(&context, &request, "fourth").await;
    assert_eq!(process_all(&context).await.0, 6, "without a key each is a different message");
}

#[tokio::test]
async fn a_record_that_is_put_again_after_a_lost_answer_of_kinesis_counts_once() {
    let context = fixture();
    context.messages.port().inject([Fault::AnswerLost]);
    assert_eq!(send(&context, &request(bare(1).to_string())).await.0, 202);
    assert_eq!((stored_messages(&context).len(), process_all(&context).await.0), (2, 1));
}

#[tokio::test]
async fn the_failed_items_of_a_207_can_be_sent_alone_and_all_count_once() {
    let context = without_retries();
    context.messages.port().inject([Fault::ThrottleHalf]);
    let items: Vec<_> = (0..100).map(bare).collect();
    let mut all = request(Value::from(items.clone()).to_string());
    all["headers"]["idempotency-key"] = json!("k-1");
    let (status, body) = send(&context, &all).await;
    assert_eq!(status, 207);
    let failed: Vec<_> = body["results"].as_array().unwrap().iter().filter(|result| result["status"] == 429).collect();
    let (accepted, _) = process_all(&context).await;
    assert_eq!(accepted as usize, 100 - failed.len());
    assert!(!failed.is_empty() && accepted > 0);

    let again = failed.iter().map(|result| {
        let mut item = items[result["index"].as_u64().unwrap() as usize].clone();
        item["messageId"] = result["messageId"].clone();
        item
    });
    assert_eq!(send(&context, &request(Value::from(again.collect::<Vec<_>>()).to_string())).await.0, 202);
    assert_eq!((stored_messages(&context).len(), process_all(&context).await.0), (100, 100));
    // A client may also send the whole request again.
    assert_eq!(send(&context, &all).await.0, 202);
    assert_eq!((stored_messages(&context).len(), process_all(&context).await.0), (200, 100));
}

#[tokio::test]
async fn a_clock_in_the_year_2099_is_accepted_and_becomes_a_dead_letter_with_a_reason() {
    let context = fixture();
    let item =
        |ts: i64| json!({"deviceId": "bed-18", "facility": "home-3", "kind": "vital", "payload": {"ts": ts, "hr": 61}});
    let body = json!([item(4_070_908_800_000), item(NOW_MS - 1_000)]).to_string();
    assert_eq!(send(&context, &request(body)).await.0, 202);
    assert_eq!(process_all(&context).await.1, [Reason::TimeBeyondBelief]);
}
