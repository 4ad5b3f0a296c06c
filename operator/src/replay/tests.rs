//! Replays from buckets in memory onto streams in memory, some of them interrupted.

mod foreign;

use super::*;
use crate::selection::Selection;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::ingest::message::Message;
use myaku::lake::archive::{Compression, MemoryHeads, MemoryLake, Stored, list, read_object};
use myaku::lake::dead_letter::{DeadLetter, Failure, Problem, Reason};
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::{Batch, Position, StreamRecord};
use myaku::stream::kpl;
use myaku::stream::producer::memory::{Fault, MemoryStream};
use myaku::stream::producer::{Entry, PutOutcome};
use myaku::stream::shard_map::HashKeyRange;
use myaku::stream::slot::Slot;
use serde_json::json;
use std::sync::Arc;

/// 2026-11-21T03:00:00Z
const START_MS: i64 = 1_795_230_000_000;
const HOUR_MS: i64 = 3_600_000;

/// A stream that the test can read as well.
#[derive(Clone)]
struct Shared(Arc<MemoryStream>);

impl PutRecords for Shared {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        self.0.put_records(entries).await
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        self.0.open_shards().await
    }
}

/// Streams by name.
#[derive(Default)]
struct Streams(std::sync::Mutex<BTreeMap<String, Shared>>);

