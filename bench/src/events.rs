//! Makes Lambda's Kinesis events from a seed, up to the largest that Lambda delivers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::stream::kpl::Builder;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::fmt::Write as _;
#[cfg(feature = "functions")]
use std::ops::Range;

/// The largest payload of an invocation: 6 MiB.
const EVENT_BYTES: usize = 6_291_456;
/// The size of one aggregate: one put unit of Kinesis.
const AGGREGATE_BYTES: usize = 25_000;
/// The first arrival, in milliseconds since the epoch; its hour lasts for five more minutes.
const ARRIVED_MS: i64 = 1_795_218_892_021;
/// The shard of all records.
pub(crate) const SHARD: &str = "shardId-000000000006";
/// The number of devices: `band-0000` and so on.
pub(crate) const DEVICES: usize = 10_000;
/// The size of a wearable's payload.
const PAYLOAD_BYTES: usize = 70;

/// Plain records, up to the largest event.
pub(crate) fn single(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    event(0, |left| {
        let (key, data) = message(&mut random, PAYLOAD_BYTES);
        (left > data.len() * 4 / 3 + 2_000).then_some((key, data))
    })
}

/// KPL aggregates, up to the largest event.
pub(crate) fn aggregated(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut next = message(&mut random, PAYLOAD_BYTES);
    event(0, |left| {
        let mut builder = Builder::new();
        while builder.fits(&next.0, &next.1, AGGREGATE_BYTES) {
            builder.push(&next.0, None, &next.1);
            next = message(&mut random, PAYLOAD_BYTES);
        }
        // The key of an aggregate is that of its first record; it does not matter here.
        (left > AGGREGATE_BYTES * 4 / 3 + 2_000).then(|| (next.0.clone(), builder.finish()))
    })
}

/// An event of `records` plain records with payloads of `payload_bytes`; it may be larger than Lambda's events.
pub(crate) fn plain(records: usize, payload_bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut left = records;
    event(0, |_| {
        left = left.checked_sub(1)?;
        Some(message(&mut random, payload_bytes))
    })
}

/// An event of aggregated readings: one of each device in each round, rounds a second apart. Sequence numbers follow
/// from the rounds, so that later rounds are later in the shard.
#[cfg(feature = "functions")]
pub(crate) fn readings(devices: usize, rounds: Range<usize>) -> Vec<u8> {
    let mut all = rounds.clone().flat_map(|round| (0..devices).map(move |device| reading(device, round))).peekable();
    event(rounds.start * devices, |_| {
        let mut builder = Builder::new();
        while let Some((key, data)) = all.next_if(|(key, data)| builder.fits(key, data, AGGREGATE_BYTES)) {
            builder.push(&key, None, &data);
        }
        (!builder.is_empty()).then(|| ("-".to_owned(), builder.finish()))
    })
}

#[cfg(feature = "functions")]
fn reading(device: usize, round: usize) -> (String, Vec<u8>) {
    let id = format!("bed-{device}");
    let (at, value) = (ARRIVED_MS - 3_600_000 + round as i64 * 1_000, 60 + (device + round) % 40);
    let received_at = at + 120;
    let text = format!(
        r#"{{"id":"m{round}#0","deviceId":"{id}","facility":"home-3","metric":"heart_rate","value":{value}.0,"unit":"1/min","at":{at},"clock":"device","receivedAt":{received_at},"quality":"good"}}"#
    );
    (id, text.into_bytes())
}

/// A message as the IoT rule makes it, after its delivery id, which is also its partition key.
pub(crate) fn message(random: &mut StdRng, payload_bytes: usize) -> (String, Vec<u8>) {
    let id = delivery_id(random);
    let payload = STANDARD.encode(payload(random, payload_bytes));
    let (device, facility) = (random.random_range(0..DEVICES), random.random_range(0..50));
    let received_at = ARRIVED_MS - random.random_range(20..300);
    let text = format!(
        r#"{{"deliveryId":"{id}","deviceId":"band-{device:04}","facility":"home-{facility}","kind":"vital","clientId":"band-{device:04}","receivedAt":{received_at},"payload":"{payload}"}}"#
    );
    (id, text.into_bytes())
}

