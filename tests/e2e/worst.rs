//! The worst records that the streams accept, against the functions' own binaries in processes of 256 MB.

use crate::pipeline::{options, stack_options};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use myaku::ingest::message::Message;
use myaku::lake::archive::{DynamoDbHeads, Hour, S3Lake};
use myaku::lake::dead_letter::{LetterKey, PREFIX};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::kpl;
use myaku::stream::source::kinesis::KinesisSource;
use myaku_demo::evidence::objects;
use myaku_demo::steps;
use myaku_local::stack::Stack;
use myaku_operator::audit::{self, Options, Report};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The address space of a function, in KiB.
const MEMORY_KIB: usize = 256 * 1_024;
/// How long one invocation may take, while other tests run on the same processors.
const TIME_MAX: Duration = Duration::from_secs(30);
const RECORD_BYTES: usize = 1_000_000;
const MESSAGE_BYTES: usize = 127 * 1_024;
/// What each record of an aggregate takes beyond its data.
const SUB_RECORD_BYTES: usize = 6;
/// The records of one event, in bytes: in base64, nearly the 6 MB that Lambda takes.
const EVENT_BYTES: usize = 4_300_000;
/// The most records of one event.
const BATCH_SIZE: usize = 10_000;
const SHARD: &str = "shardId-000000000000";
/// The most dead letters of a record.
const LETTERS_MAX: usize = 12;
/// The functions that read a stream, and their streams.
const FUNCTIONS: [(&str, &str); 5] = [
    ("ArchiverFunction", "IngestStream"),
    ("TransformFunction", "IngestStream"),
    ("MovingAverageFunction", "ReadingsStream"),
    ("TumblingWindowFunction", "ReadingsStream"),
    ("AnomalyDetectorFunction", "ReadingsStream"),
];

