//! The transform compared with a parser: all that it does with a message, and sonic-rs parsing the same bytes.
//!
//! *Ours*, for each message:
//!
//! - parses the record of `ingest` as the function does ([`Content::of`]: JSON, the limits of every field, the payload
//!   from base64);
//! - decodes the payload by the profile `vital-band` (identity, time and clock, and three values, each checked against
//!   its range, one converted from °F to °C);
//! - writes the readings as JSON into one buffer;
//! - packs them into an aggregate for each slot, with checksums ([`Producer::send`]);
//! - encodes each entry of PutRecords in base64, with the crate that the SDK uses.
//!
//! Lambda's event, the lookup in the registry's cache and the network are not included.
//!
//! *The yardstick*, for each message: sonic-rs parses the record, some 300 bytes, and the payload, 79 bytes of JSON,
//! each into a struct that borrows from it and has only the needed fields. The payload is decoded in advance, so base64
//! costs it nothing. The yardstick knows at compile time what the transform reads from a profile.
//!
//! A message has three readings. The ratio compares the CPU time for one reading with the yardstick's for one message.
//! The ratio for a whole message is three times as much.

use crate::clock::spent;
use crate::pair::compare;
use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Result, anyhow, bail};
use myaku::device::decoding::Content;
use myaku::device::profile::Profile;
use myaku::device::registry::{Device, Resolved};
use myaku::ingest::message::Message;
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::{SequenceNumber, UserRecord};
use myaku::stream::producer::{Entry, Item, Limits, Placement, Producer, PutOutcome, PutRecords};
use myaku::stream::shard_map::HashKeyRange;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const PROFILE: &str = include_str!("../../events/profiles/vital-band.json");
/// Messages that are transformed together, as in the function.
const MESSAGES: usize = 2_000;
/// When the messages were received, in milliseconds since the epoch.
const RECEIVED_MS: i64 = 1_795_218_892_020;
/// The buffer size for a reading as JSON.
const READING_BYTES: usize = 256;

/// Two rows: one reading of a message, and a whole message.
pub(crate) fn cases() -> Vec<Case> {
    vec![case("reading", Bar::AtMost(3.0), true), case("message", Bar::Open, false)]
}

fn case(of: &str, bar: Bar, is_shared: bool) -> Case {
    Case::new(
        format!("transform/{of}"),
        (
            "transform: decode by profile, calibrate, check, serialise, aggregate, encode",
            format!("CPU per {of} ÷ sonic-rs parsing its record and payload alone"),
        ),
        (Unit::Times, bar),
        "Each reading is written, packed, hashed and encoded. So the more readings a message has, the less its parsing matters.",
        move |rounds| {
            let sample = Transform::new(1)?;
            let readings = sample.ours()? as f64 / sample.records.len() as f64;
            sample.yardstick()?;
            let ratio = compare(
                rounds,
                || spent(|| drop(black_box(sample.ours()))),
                || spent(|| drop(black_box(sample.yardstick()))),
            );
            let by = if is_shared { readings } else { 1.0 };
            let Spread { low, median, high } = ratio.spread;
            let value = Spread { low: low / by, median: median / by, high: high / by };
            let ns = |time: Duration| time.as_secs_f64() * 1e9 / sample.records.len() as f64;
            let (ours, other) = (ns(ratio.ours) / by, ns(ratio.other));
            Ok(Measured {
                value,
                detail: format!("{ours:.0} ns against {other:.0} ns, {readings:.0} readings per message"),
            })
        },
    )
}

/// The messages of a batch, with the device and the producer for their transformation.
struct Transform {
    records: Vec<Vec<u8>>,
    payloads: Vec<Vec<u8>>,
    device: Resolved,
    producer: Producer<Sink>,
    runtime: Runtime,
}

