//! Lambda events as large as Lambda makes them, from a seed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::kpl::Builder;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// An invocation's payload, at most.
const EVENT_BYTES: usize = 6_291_456;
/// Bytes of one aggregate.
const AGGREGATE_BYTES: usize = 25_000;
/// What an event adds to a record's data.
const ENVELOPE_BYTES: usize = 480;

/// Plain records.
pub(crate) fn single(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    event(|| message(&mut random))
}

/// KPL aggregates.
pub(crate) fn aggregated(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    event(|| {
        let mut builder = Builder::new();
        loop {
            let data = message(&mut random);
            if !builder.fits("7d0c0000", &data, AGGREGATE_BYTES) {
                return builder.finish();
            }
            builder.push(&format!("{:08x}", random.random::<u32>()), None, &data);
        }
    })
}

/// A message as the rule makes it, of some 230 bytes.
fn message(random: &mut StdRng) -> Vec<u8> {
    let payload = format!(
        r#"{{"id":"m{}","ts":{},"vital":{{"hr":{},"temp":{:.1}}}}}"#,
        random.random::<u32>(),
        1_795_218_892 + random.random_range(0..3_600),
        random.random_range(45..120),
        random.random_range(96.0..101.0_f64),
    );
    json!({
        "deliveryId": format!("{:032x}", random.random::<u128>()), "deviceId": format!("band-{}", random.random_range(0..9_999)),
        "facility": "home-3", "kind": "vital", "receivedAt": 1_795_218_892_020_i64, "payload": STANDARD.encode(payload),
    })
    .to_string()
    .into_bytes()
}

fn event(mut data: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    let mut records: Vec<Value> = Vec::new();
    let mut bytes = 0;
    loop {
        let encoded = STANDARD.encode(data());
        bytes += encoded.len() + ENVELOPE_BYTES;
        if bytes > EVENT_BYTES {
            return json!({ "Records": records }).to_string().into_bytes();
        }
        let sequence = format!("49545115243490985018280067714973144582180062593244{:06}", records.len());
        records.push(json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": format!("{:08x}", records.len()), "sequenceNumber": sequence,
                "data": encoded, "approximateArrivalTimestamp": 1_795_218_892.02,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000000:{sequence}"),
            "eventName": "aws:kinesis:record", "awsRegion": "us-east-1",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/archiver",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/ingest",
        }));
    }
}