/// Writes programs to `directory` that start the functions of `binaries` with little memory.
pub(crate) fn limit_memory(binaries: &Path, directory: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(binaries)? {
        let (path, name) = (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(fs::DirEntry::file_name));
        let (Ok(path), Ok(name)) = (path, name) else { continue };
        if path.extension().is_none() && path.is_file() {
            // One arena of the allocator: each reserves 64 MB of addresses, which are no memory.
            let script =
                format!("#!/bin/sh\nulimit -v {MEMORY_KIB}\nMALLOC_ARENA_MAX=1 exec '{}' \"$@\"\n", path.display());
            let program = directory.join(name);
            fs::write(&program, script)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// A message of a band, which is registered.
fn message(device: &str, payload: Vec<u8>) -> Vec<u8> {
    let message = Message {
        delivery_id: "7d0c".to_owned(),
        device_id: device.to_owned(),
        facility: "home-1".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: SystemClock.now_ms(),
        payload,
        message_id: None,
        sender: None,
    };
    message.to_json().into_bytes()
}

/// As many samples as a message of MQTT takes, each with two values out of range.
fn rejected_samples(device: &str, boot: usize) -> Vec<u8> {
    let begin = format!(
        r#"{{"schema":2,"boot":"{boot}","seq":1,"sent":"2026-11-20T23:54:52Z","status":{{"battery":80,"worn":true}},"samples":["#
    );
    let samples = vec![r#"{"hr":9,"spo2":9}"#; 3_332].join(",");
    let mut payload = format!("{begin}{samples}]}}");
    payload.extend(std::iter::repeat_n(' ', (MESSAGE_BYTES * 3 / 4).saturating_sub(payload.len())));
    message(device, payload.into_bytes())
}

/// An aggregate whose records are as short as can be, all with one partition key.
fn aggregate(key: &str, data: &[u8]) -> Vec<u8> {
    let count = RECORD_BYTES / (SUB_RECORD_BYTES + data.len());
    kpl::encode(std::iter::repeat_n((key, data), count))
}

/// A text that repeats `unit` to the size of a record, between `begin` and `end`.
fn repeated(begin: &str, unit: &str, end: &str, bytes: usize) -> Vec<u8> {
    format!("{begin}{}{end}", unit.repeat(bytes / unit.len())).into_bytes()
}

/// Readings of a band, as short as can be.
fn readings(device: &str) -> Vec<u8> {
    let now_ms = SystemClock.now_ms();
    let reading = |number: usize| {
        format!(
            r#"{{"id":"{number}","deviceId":"{device}","facility":"f","metric":"heart_rate","value":60,"unit":"1/min","at":{now_ms},"clock":"device","receivedAt":{now_ms},"quality":"good"}}"#
        )
    };
    let count = RECORD_BYTES / (SUB_RECORD_BYTES + reading(0).len() + 8);
    let readings: Vec<_> = (0..count).map(reading).collect();
    kpl::encode(readings.iter().map(|reading| (device, reading.as_bytes())))
}

/// The one kind whose records the functions of readings take.
const READINGS: &str = "readings";

/// Records of each kind, as many as fill an event.
fn worst_records(device: &str) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let wide_key = "\u{10ffff}".repeat(256);
    let payload_bytes = RECORD_BYTES * 3 / 4 - 1_000;
    let copies = |name, record: Vec<u8>| (name, vec![record; EVENT_BYTES / RECORD_BYTES]);
    let samples = (0..EVENT_BYTES / MESSAGE_BYTES).map(|boot| rejected_samples(device, boot));
    vec![
        ("rejected samples", samples.collect()),
        copies("empty records in an aggregate", aggregate("k", b"")),
        copies("empty records with a long key", aggregate(&wide_key, b"")),
        copies("small objects", repeated("[", r#"{"":0},"#, "0]", RECORD_BYTES)),
        copies("an object with many names", repeated("{", r#""":0,"#, r#""a":0}"#, RECORD_BYTES)),
        copies("a text of control characters", vec![0; RECORD_BYTES]),
        copies("bytes that are no text", vec![0xff; RECORD_BYTES]),
        copies("a payload of small lists", message(device, repeated("[", "[0],", "0]", payload_bytes))),
        copies("a payload of small objects", message(device, repeated("[", r#"{"":0},"#, "0]", payload_bytes))),
        copies("a payload of small numbers", message(device, repeated("[", "0,", "0]", payload_bytes))),
        copies("readings that are none", aggregate("k", br#"{"id":0}"#)),
        copies("messages that are none", aggregate("k", br#"{"deviceId":0}"#)),
        copies(READINGS, readings(device)),
        ("small records", vec![b"0".to_vec(); BATCH_SIZE]),
    ]
}

/// The event of a batch of `records`, the first of which has the sequence number `first`.
fn event(stream: &str, first: usize, records: &[Vec<u8>]) -> Vec<u8> {
    let arrived = SystemClock.now_ms() as f64 / 1_000.0;
    let records: Vec<_> = (first..)
        .zip(records)
        .map(|(sequence, data)| {
            json!({
                "eventSourceARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"),
                "eventID": format!("{SHARD}:{sequence}"),
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": "k", "data": STANDARD.encode(data),
                    "sequenceNumber": sequence.to_string(), "approximateArrivalTimestamp": arrived,
                },
            })
        })
        .collect();
    json!({ "Records": records }).to_string().into_bytes()
}

/// The lake, without the stream: the test invokes the functions itself.
async fn audit(stack: &Stack, began_ms: i64) -> anyhow::Result<Report> {
    let config = stack.sdk_config();
    let lake = S3Lake::new(&config, stack.physical_id("LakeBucket")?);
    let heads = DynamoDbHeads::new(&config, stack.physical_id("HeadsTable")?);
    let hours = Hour::of(began_ms - 2_000)..=Hour::of(SystemClock.now_ms() + 2_000);
    let stream = stack.physical_id("IngestStream")?;
    let (now_ms, sweep_max) = (SystemClock.now_ms(), usize::MAX);
    let options = Options { stream, hours, archived_ms: i64::MAX, held_since_ms: 0, now_ms, sweep_max, concurrency: 1 };
    audit::audit(&lake, &heads, None::<&KinesisSource>, &options, &ProgressBar::hidden()).await
}

/// How many letters each record has, by its stream and sequence number.
async fn letters(stack: &Stack) -> anyhow::Result<BTreeMap<(String, usize), usize>> {
    let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
    let mut letters = BTreeMap::new();
    for key in objects::keys(&s3, &stack.physical_id("DeadLetterBucket")?, PREFIX).await? {
        let parsed = LetterKey::parse(&key).with_context(|| format!("{key} is not the key of a letter"))?;
        let sequence = parsed.position.sequence.to_string().parse()?;
        *letters.entry((parsed.stream, sequence)).or_default() += 1;
    }
    Ok(letters)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_accepted_record_is_handled_within_256_mb_and_seconds() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let programs = tempfile::tempdir()?;
    let one_shard = [("IngestShards", "1"), ("ReadingsShards", "1")];
    let mut stack_options = stack_options(directory.path(), &one_shard)?;
    limit_memory(&stack_options.binaries, programs.path())?;
    stack_options.binaries = programs.path().to_owned();
    let stack = Stack::up(stack_options).await?;
    let (fleet, _) = steps::register(&stack, &options(14)).await?;
    let band = fleet.registrations().find(|it| it.profile == "vital-band").context("the fleet has no band")?;
    let began_ms = SystemClock.now_ms();
    let mut sequence = 1;
    // The records that must have letters: the stream, the sequence number, and the kind.
    let mut refused = Vec::new();
    for (name, records) in worst_records(&band.device) {
        for (function, stream) in FUNCTIONS {
            let began = Instant::now();
            let stream = stack.physical_id(stream)?;
            let event = event(&stream, sequence, &records);
            let answer = stack.function(function)?.invoke(event.into()).await;
            let answer = answer.with_context(|| format!("{function}: {name}"))?;
            println!("{name}: {function} took {:?}", began.elapsed());
            assert_eq!(answer, r#"{"batchItemFailures":[]}"#, "{name}: {function}");
            assert!(began.elapsed() < TIME_MAX, "{name}: {function} took {:?}", began.elapsed());
        }
        for number in sequence..sequence + records.len() {
            refused.push((stack.physical_id("IngestStream")?, number, name));
            if name != READINGS {
                refused.push((stack.physical_id("ReadingsStream")?, number, name));
            }
        }
        sequence += records.len();
    }
    steps::quiet(&stack).await?;
    let report = Box::pin(audit(&stack, began_ms)).await?;
    assert!(report.clean, "{:?}", report.findings);
    let letters = letters(&stack).await?;
    println!("{} dead letters", letters.values().sum::<usize>());
    for (stream, number, name) in refused {
        let count = letters.get(&(stream, number)).copied().unwrap_or(0);
        assert!((1..=LETTERS_MAX).contains(&count), "{name}: record {number} has {count} letters");
    }
    stack.down().await;
    Ok(())
}
