//! Windows of time through the whole template: messages in, closed windows in the table, by an independent calculation.

use crate::pipeline::up_with;
use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use myaku::device::profile::ProfileDocument;
use myaku::device::registry::{Device, DynamoDb, MasterDataWriter as _, device_document, profile_document};
use myaku::ingest::message::Message;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Item, Limits, Placement, Producer};
use myaku_demo::steps;
use std::collections::{BTreeMap, HashMap};

const PROFILE: &str = r#"{"id": "walker", "clock": {"trust": "device", "allowedDelaySeconds": 86400},
    "metrics": {
        "pulse": {"unit": "1/min", "windows": [{"seconds": 300}, {"seconds": 900, "stepSeconds": 300}],
            "allowedLatenessSeconds": 3600},
        "worn": {"kind": "boolean", "windows": [{"seconds": 300}], "allowedLatenessSeconds": 3600},
        "mode": {"kind": "text", "windows": [{"seconds": 300}], "allowedLatenessSeconds": 3600},
        "place": {"kind": "position", "windows": [{"seconds": 300}], "allowedLatenessSeconds": 3600}},
    "versions": [{"name": "1", "format": "json", "identity": ["n"], "time": {"from": "t", "unit": "s"}, "fields": [
        {"metric": "pulse", "from": "p"}, {"metric": "worn", "from": "w"}, {"metric": "mode", "from": "m"},
        {"metric": "place", "from": "g"}]}]}"#;
const DEVICES: [&str; 2] = ["walker-1", "walker-2"];
const MESSAGES: i64 = 150;

/// What a device measures at message `n`: its time in seconds after the beginning, pulse, worn, mode and longitude.
fn sample(n: i64) -> (i64, f64, bool, &'static str, f64) {
    let modes = ["walks", "stands", "walks", "sits"];
    let pulse = 60 + n * 37 % 50;
    (n * 11, pulse as f64, n / 9 % 2 == 0, modes[(n % 4) as usize], 139.0 + n as f64 / 1_000.0)
}