impl Streams {
    fn get(&self, name: &str) -> Shared {
        let new = || Shared(Arc::new(MemoryStream::new(1)));
        self.0.lock().unwrap().entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// The key and the bytes of each record on a stream.
    fn records(&self, name: &str) -> Vec<(String, String)> {
        let mut records = Vec::new();
        for (_, entry) in self.get(name).0.records() {
            let record = StreamRecord {
                sequence: "1".parse().unwrap(),
                partition_key: entry.partition_key.into(),
                arrived_ms: 0,
                data: entry.data.into(),
            };
            let batch = Batch { stream: String::new(), shard: String::new(), records: vec![record] };
            records.extend(
                batch
                    .user_records()
                    .map(|record| (record.partition_key.to_owned(), String::from_utf8(record.data.to_vec()).unwrap())),
            );
        }
        records
    }
}

async fn run(parcels: &impl Parcels, streams: &Streams, to: Option<&str>, notes: &mut Notes) -> Result<Report> {
    let target = Target::<_, MemoryLake, MemoryHeads>::Streams {
        to: to.map(str::to_owned),
        open: |name: &str| streams.get(name),
    };
    replay(parcels, &target, 100.0, notes, &ProgressBar::hidden()).await
}

fn unnoted() -> Notes {
    Notes::open(None, String::new(), 0..i64::MAX).unwrap()
}

fn letter(number: usize, reason: Reason) -> DeadLetter {
    DeadLetter {
        stream: "ingest".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: Position { sequence: number.to_string().parse().unwrap(), sub: 0 },
        is_whole: false,
        partition_key: format!("delivery-{number}"),
        arrived_ms: START_MS + number as i64 * 60_000,
        device_id: None,
        reason,
        detail: String::new(),
        failures: Vec::new(),
        unlisted: 0,
        data: format!("{{\"n\":{number}}}").into(),
    }
}

fn bucket(letters: impl IntoIterator<Item = DeadLetter>) -> MemoryLake {
    let bucket = MemoryLake::default();
    for letter in letters {
        bucket.overwrite(&letter.key(), Stored { body: letter.to_json().into(), ..Stored::default() });
    }
    bucket
}

fn sent(numbers: impl IntoIterator<Item = usize>) -> Vec<(String, String)> {
    numbers.into_iter().map(|number| (format!("delivery-{number}"), format!("{{\"n\":{number}}}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_letter_with_a_whole_stream_record_sends_the_user_records_that_it_is_about() {
    let data = kpl::encode([("a", &b"1"[..]), ("b", b"2"), ("c", b"3")]);
    let position = Position { sub: 1, ..letter(1, Reason::Crashed).position };
    let whole = DeadLetter { position, is_whole: true, data: data.clone(), ..letter(1, Reason::Crashed) };
    // The record at the same position has a letter of its own, with another reason.
    let own = DeadLetter { position, partition_key: "own".to_owned(), ..letter(1, Reason::UnknownDevice) };
    // A plain record that was set aside unread, and an aggregate that a message carries.
    let plain = DeadLetter { is_whole: true, ..letter(2, Reason::Crashed) };
    let carried = DeadLetter { data: whole.data.clone(), ..letter(3, Reason::NotAMessage) };
    // Of an aggregate, the letter lists a record, or says that it does not list all.
    let listed = |sub| Failure {
        sub: Some(sub),
        index: None,
        metric: None,
        problem: Problem { reason: Reason::UnknownDevice, detail: "x".to_owned() },
    };
    let of = |n, failures, unlisted| {
        let letter = letter(n, Reason::UnknownDevice);
        let position = Position { sub: 1, ..letter.position };
        DeadLetter { position, is_whole: true, data: data.clone(), failures, unlisted, ..letter }
    };
    let bucket = bucket([whole, own, plain, carried, of(4, vec![listed(2)], 0), of(5, vec![listed(2)], 1)]);
    let letters = Letters { bucket, reasons: Vec::new(), arrived_ms: 0..i64::MAX };
    let Ok(names) = letters.names().await else { panic!("the letters are listed") };
    let mut items = Vec::new();
    for name in &names {
        items.extend(letters.open(name).await.unwrap().content.into_items());
    }
    let keys: Vec<_> = items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["own", "b", "c", "delivery-2", "delivery-3", "c", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn letters_are_sent_in_order_of_arrival_and_once_a_record_filtered_by_reason_and_time() {
    let bucket =
        bucket([letter(1, Reason::UnknownDevice), letter(2, Reason::MissingField), letter(90, Reason::UnknownDevice)]);
    // Earlier versions wrote one letter for each value.
    for index in [0, 1] {
        let value = letter(2, Reason::OutOfRange);
        let key = value.key().replace(".json", &format!("-000{index}.json"));
        bucket.overwrite(&key, Stored { body: value.to_json().into(), ..Stored::default() });
    }
    let letters =
        |reasons: &[Reason], arrived_ms| Letters { bucket: bucket.clone(), reasons: reasons.to_vec(), arrived_ms };
    let all = Streams::default();
    let report = run(&letters(&[], 0..i64::MAX), &all, None, &mut unnoted()).await.unwrap();
    assert_eq!(all.records("ingest"), sent([1, 2, 90]));
    assert_eq!(report.records.values().sum::<u64>(), 3);
    let some = Streams::default();
    run(&letters(&[Reason::UnknownDevice], START_MS..START_MS + HOUR_MS), &some, Some("other"), &mut unnoted())
        .await
        .unwrap();
    assert_eq!((some.records("other"), some.records("ingest")), (sent([1]), Vec::new()));
    // Within an hour, the time counts to the millisecond.
    let late = START_MS + 2 * 60_000 + 1..START_MS + HOUR_MS;
    let report = run(&letters(&[], late), &some, None, &mut unnoted()).await.unwrap();
    assert_eq!(report.skipped, [("its record arrived outside the range of time".to_owned(), 2)].into());
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_replay_resumes_and_sends_everything() {
    let directory = tempfile::tempdir().unwrap();
    let notes = || Notes::open(Some(directory.path().join("replay.json")), "letters".to_owned(), 0..i64::MAX).unwrap();
    let letters = |last: usize| Letters {
        bucket: bucket((1..=last).map(|number| letter(number, Reason::UnknownDevice))),
        reasons: Vec::new(),
        arrived_ms: 0..i64::MAX,
    };
    let (begun, denied, again) = (Streams::default(), Streams::default(), Streams::default());
    run(&letters(10), &begun, None, &mut notes()).await.unwrap();
    assert_eq!(begun.records("ingest"), sent(1..=10));
    // A permission is revoked and granted again; then the stream fails for a while.
    denied.get("ingest").0.inject([Fault::Denied]);
    let error = run(&letters(30), &denied, None, &mut notes()).await.unwrap_err();
    assert!(format!("{error:#}").contains("run the same command to resume there"), "{error:#}");
    again.get("ingest").0.inject([Fault::Unavailable, Fault::ThrottleHalf]);
    let report = run(&letters(30), &again, None, &mut notes()).await.unwrap();
    assert_eq!(report.sent_before, 10);
    assert_eq!(again.records("ingest"), sent(11..=30));
}

/// A failed batch: the key and the body of its invocation record, and the batch itself.
fn given_up(function: &str, numbers: std::ops::RangeInclusive<usize>) -> (String, Stored, Batch) {
    let record = |number: usize| {
        json!({
            "kinesis": {
                "partitionKey": format!("delivery-{number}"), "sequenceNumber": number.to_string(),
                "data": STANDARD.encode(format!("{{\"n\":{number}}}")),
                "approximateArrivalTimestamp": START_MS as f64 / 1_000.0,
            },
            "eventID": format!("shardId-000000000000:{number}"),
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/ingest",
        })
    };
    let event = json!({ "Records": numbers.clone().map(record).collect::<Vec<_>>() }).to_string();
    let batch = Batch::from_event(event.clone()).unwrap();
    let function = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
    let context = json!({ "functionArn": function, "condition": "RetryAttemptsExhausted" });
    let body = json!({ "requestContext": context, "payload": event });
    let key = format!(
        "aws/lambda/8a3b/shardId-000000000000/2026/11/21/2026-11-21T04.{:02}.00-{:04}",
        numbers.start(),
        numbers.end()
    );
    (key, Stored { body: body.to_string().into(), ..Stored::default() }, batch)
}

#[tokio::test(start_paused = true)]
async fn failed_batches_are_sent_whole_to_the_stream_that_they_were_on() {
    let bucket = MemoryLake::default();
    for (function, numbers) in [("transform-1", 5..=8), ("moving-average-1", 9..=9), ("transform-1", 1..=4)] {
        let (key, stored, _) = given_up(function, numbers);
        bucket.overwrite(&key, stored);
    }
    bucket.overwrite("aws/lambda/async/iot-ingest/2026/11/21/2026-11-21T04.00.00-0000", Stored::default());
    bucket.overwrite(
        "aws/lambda/8a3b/s/2026/11/21/2026-11-21T04.59.00-0000",
        Stored { body: "{}".into(), ..Stored::default() },
    );
    let batches =
        Batches { bucket, function: Some("transform".to_owned()), given_up_ms: START_MS..START_MS + 2 * HOUR_MS };
    let streams = Streams::default();
    let report = run(&batches, &streams, None, &mut unnoted()).await.unwrap();
    assert_eq!(streams.records("ingest"), sent(1..=8));
    for (_, entry) in streams.get("ingest").0.records() {
        assert_eq!(entry.hash_key(), Slot::of(&entry.partition_key).hash_key(), "records are put per slot");
    }
    assert_eq!(report.records, [("transform-1 → ingest".to_owned(), 8)].into());
    let skipped = [("a batch of another function", 1), ("not an invocation record of Lambda", 1)];
    assert_eq!(report.skipped, skipped.map(|(why, count)| (why.to_owned(), count)).into());
}

#[tokio::test(start_paused = true)]
async fn the_archivers_failed_batches_go_into_the_lake_once_with_their_own_positions() {
    let (bucket, lake) = (MemoryLake::default(), MemoryLake::default());
    let (key, stored, batch) = given_up("archiver-1", 1..=4);
    bucket.overwrite(&key, stored);
    let archiver = || Archiver::new(lake.clone(), MemoryHeads::default(), Compression::default());
    // Half of it had been archived before the mapping gave it up.
    let half = Batch { records: batch.records[..2].to_vec(), ..batch };
    assert!(archiver().archive(&half).await.stopped.is_none());
    let batches = Batches { bucket, function: None, given_up_ms: 0..i64::MAX };
    let target = Target::<fn(&str) -> Shared, _, _>::Lake(archiver());
    for (records, known) in [(2, 2), (0, 4)] {
        let report = replay(&batches, &target, 100.0, &mut unnoted(), &ProgressBar::hidden()).await.unwrap();
        assert_eq!((report.records["archiver-1 → the lake"], report.known), (records, known));
    }
    let mut sequences = Vec::new();
    for key in list(&lake, "ingest").await.unwrap() {
        sequences.extend(
            read_object(&lake, &key).await.unwrap().1.into_iter().map(|record| record.position.sequence.to_string()),
        );
    }
    assert_eq!(sequences, ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_error_becomes_the_message_that_the_rule_would_have_made() {
    let bucket = MemoryLake::default();
    let error = |topic: &str, action: &str| {
        let body = json!({
            "ruleName": "IngestRule", "topic": topic, "clientId": "gw-3",
            "base64OriginalPayload": STANDARD.encode(b"\xff\x00"),
            "failures": [{ "failedAction": action, "failedResource": "ingest", "errorMessage": "throttled" }],
        });
        Stored { body: body.to_string().into(), ..Stored::default() }
    };
    let key = |id: &str| format!("rule-errors/{START_MS}-{id}.json");
    bucket.overwrite(&key("7d0c-1"), error("dt/myaku/home-3/bed-17/vital", "KinesisAction"));
    bucket.overwrite(&key("7d0c-2"), error("$aws/rules/IngestRule/dt/myaku/home-3/bed-18/vital", "KinesisAction"));
    bucket.overwrite(&key("7d0c-3"), error("gw/myaku/home-3/gw-3", "KinesisAction"));
    bucket.overwrite(&key("7d0c-4"), error("gw/myaku/home-3/gw-3", "LambdaAction"));
    bucket.overwrite("rule-errors/1-7d0c.json", error("dt/myaku/home-3/bed-17/vital", "KinesisAction"));
    let errors = RuleErrors { bucket, received_ms: START_MS..START_MS + 1 };
    let streams = Streams::default();
    let report = run(&errors, &streams, None, &mut unnoted()).await.unwrap();
    let messages: Vec<_> = streams
        .records("ingest")
        .iter()
        .map(|(key, data)| (key.clone(), Message::parse(data.as_bytes()).unwrap()))
        .collect();
    let expected = |id: &str, device: &str| Message {
        delivery_id: id.to_owned(),
        device_id: device.to_owned(),
        facility: "home-3".to_owned(),
        kind: "vital".to_owned(),
        client_id: Some("gw-3".to_owned()),
        received_at: START_MS,
        payload: vec![0xff, 0],
        message_id: None,
        sender: None,
    };
    assert_eq!(
        messages,
        [("7d0c-1", "bed-17"), ("7d0c-2", "bed-18")].map(|(id, device)| (id.to_owned(), expected(id, device)))
    );
    assert_eq!(report.skipped.values().sum::<u64>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_lake_is_sent_to_another_stream_and_a_dry_run_sends_nothing() {
    let lake = MemoryLake::default();
    let archiver = Archiver::new(lake.clone(), MemoryHeads::default(), Compression::default());
    let record = |number: usize| StreamRecord {
        sequence: number.to_string().parse().unwrap(),
        partition_key: format!("delivery-{number}").into(),
        arrived_ms: START_MS + number as i64 * 20 * 60_000,
        data: format!("{{\"n\":{number}}}").into(),
    };
    let batch =
        Batch { stream: "ingest".into(), shard: "shardId-000000000000".into(), records: (1..=9).map(record).collect() };
    assert!(archiver.archive(&batch).await.stopped.is_none());
    let arrived_ms = START_MS + 2 * 20 * 60_000..START_MS + 5 * 20 * 60_000;
    let selection = Selection { stream: "ingest".to_owned(), arrived_ms, shard: None, device: None };
    let stretch = Stretch { lake, selection };
    let streams = Streams::default();
    let dry = Target::<fn(&str) -> Shared, MemoryLake, MemoryHeads>::Nowhere;
    let counted = replay(&stretch, &dry, 100.0, &mut unnoted(), &ProgressBar::hidden()).await.unwrap();
    assert_eq!(counted.records, [("shardId-000000000000 → ingest".to_owned(), 3)].into());
    assert!(counted.to_text(true).ends_with("3 records would be sent."));
    run(&stretch, &streams, Some("trial"), &mut unnoted()).await.unwrap();
    assert_eq!((streams.records("trial"), streams.records("ingest")), (sent(2..=4), Vec::new()));
}
