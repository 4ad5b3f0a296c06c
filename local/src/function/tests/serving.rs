//! Tests what Lambda sees of a handler of Kinesis batches that [`myaku::stream::lambda`] serves. The handler runs in the
//! real runtime, in a process of its own, with the Runtime API of this crate.

use super::*;
use insta::assert_snapshot;
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::platform::lambda::Function;
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;
use myaku::stream::guard::Guard;
use myaku::stream::guard::notes::memory::MemoryNotes;
use myaku::stream::lambda::serve;

/// The message of the handler's panic.
const PANIC: &str = "the handler panics";

/// An event of one shard. Each record has a sequence number and a text.
fn event(shard: &str, records: &[(u32, &str)]) -> Value {
    let sample: Value = serde_json::from_str(include_str!("../../../../events/kinesis-archiver.json")).unwrap();
    let record = |(sequence, text): &(u32, &str)| {
        let mut record = sample["Records"][0].clone();
        record["eventID"] = json!(format!("{shard}:{sequence}"));
        record["kinesis"]["sequenceNumber"] = json!(sequence.to_string());
        record["kinesis"]["data"] =
            json!(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text.as_bytes()));
        record
    };
    json!({ "Records": records.iter().map(record).collect::<Vec<_>>() })
}

/// A function that answers with the last record that it received.
fn serving() -> Fixture {
    function(|spec| write_runtime(&spec.binary, "function::tests::serving::serving_process"))
}

/// The expected response to an event.
fn served(records: &[(u32, &str)]) -> Value {
    json!({ "batchItemFailures": [{ "itemIdentifier": records[records.len() - 1].0.to_string() }] })
}

/// The type and the message of the error of an invocation.
async fn error_of(fixture: &Fixture, payload: impl Into<Bytes>) -> (String, String) {
    match fixture.function.invoke(payload.into()).await {
        Err(InvokeError::FunctionError { error_type, message }) => (error_type, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_process_serves_several_events_each_with_its_own_records() {
    let fixture = serving();
    let shards = ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"];
    for (shard, first) in shards.into_iter().zip([5, 1, 9]) {
        let records = [(first, "one"), (first + 1, "two")];
        assert_eq!(fixture.invoke(event(shard, &records)).await.unwrap(), served(&records));
    }
    assert_eq!(fixture.function.stats().cold_starts, 1);
}

#[tokio::test]
async fn a_bad_event_fails_with_a_message_without_values_and_does_not_affect_the_next_invocation() {
    let fixture = serving();
    let records = [(7, "s3cr3t")];
    let mut twice = event("shardId-000000000000", &[(7, "s3cr3t"), (7, "s3cr3t")]);
    let descending = twice.to_string();
    twice["Records"][1]["kinesis"]["data"] = json!("s3cr3t!");
    let mut messages = Vec::new();
    for bad in [descending, twice.to_string(), r#"{"s3cr3t":[]}"#.to_owned(), "null".to_owned()] {
        let (kind, message) = error_of(&fixture, bad).await;
        assert_eq!(kind, "BadEvent");
        messages.push(message);
    }
    assert_snapshot!(messages.join("\n"), @r"
    Records[1]: sequenceNumber is not above the one before it
    Records[1]: data is not base64
    the event is not a Kinesis event: missing field `Records` at line 1 column 13
    the event is not a Kinesis event: invalid type: null, expected struct Event at line 1 column 4
    ");
    // If a bad event were still stored, it would be served now.
    let shard = "shardId-000000000003";
    assert_eq!(fixture.invoke(event(shard, &records)).await.unwrap(), served(&records));
    let stats = fixture.function.stats();
    assert_eq!((stats.invocations, stats.errors, stats.cold_starts), (5, 4, 1));
}

#[tokio::test]
async fn a_panic_fails_only_its_own_invocation() {
    let fixture = serving();
    let shard = "shardId-000000000000";
    let (_, message) = error_of(&fixture, event(shard, &[(1, PANIC)]).to_string()).await;
    assert_eq!(message, format!("Lambda panicked: {PANIC}"));
    let records = [(1, "again")];
    assert_eq!(fixture.invoke(event(shard, &records)).await.unwrap(), served(&records));
    let stats = fixture.function.stats();
    assert_eq!((stats.errors, stats.crashes, stats.cold_starts), (1, 0, 1));
}

/// Not a test, but the process of the function. It does nothing unless its environment names a Runtime API.
#[test]
#[ignore = "the runtime that the other tests start"]
fn serving_process() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let function = Function::start("serving").unwrap();
    let (notes, aside) = (MemoryNotes::default(), MemoryDeadLetters::new());
    let guard = Guard::new("serving", notes, aside, SystemClock);
    let served = runtime.block_on(serve(function, guard, async |batch: &Batch, deadline_ms| {
        assert!(deadline_ms > SystemClock.now_ms());
        assert!(batch.records.iter().all(|record| record.data != PANIC), "{PANIC}");
        Answer::retry_from_record(batch, batch.records.len() - 1, &std::fmt::Error)
    }));
    served.unwrap();
}
