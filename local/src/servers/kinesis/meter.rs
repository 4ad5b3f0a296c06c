//! What Kinesis tells CloudWatch: counted where requests and answers pass.
//!
//! As in AWS, a stream to which nothing is put has no `IncomingRecords` at all rather than zero, while those who read it
//! go on telling the age of what they read. Rates are told as they are while minutes pass faster under a time scale: a
//! record counts as many times as minutes are shorter.

use super::resharding::stream_of;
use crate::servers::cloudwatch::{Monitoring, Statistics};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::scaling::alarms::MetricId;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More than any request or answer: 10 MiB of records, as base64 in JSON.
const BODY_BYTES_MAX: usize = 32 << 20;
const NAMESPACE: &str = "AWS/Kinesis";
const THROTTLED: &str = "ProvisionedThroughputExceededException";
/// The metrics that a shard can have.
const SHARD_LEVEL: [&str; 5] = [
    "IncomingRecords",
    "IncomingBytes",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
];

struct Meter {
    monitoring: Arc<Monitoring>,
    /// The metrics that each stream tells of its shards.
    enhanced: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

/// The app, with its traffic told to `monitoring`.
pub(super) fn metered(app: Router, monitoring: Arc<Monitoring>) -> Router {
    app.layer(from_fn_with_state(Arc::new(Meter { monitoring, enhanced: Mutex::default() }), pass))
}

async fn pass(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if !["PutRecord", "PutRecords", "GetRecords", "EnableEnhancedMonitoring", "DisableEnhancedMonitoring"]
        .contains(&operation.as_str())
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(asked) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let response = next.run(Request::from_parts(parts, Body::from(asked.clone()))).await;
    let (parts, body) = response.into_parts();
    let Ok(answer) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    meter.note(&operation, &asked, &answer);
    Response::from_parts(parts, Body::from(answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put<'a> {
    #[serde(borrow, default)]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(borrow, default)]
    data: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    partition_key: std::borrow::Cow<'a, str>,
}

impl Entry<'_> {
    /// What counts towards a shard's limit.
    fn bytes(&self) -> f64 {
        let padding = self.data.bytes().rev().take_while(|byte| *byte == b'=').count();
        (self.data.len() / 4 * 3).saturating_sub(padding) as f64 + self.partition_key.len() as f64
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutAnswer {
    #[serde(default)]
    records: Vec<Outcome>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Outcome {
    shard_id: Option<String>,
    error_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    #[serde(default)]
    records: Vec<Arrival>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Arrival {
    approximate_arrival_timestamp: f64,
}

/// The stream and shard that a request's iterator is of.
fn iterator_of(asked: &[u8]) -> Option<(String, String)> {
    let asked: Value = serde_json::from_slice(asked).ok()?;
    let (_, stream, shard, _) =
        ferrokinesis::shard_iterator::decode_shard_iterator(asked["ShardIterator"].as_str()?).ok()?;
    Some((stream, shard))
}

/// What was put, refused and read, of a stream or a shard.
#[derive(Clone, Copy, Default)]
struct Written {
    records: f64,
    bytes: f64,
    throttled: f64,
}

impl Meter {
    fn enhanced(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.enhanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be read is not counted: metrics never fail a request.
    fn note(&self, operation: &str, asked: &Bytes, answer: &Bytes) {
        match operation {
            "PutRecord" => {
                let (Ok(entry), Ok(outcome)) = (serde_json::from_slice(asked), serde_json::from_slice::<Value>(answer))
                else {
                    return;
                };
                let outcome = Outcome {
                    shard_id: outcome["ShardId"].as_str().map(ToOwned::to_owned),
                    error_code: outcome["__type"].as_str().map(ToOwned::to_owned),
                };
                self.written(asked, &[entry], &[outcome]);
            }
            "PutRecords" => {
                let (Ok(put), Ok(answer)) =
                    (serde_json::from_slice::<Put<'_>>(asked), serde_json::from_slice::<PutAnswer>(answer))
                else {
                    return;
                };
                self.written(asked, &put.records, &answer.records);
            }
            "GetRecords" => self.read(asked, answer),
            enables => {
                let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
                let mut enhanced = self.enhanced();
                let metrics = enhanced.entry(stream_of(&asked)).or_default();
                for name in asked["ShardLevelMetrics"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let meant = SHARD_LEVEL.iter().filter(|metric| name == "ALL" || name == **metric);
                    for metric in meant {
                        if enables == "EnableEnhancedMonitoring" {
                            metrics.insert((*metric).to_owned());
                        } else {
                            metrics.remove(*metric);
                        }
                    }
                }
            }
        }
    }

    fn written(&self, asked: &[u8], entries: &[Entry<'_>], outcomes: &[Outcome]) {
        let mut all = Written::default();
        let mut shards: BTreeMap<&str, Written> = BTreeMap::new();
        for (entry, outcome) in entries.iter().zip(outcomes) {
            let throttled = outcome.error_code.as_deref().is_some_and(|code| code.ends_with(THROTTLED));
            let one = match (&outcome.shard_id, throttled) {
                (_, true) => Written { throttled: 1.0, ..Written::default() },
                (Some(_), false) => Written { records: 1.0, bytes: entry.bytes(), throttled: 0.0 },
                (None, false) => continue,
            };
            let shard = outcome.shard_id.as_deref().map(|shard| shards.entry(shard).or_default());
            for sum in [Some(&mut all), shard].into_iter().flatten() {
                sum.records += one.records;
                sum.bytes += one.bytes;
                sum.throttled += one.throttled;
            }
        }
        let stream = stream_of(&serde_json::from_slice(asked).unwrap_or_default());
        let rate = self.monitoring.clock().rate();
        let told = [
            ("IncomingRecords", all.records),
            ("IncomingBytes", all.bytes),
            ("WriteProvisionedThroughputExceeded", all.throttled),
        ];
        for (name, value) in told {
            self.tell(&stream, None, name, value * rate);
        }
        for (shard, sum) in shards {
            self.tell(&stream, Some(shard), "IncomingRecords", sum.records * rate);
            self.tell(&stream, Some(shard), "IncomingBytes", sum.bytes * rate);
        }
    }

    /// "Age is the difference between the current time and when the last record of the `GetRecords` call was written to
    /// the stream"; nothing read is nothing behind.
    fn read(&self, asked: &[u8], answer: &[u8]) {
        let Some((stream, shard)) = iterator_of(asked) else { return };
        let Ok(got) = serde_json::from_slice::<Got>(answer) else { return };
        let throttled = serde_json::from_slice::<Value>(answer).is_ok_and(|answer| answer["__type"] == THROTTLED);
        let age = got
            .records
            .last()
            .map_or(0.0, |last| (SystemClock.now_ms() as f64 - last.approximate_arrival_timestamp * 1000.0).max(0.0));
        self.tell(&stream, None, "ReadProvisionedThroughputExceeded", f64::from(u8::from(throttled)));
        self.tell(&stream, None, "GetRecords.Success", f64::from(u8::from(!throttled)));
        if !throttled {
            self.tell(&stream, None, "GetRecords.IteratorAgeMilliseconds", age);
            self.tell(&stream, Some(&shard), "IteratorAgeMilliseconds", age);
        }
    }

    fn tell(&self, stream: &str, shard: Option<&str>, name: &str, value: f64) {
        let mut metric = MetricId::with(NAMESPACE, name, "StreamName", stream);
        if let Some(shard) = shard {
            if !self.enhanced().get(stream).is_some_and(|metrics| metrics.contains(name)) {
                return;
            }
            metric.dimensions.insert("ShardId".to_owned(), shard.to_owned());
        }
        self.monitoring.put(metric, None, Statistics::of(value));
    }
}