fn message(device: &str, n: i64, begin: i64, copy: usize) -> Message {
    let (seconds, pulse, worn, mode, longitude) = sample(n);
    let at = begin + seconds;
    Message {
        delivery_id: format!("{device}-{n}-{copy}"),
        device_id: device.to_owned(),
        facility: "home-1".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: SystemClock.now_ms(),
        payload: format!(r#"{{"n":{n},"t":{at},"p":{pulse},"w":{worn},"m":"{mode}","g":[{longitude},0.0]}}"#)
            .into_bytes(),
        message_id: None,
        sender: None,
    }
}

type Attributes = HashMap<String, AttributeValue>;

fn number(map: &Attributes, name: &str) -> f64 {
    let value = map.get(name).and_then(|value| value.as_n().ok()).and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not a number: {map:?}"))
}

fn near(left: f64, right: f64, tolerance: f64) -> bool {
    (left - right).abs() <= tolerance * (1.0 + right.abs())
}

/// The samples of a window, with their times, and the last sample before it.
fn within(from: i64, length: i64) -> (Vec<i64>, Option<i64>) {
    let inside = (0..MESSAGES).filter(|n| (from..from + length).contains(&sample(*n).0)).collect();
    (inside, (0..MESSAGES).rfind(|n| sample(*n).0 < from))
}

/// The seconds that each sample holds in a window.
fn spans(inside: &[i64], before: Option<i64>, from: i64, to: i64) -> Vec<(i64, i64)> {
    let begins: Vec<_> =
        before.map(|n| (n, from)).into_iter().chain(inside.iter().map(|n| (*n, sample(*n).0))).collect();
    let ends = begins.iter().skip(1).map(|(_, at)| *at).chain([to]);
    begins.iter().zip(ends).map(|((n, begin), end)| (*n, end - begin)).collect()
}

fn check_pulse(pulse: &Attributes, from: i64, length: i64) {
    let (inside, before) = within(from, length);
    let mut values: Vec<f64> = inside.iter().map(|n| sample(*n).1).collect();
    let sum: f64 = values.iter().sum();
    let spans = spans(&inside, before, from, from + length);
    let covered: i64 = spans.iter().map(|(_, span)| span).sum();
    let weighted: f64 = spans.iter().map(|(n, span)| sample(*n).1 * *span as f64).sum();
    values.sort_by(f64::total_cmp);
    let expected = [
        ("count", values.len() as f64, 0.0),
        ("sum", sum, 1e-12),
        ("mean", sum / values.len() as f64, 1e-12),
        ("min", values[0], 0.0),
        ("max", values[values.len() - 1], 0.0),
        ("first", sample(inside[0]).1, 0.0),
        ("last", sample(inside[inside.len() - 1]).1, 0.0),
        ("coveredMs", covered as f64 * 1_000.0, 0.0),
        ("timeWeightedMean", weighted / covered as f64, 1e-12),
        ("p50", values[(values.len() - 1) / 2], 0.01),
        ("leftOut", 0.0, 0.0),
    ];
    for (name, expected, tolerance) in expected {
        let found = number(pulse, name);
        assert!(near(found, expected, tolerance), "{name} of {from} s is {found} instead of {expected}");
    }
    assert_eq!(pulse["partial"], AttributeValue::Bool(false));
}

fn check_others(row: &Attributes, from: i64) {
    let (inside, before) = within(from, 300);
    let of = |metric: &str| row[&format!("metric:{metric}")].as_m().expect("it is a map").clone();
    let worn = of("worn");
    let true_seconds: i64 =
        spans(&inside, before, from, from + 300).iter().filter(|(n, _)| sample(*n).2).map(|(_, span)| span).sum();
    let sequence: Vec<i64> = before.into_iter().chain(inside.iter().copied()).collect();
    let changes = sequence.windows(2).filter(|pair| sample(pair[0]).2 != sample(pair[1]).2).count();
    assert_eq!((number(&worn, "trueMs") as i64, number(&worn, "changes") as usize), (true_seconds * 1_000, changes));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for n in &inside {
        *counts.entry(sample(*n).3).or_default() += 1;
    }
    let top = of("mode")["top"].as_l().expect("it is a list")[0].as_m().expect("it is a map").clone();
    assert_eq!(
        (top["text"].as_s().map(String::as_str), number(&top, "count") as usize),
        (Ok("walks"), counts["walks"])
    );
    assert_eq!(number(&of("mode"), "distinct") as usize, counts.len());
    // Along the equator, so that a degree is 1/360 of the circumference.
    let metres = 2.0 * std::f64::consts::PI * 6_371_008.8 / 360.0 / 1_000.0 * (sequence.len() - 1) as f64;
    let found = number(&of("place"), "distanceM");
    assert!(near(found, metres, 1e-6), "{found} instead of {metres}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_windows_have_what_an_independent_calculation_has() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &[("RegistryTtlSeconds", "1")]).await?;
    let config = stack.sdk_config();
    let mut documents = Vec::new();
    for device in DEVICES {
        let device = Device::new(device, "walker", Some("home-1"));
        documents.push(device_document(&device).map_err(|problems| anyhow::anyhow!("{problems:?}"))?);
    }
    let profile = ProfileDocument::parse(PROFILE.as_bytes()).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    documents.push(profile_document(&profile).map_err(|problems| anyhow::anyhow!("{problems:?}"))?);
    DynamoDb::new(&config, stack.physical_id("RegistryTable")?).put(&documents).await?;

    // Two hours ago, at a quarter of an hour: the device sends what it has kept, in another order, and some of it twice.
    let begin = (SystemClock.now_ms() / 1_000 - 7_200) / 900 * 900;
    let mut messages = Vec::new();
    for n in (0..MESSAGES).map(|n| n * 7 % MESSAGES) {
        for device in DEVICES {
            let copies = if n % 5 == 0 { 2 } else { 1 };
            messages.extend((0..copies).map(|copy| message(device, n, begin, copy)));
        }
    }
    let items: Vec<_> = messages
        .iter()
        .map(|message| Item { key: message.delivery_id.clone(), data: message.to_json().into_bytes() })
        .collect();
    let ingest = KinesisStream::new(&config, stack.physical_id("IngestStream")?);
    Producer::new(ingest, Placement::Shards, Limits::default()).send(&items).await?;
    steps::quiet(&stack).await?;

    let client = aws_sdk_dynamodb::Client::new(&config);
    let table = stack.physical_id("ResultsTable")?;
    let end = sample(MESSAGES - 1).0;
    for device in DEVICES {
        for (length, step) in [(300, 300), (900, 300)] {
            let query =
                client.query().table_name(&table).key_condition_expression("deviceId = :d AND begins_with(#i, :i)");
            let query = query.expression_attribute_names("#i", "item");
            let query = query.expression_attribute_values(":d", AttributeValue::S(device.to_owned()));
            let prefix = format!("window#{length}#");
            let rows = query.expression_attribute_values(":i", AttributeValue::S(prefix)).send().await?;
            let mut found = Vec::new();
            for row in rows.items() {
                let pulse = row.get("metric:pulse").context("no pulse")?.as_m().ok().context("not a map")?;
                let from = number(pulse, "from") as i64 / 1_000 - begin;
                check_pulse(pulse, from, length);
                if length == 300 {
                    check_others(row, from);
                }
                found.push(from);
            }
            let begins = (-2..MESSAGES).map(|n| n * step);
            let closed: Vec<i64> = begins.filter(|from| (1..=end).contains(&(from + length))).collect();
            assert_eq!(found, closed, "windows of {length} s of {device}");
        }
    }
    stack.down().await;
    Ok(())
}
