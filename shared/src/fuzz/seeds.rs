//! Makes the inputs from which the targets start, out of the sample events.
//!
//! They are few and short: a fuzzer needs little to start from.

use super::MARK;
use crate::ingest::gateway::Upload;
use crate::ingest::limits::BATCH;
use crate::lake::dead_letter::{DeadLetter, Reason};
use crate::stream::batch::{Batch, Position, SequenceNumber};
use crate::stream::kpl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../events/", $name, ".json"))
    };
}

/// The sample profiles. The first reads only JSON.
pub(super) const PROFILES: &[&str] = &[
    sample!("profiles/vital-band"),
    sample!("profiles/smart-bed"),
    sample!("profiles/thermistor-node"),
    sample!("profiles/facility-cbor"),
    sample!("profiles/app-log"),
    sample!("profiles/ttn-v3"),
    sample!("profiles/chirpstack-v4"),
    sample!("profiles/sparkplug-b"),
    sample!("profiles/senml-meter"),
    sample!("profiles/senml-meter-cbor"),
    sample!("profiles/tasmota-bme280"),
    sample!("profiles/ble-heart-rate"),
    sample!("profiles/withings-scale"),
    CSV,
    MSGPACK,
    NMEA,
    LINE_PROTOCOL,
    COMPRESSED,
];
const CSV: &str = r#"{"id":"csv","metrics":{"m":{"unit":"V"}},"versions":[{"name":"1","format":"csv","csv":{"header":true},"records":
    {"each":"[*]","fields":[{"metric":"m","from":"v","text":true,"unitBehind":true,"decimalComma":true,"optional":true}]}}]}"#;
const MSGPACK: &str = r#"{"id":"msgpack","metrics":{"m":{}},"versions":[{"name":"1","format":"msgpack","records":
    {"columns":{"t":"t","v":"v"},"time":{"from":"t","unit":"s","relative":"after-previous"},"fields":[{"metric":"m","from":"v"}]},
    "time":{"from":"ts","unit":"ns","epoch":"gps"}}]}"#;
const NMEA: &str = r#"{"id":"nmea","metrics":{"p":{"kind":"position"}},"versions":[{"name":"1","format":"nmea",
    "time":{"from":"RMC.time","unit":"iso8601"},"fields":[{"metric":"p","longitude":"RMC.longitude","latitude":"RMC.latitude"}]}]}"#;
const LINE_PROTOCOL: &str = r#"{"id":"line-protocol","metrics":{"m":{}},"versions":[{"name":"1","format":"line-protocol","records":
    {"each":"[*]","where":{"field":"measurement","equals":"m"},"time":{"from":"time","unit":"ns"},"fields":[{"metric":"m","from":"fields.v"}]}}]}"#;
const COMPRESSED: &str = r#"{"id":"compressed","metrics":{"m":{}},"versions":[{"name":"1","format":"json","compressed":true,
    "inside":{"from":"p","encoding":"hex","compressed":true,"format":"binary","endian":"cdab"},
    "fields":[{"metric":"m","from":{"offset":0,"type":"f32"}}]}]}"#;
const KINESIS: &[&str] = &[
    sample!("kinesis-aggregated"),
    sample!("kinesis-archiver"),
    sample!("kinesis-degree-hours"),
    sample!("kinesis-log-agents"),
    sample!("kinesis-readings"),
    sample!("kinesis-transform"),
    sample!("kinesis-transform-bad"),
];
const GATEWAYS: &[&str] = &[
    sample!("iot-gateway-array"),
    sample!("iot-gateway-array-gzip"),
    sample!("iot-gateway-bad-items"),
    sample!("iot-gateway-cbor"),
    sample!("iot-gateway-cbor-gzip"),
    sample!("iot-gateway-lines"),
    sample!("iot-gateway-lines-gzip"),
    sample!("iot-gateway-older-sql"),
];
const HTTP: &[&str] = &[
    sample!("http-bad-items"),
    sample!("http-gzip"),
    sample!("http-lines"),
    sample!("http-many"),
    sample!("http-one"),
];

fn compact(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn batches() -> impl Iterator<Item = Batch> {
    KINESIS.iter().filter_map(|json| Batch::from_event(*json).ok())
}

/// The user records of the sample batches.
fn records() -> impl Iterator<Item = Vec<u8>> {
    batches().flat_map(|batch| batch.user_records().map(|user| user.data.to_vec()).collect::<Vec<_>>())
}

fn payloads_sent() -> impl Iterator<Item = Vec<u8>> {
    let events = GATEWAYS.iter().filter_map(|json| Upload::parse(&compact(json)).ok());
    events.map(|upload| upload.payload).chain(inflating())
}

/// Batches in gzip that inflate to hundreds of times their length, with more items than a batch may have.
fn inflating() -> impl Iterator<Item = Vec<u8>> {
    let count = BATCH.items + 1;
    let array = [b"[1".to_vec(), b",1".repeat(count), b"]".to_vec()].concat();
    [array, b"1\n".repeat(count), b"\xa0".repeat(count)].into_iter().filter_map(|body| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&body).and_then(|()| gzip.finish()).ok()
    })
}