impl Transform {
    /// Makes the messages from a seed.
    fn new(seed: u64) -> Result<Self> {
        let profile = Profile::parse(PROFILE.as_bytes()).map_err(|problems| anyhow!("{problems:?}"))?;
        let device = Device::new("band-0", profile.id(), Some("home-3"));
        let mut random = StdRng::seed_from_u64(seed);
        let messages: Vec<_> = (0..MESSAGES).map(|_| message(&mut random)).collect();
        Ok(Self {
            records: messages.iter().map(|message| message.to_json().into_bytes()).collect(),
            payloads: messages.into_iter().map(|message| message.payload).collect(),
            device: Resolved::Known(Arc::new(device), Arc::new(profile)),
            producer: Producer::seeded(Sink, Placement::Slots, Limits::default(), seed),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build()?,
        })
    }

    /// Transforms all messages. Returns the number of readings.
    fn ours(&self) -> Result<usize> {
        let record = |data| UserRecord {
            record: 0,
            sequence: &SequenceNumber::ZERO,
            sub: 0,
            partition_key: "key",
            arrived_ms: RECEIVED_MS + 80,
            data,
        };
        let contents: Vec<_> = self.records.iter().map(|data| Content::of(&record(data))).collect();
        let mut json = Vec::with_capacity(contents.len() * READING_BYTES);
        let mut places = Vec::new();
        for content in &contents {
            let decoded =
                content.decode(Some(&self.device), RECEIVED_MS + 80).map_err(|(_, why)| anyhow!("{}", why.detail))?;
            if let Some(rejected) = decoded.rejected.first() {
                bail!("{}", rejected.detail);
            }
            for reading in decoded.readings {
                let begin = json.len();
                serde_json::to_writer(&mut json, &reading)?;
                places.push((reading.device_id, begin..json.len()));
            }
        }
        let items: Vec<_> = places.iter().map(|(key, place)| Item { key, data: &json[place.clone()] }).collect();
        self.runtime.block_on(self.producer.send(&items))?;
        Ok(items.len())
    }

    /// Parses all messages.
    fn yardstick(&self) -> Result<()> {
        for (record, payload) in self.records.iter().zip(&self.payloads) {
            black_box(sonic_rs::from_slice::<Record<'_>>(black_box(record))?);
            black_box(sonic_rs::from_slice::<Payload<'_>>(black_box(payload))?);
        }
        Ok(())
    }
}

/// A wristband's message.
fn message(random: &mut StdRng) -> Message {
    let payload = format!(
        r#"{{"id":"m{}","ts":{},"vital":{{"hr":{},"spo2":"{}","temp":{:.1}}}}}"#,
        random.random::<u32>(),
        RECEIVED_MS / 1_000 - random.random_range(0..100),
        random.random_range(45..120),
        random.random_range(90..100),
        random.random_range(96.0..101.0_f64),
    );
    let device = format!("band-{:04}", random.random_range(0..10_000));
    Message {
        delivery_id: format!("{:032x}", random.random::<u128>()),
        device_id: device.clone(),
        facility: "home-3".to_owned(),
        kind: "vital".to_owned(),
        client_id: Some(device),
        received_at: RECEIVED_MS,
        payload: payload.into_bytes(),
        message_id: None,
        sender: None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only the parsing of the fields is measured")]
struct Record<'a> {
    delivery_id: &'a str,
    device_id: &'a str,
    facility: &'a str,
    kind: &'a str,
    client_id: Option<&'a str>,
    received_at: i64,
    payload: &'a str,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the parsing of the fields is measured")]
struct Payload<'a> {
    id: &'a str,
    ts: i64,
    #[serde(borrow)]
    vital: Vital<'a>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the parsing of the fields is measured")]
struct Vital<'a> {
    hr: f64,
    spo2: &'a str,
    temp: f64,
}

/// A stream that keeps no records.
struct Sink;

impl PutRecords for Sink {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        for entry in entries {
            black_box(base64_simd::STANDARD.encode_to_string(&entry.data));
        }
        Ok(entries.iter().map(|_| PutOutcome::Put { shard: String::new() }).collect())
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        unreachable!("a producer that puts per slot lists no shards")
    }
}