/// A delivery id in the form of `newuuid()`.
fn delivery_id(random: &mut StdRng) -> String {
    let hex = format!("{:032x}", random.random::<u128>());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A wearable's vital signs and, if there is room, a waveform of its sensor.
fn payload(random: &mut StdRng, bytes: usize) -> String {
    let (ts, hr, spo2) = (ARRIVED_MS / 1_000, random.random_range(45..120), random.random_range(90..100));
    if bytes < PAYLOAD_BYTES {
        return format!(r#"{{"id":"m{:07}","ts":{ts},"hr":{hr}}}"#, random.random_range(0..9_999_999));
    }
    let id = random.random_range(0..9_999_999);
    let temp = random.random_range(96.0..101.0_f64);
    let mut text = format!(r#"{{"id":"m{id:07}","ts":{ts},"vital":{{"hr":{hr},"spo2":"{spo2}","temp":{temp:.1}"#);
    if bytes > text.len() + 20 {
        text.push_str(r#","wave":[0"#);
        while text.len() + 8 < bytes {
            // Writing to a string does not fail.
            let _ = write!(text, ",{}", random.random_range(-900..900));
        }
        text.push(']');
    }
    text.push_str("}}");
    text
}

/// An event of the records that `next` returns, given the bytes that are left in the largest event. `first` is the
/// index of its first record in the shard.
fn event(first: usize, mut next: impl FnMut(usize) -> Option<(String, Vec<u8>)>) -> Vec<u8> {
    let mut text = String::from(r#"{"Records":["#);
    let mut index = 0;
    while let Some((key, data)) = next(EVENT_BYTES.saturating_sub(text.len())) {
        if index > 0 {
            text.push(',');
        }
        push_record(&mut text, first + index, &key, &data);
        index += 1;
    }
    text.push_str("]}");
    text.into_bytes()
}

/// Appends a record. Its arrival time has three decimals, and the last is not zero, because `aws_lambda_events`
/// misreads other times and would make other lines.
fn push_record(text: &mut String, index: usize, key: &str, data: &[u8]) {
    let sequence = format!("4954511524349098501828006771497314458218006259{:010}", 3_244_000_000 + index);
    // All records arrive in one hour.
    let arrived_ms = ARRIVED_MS + (index as i64 * 2).min(200_000);
    let arrived_ms = arrived_ms + i64::from(arrived_ms % 10 == 0);
    let (seconds, ms) = (arrived_ms / 1_000, arrived_ms % 1_000);
    let data = STANDARD.encode(data);
    let _ = write!(
        text,
        r#"{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"{key}","sequenceNumber":"{sequence}","data":"{data}","approximateArrivalTimestamp":{seconds}.{ms:03}}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{SHARD}:{sequence}","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/myaku-ArchiverRole-1ABCDEFGHIJKL","awsRegion":"eu-central-1","eventSourceARN":"arn:aws:kinesis:eu-central-1:123456789012:stream/myaku-IngestStream-1ABCDEFGHIJKL"}}"#
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::stream::batch::Batch;

    #[test]
    fn a_largest_event_is_nearly_as_large_as_lambdas_and_parses_as_a_batch() {
        for (event, at_least) in [(single(1), 5_000), (aggregated(1), 12_000)] {
            let bytes = event.len();
            assert!((EVENT_BYTES - 100_000..=EVENT_BYTES).contains(&bytes), "{bytes} bytes");
            let batch = Batch::from_event(event).unwrap();
            assert!(batch.user_records().count() > at_least);
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_event() {
        assert_eq!(plain(10, 200, 7), plain(10, 200, 7));
        assert_ne!(plain(10, 200, 7), plain(10, 200, 8));
    }

    #[test]
    fn a_payload_has_about_the_requested_length() {
        let mut random = StdRng::seed_from_u64(1);
        for bytes in [50, 70, 1_000, 1_048_576] {
            let payload = payload(&mut random, bytes);
            assert!(payload.len().abs_diff(bytes) <= 20, "{} bytes for {bytes}", payload.len());
            serde_json::from_str::<serde_json::Value>(&payload).unwrap();
        }
    }
}