/// Whole aggregates, and one without magic number and checksum, which the target adds.
pub(super) fn aggregates() -> Vec<Vec<u8>> {
    let keys = ["bed-17", "bed-18", "bed-17"];
    let mut builder = kpl::Builder::new();
    for (index, key) in keys.iter().enumerate() {
        builder.push(key, (index == 1).then_some("340282366920938463463374607431768211455"), &[b'x'; 9][index..]);
    }
    let whole = builder.finish();
    let message = whole[kpl::MAGIC.len()..whole.len() - 16].to_vec();
    let stored = batches().flat_map(|batch| batch.records).map(|record| record.data.to_vec());
    stored.filter(|data: &Vec<u8>| data.starts_with(&kpl::MAGIC)).chain([whole, message]).collect()
}

pub(super) fn events() -> Vec<Vec<u8>> {
    KINESIS.iter().map(|json| compact(json).to_string().into_bytes()).collect()
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let marked = json!({"deliveryId": MARK, "deviceId": 17, "receivedAt": MARK, "payload": MARK}).to_string();
    records().chain(bytes(&[&marked, "nginx:web-1\nGET /"])).collect()
}

pub(super) fn readings() -> Vec<Vec<u8>> {
    let reading = |value: Value| {
        let json = json!({"id": "bed-17/p1#0", "deviceId": "bed-17", "facility": "home-3", "metric": "heart_rate",
            "value": value, "unit": "1/min", "at": 1, "clock": "device", "receivedAt": 2, "quality": "good"});
        json.to_string().into_bytes()
    };
    vec![reading(json!(61.5)), reading(json!(true)), reading(json!("lying")), reading(json!([139.767, 35.681]))]
}

/// Payloads, each after the number of the profile that decodes it.
pub(super) fn payloads() -> Vec<Vec<u8>> {
    let json = [
        json!({"id": "a-7", "ts": 1_795_218_892, "vital": {"hr": 72, "spo2": "97", "temp": 99.5}, "batt": 81}),
        json!({"schema": 2, "boot": 3, "seq": 4711, "sent": "2026-11-20T23:54:52Z", "status": {"battery": 63, "worn": true},
            "gps": {"lon": 139.767, "lat": 35.681}, "samples": [{"t": 1_795_218_890_000_i64, "hr": 71.5}, {"temp_f": MARK}]}),
        json!({"id": MARK, "ts": MARK, "vital": {"hr": MARK, "spo2": MARK}, "schema": MARK}),
    ];
    let json = json.iter().map(|value| value.to_string().into_bytes());
    let ramp = |length: u8| (0..length).collect::<Vec<u8>>();
    let texts = json.clone().map(|payload| (0, payload)).chain([(4, MARK.into())]);
    let packed = [(1, ramp(14)), (1, ramp(60)), (2, ramp(12)), (2, ramp(40))];
    // The controller of a facility sends maps with whole numbers as keys.
    let cbor =
        [(3, vec![0xa2, 0x01, 0x1a, 0x6b, 0x01, 0x8f, 0xec, 0x02, 0x82, 0xf9, 0x3c, 0x00, 0x63, b'a', b'b', b'c'])];
    let encoded = json.filter_map(|payload| {
        let mut encoded = Vec::new();
        ciborium::into_writer(&serde_json::from_slice::<Value>(&payload).ok()?, &mut encoded).ok()?;
        Some((3, encoded))
    });
    let all = texts.chain(packed).chain(cbor).chain(encoded);
    all.map(|(profile, payload)| [&[profile], &payload[..]].concat()).collect()
}

/// Profiles, each followed by a payload, and a device.
pub(super) fn profiles() -> Vec<Vec<u8>> {
    let of = |profile: usize| {
        let payload = payloads().into_iter().find(|payload| usize::from(payload[0]) == profile);
        payload.map(|payload| payload[1..].to_vec()).unwrap_or_default()
    };
    let small = json!({"id": "node", "zone": "Asia/Tokyo", "metrics": {"t": {"unit": "°C", "range": {"min": -40, "max": 80},
        "windows": [{"seconds": 3600, "stepSeconds": 600}, {"days": 1}, {"gapSeconds": 600}], "allowedLatenessSeconds": 60}},
        "versions": [{"name": "1", "format": "binary", "endian": "little", "records": {"offset": 1, "length": 3,
            "fields": [{"metric": "t", "from": {"offset": 0, "type": "i24", "scale": 0.01, "absent": -1}}]}}]});
    let documents = PROFILES.iter().map(|json| compact(json)).chain([small]).enumerate();
    let devices = json!({"deviceId": "bed-17", "profile": "smart-bed", "facility": "home-3"});
    documents
        .map(|(index, json)| [json.to_string().as_bytes(), &[0], &of(index)].concat())
        .chain([devices.to_string().into_bytes()])
        .collect()
}

pub(super) fn uploads() -> Vec<Vec<u8>> {
    GATEWAYS.iter().map(|json| compact(json).to_string().into_bytes()).chain(payloads_sent()).collect()
}

/// Bodies of gateways' batches and of requests over HTTP.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let http = HTTP.iter().map(|json| compact(json)).filter_map(|request| {
        let body = request["body"].as_str()?;
        if request["isBase64Encoded"] == true { STANDARD.decode(body).ok() } else { Some(body.into()) }
    });
    http.chain(payloads_sent()).collect()
}

pub(super) fn lifecycles() -> Vec<Vec<u8>> {
    bytes(&[sample!("iot-presence-connected"), sample!("iot-presence-disconnected")])
}

pub(super) fn notifications() -> Vec<Vec<u8>> {
    let events = [
        sample!("reshard-alarm"),
        sample!("reshard-alarm-composite"),
        sample!("reshard-alarm-direct"),
        sample!("reshard-alarm-math"),
        sample!("reshard-schedule"),
    ];
    let through = events.iter().map(|json| compact(json));
    // The content of an SNS message is also sent directly.
    let direct = through.clone().filter_map(|event| Some(event["Records"][0]["Sns"]["Message"].as_str()?.to_owned()));
    let through = through.map(|event| event.to_string());
    through.chain(direct).map(String::into_bytes).collect()
}

pub(super) fn expressions() -> Vec<Vec<u8>> {
    bytes(&[
        "IF(FILL(m1, 0) > 0.8 * PERIOD(m1) * 1000, 1, 0)",
        "MAX([m1, m2]) / AVG(METRICS()) >= 1e-3 AND -m1 != ABS(m2)",
        "SUM([FILL(m1, REPEAT), e1]) OR (m2 <= .5)",
    ])
}

/// Encoded states without the digest, which the target adds: version, stream, positions seen, metrics.
pub(super) fn states() -> Vec<Vec<u8>> {
    let empty = [&[1][..], &[7; 8], &[0], &[0]].concat();
    let seen = [&[1][..], &[9; 8], &[0x49; 28], &[3, 0, 0, 0]].concat();
    let at = 1_795_218_892_020_i64.to_le_bytes();
    let entry = [&[4; 8][..], &36.6_f64.to_le_bytes()].concat();
    let entries = [&[2][..], &at, &entry, &[0x88, 0x27], &entry].concat();
    let forgotten = [&[1][..], &at, &[3; 8]].concat();
    let series = [&[2][..], b"hr", &[5], &forgotten, &entries].concat();
    vec![[&[1][..], &[7; 8], &seen, &[1], &series].concat(), empty]
}

pub(super) fn lines() -> Vec<Vec<u8>> {
    let position = format!(
        "\"seq\":\"{}\",\"sub\":0,\"key\":\"bed-17\",\"arrived\":1795218892020",
        SequenceNumber::ZERO.fixed_width().replace("00", "01")
    );
    let object = format!("{{{position},\"json\":{{\"hr\":61.5,\"t\":\"\\u001f脈\"}}}}\n");
    let second = object
        .replace("\"sub\":0", "\"sub\":1")
        .replace("\"json\":{\"hr\":61.5,\"t\":\"\\u001f脈\"}", "\"b64\":\"eyB9\"");
    records().chain(bytes(&[&object, &format!("{object}{second}")])).collect()
}

pub(super) fn letters() -> Vec<Vec<u8>> {
    let letter = |data: Vec<u8>| DeadLetter {
        stream: "ingest".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: Position { sub: 3, ..Position::ZERO },
        is_whole: false,
        partition_key: "7d0c2a55".to_owned(),
        arrived_ms: 1_795_218_892_020,
        device_id: Some("bed-17".to_owned()),
        reason: Reason::OutOfRange,
        detail: "heart_rate (value 0): it is 900, above 250".to_owned(),
        failures: Vec::new(),
        unlisted: 0,
        data,
    };
    [&b"{\"hr\":900}"[..], b"not JSON\n", b"\xff", b"null"].iter().map(|data| letter(data.to_vec()).to_json()).collect()
}

pub(super) fn keys() -> Vec<Vec<u8>> {
    let at = Position { sub: 1, ..Position::ZERO };
    let hash = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";
    bytes(&[
        &format!("raw/stream=ingest/dt=2026-11-20/hh=23/shardId-000000000006/{}-end.ndjson.gz", Position::ZERO),
        &format!("{}-{at}", Position::ZERO),
        &format!("dt=2026-11-20/hh=23/{at}"),
        &format!("dead-letters/reason=out-of-range/stream=ingest/dt=2026-11-20/hh=23/shard/{at}-0002.json"),
        &format!("{at}\n{at}\n1\n{hash}"),
        "1795218892020#bed-17",
        "device#bed-17",
        "latest#heart_rate",
        "history#heart_rate#0000000060000",
    ])
}
