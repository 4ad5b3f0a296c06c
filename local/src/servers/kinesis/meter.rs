//! Kinesis's metrics in CloudWatch, counted from requests and answers.
//!
//! As in AWS, a stream without writers has no `IncomingRecords` at all, not zero, while its readers still report the
//! age of what they read. A time scale shortens minutes but does not change rates: at 60, each record counts 60 times.

use super::request::{BODY_BYTES_MAX, operation, stream_name};
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

const NAMESPACE: &str = "AWS/Kinesis";
const THROTTLED: &str = "ProvisionedThroughputExceededException";
/// The metrics that exist for each shard.
const SHARD_LEVEL: [&str; 5] = [
    "IncomingRecords",
    "IncomingBytes",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
];

struct Meter {
    monitoring: Arc<Monitoring>,
    /// The shard-level metrics that are enabled, by stream.
    enhanced: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

/// The app, with its metrics reported to `monitoring`.
pub(super) fn with_meter(app: Router, monitoring: Arc<Monitoring>) -> Router {
    app.layer(from_fn_with_state(Arc::new(Meter { monitoring, enhanced: Mutex::default() }), measure))
}

async fn measure(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let operation = operation(&request).to_owned();
    if !["PutRecord", "PutRecords", "GetRecords", "EnableEnhancedMonitoring", "DisableEnhancedMonitoring"]
        .contains(&operation.as_str())
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(request) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let response = next.run(Request::from_parts(parts, Body::from(request.clone()))).await;
    let (parts, body) = response.into_parts();
    let Ok(answer) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    meter.count(&operation, &request, &answer);
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
    /// The bytes that count towards a shard's limit.
    fn bytes(&self) -> f64 {
        let padding = self.data.bytes().rev().take_while(|byte| *byte == b'=').count();
        (self.data.len() / 4 * 3).saturating_sub(padding) as f64 + self.partition_key.len() as f64
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutAnswer {
    #[serde(default)]
    records: Vec<EntryResult>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EntryResult {
    shard_id: Option<String>,
    error_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAnswer {
    #[serde(default)]
    records: Vec<ReadRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadRecord {
    approximate_arrival_timestamp: f64,
}

/// The stream and shard of a request's iterator.
fn stream_and_shard(request: &[u8]) -> Option<(String, String)> {
    let request: Value = serde_json::from_slice(request).ok()?;
    let (_, stream, shard, _) =
        ferrokinesis::shard_iterator::decode_shard_iterator(request["ShardIterator"].as_str()?).ok()?;
    Some((stream, shard))
}

/// What was put to a stream or a shard, and refused.
#[derive(Clone, Copy, Default)]
struct PutSums {
    records: f64,
    bytes: f64,
    throttled: f64,
}

impl Meter {
    fn enhanced(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.enhanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and its answer. Ignores what it cannot parse: metrics never fail a request.
    fn count(&self, operation: &str, request: &Bytes, answer: &Bytes) {
        match operation {
            "PutRecord" => {
                let (Ok(entry), Ok(answer)) =
                    (serde_json::from_slice(request), serde_json::from_slice::<Value>(answer))
                else {
                    return;
                };
                let result = EntryResult {
                    shard_id: answer["ShardId"].as_str().map(ToOwned::to_owned),
                    error_code: answer["__type"].as_str().map(ToOwned::to_owned),
                };
                self.count_puts(request, &[entry], &[result]);
            }
            "PutRecords" => {
                let (Ok(put), Ok(answer)) =
                    (serde_json::from_slice::<Put<'_>>(request), serde_json::from_slice::<PutAnswer>(answer))
                else {
                    return;
                };
                self.count_puts(request, &put.records, &answer.records);
            }
            "GetRecords" => self.count_reads(request, answer),
            enable_or_disable => {
                let request: Value = serde_json::from_slice(request).unwrap_or_default();
                let mut enhanced = self.enhanced();
                let metrics = enhanced.entry(stream_name(&request).to_owned()).or_default();
                for name in request["ShardLevelMetrics"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let selected = SHARD_LEVEL.iter().filter(|metric| name == "ALL" || name == **metric);
                    for metric in selected {
                        if enable_or_disable == "EnableEnhancedMonitoring" {
                            metrics.insert((*metric).to_owned());
                        } else {
                            metrics.remove(*metric);
                        }
                    }
                }
            }
        }
    }

    fn count_puts(&self, request: &[u8], entries: &[Entry<'_>], results: &[EntryResult]) {
        let mut all = PutSums::default();
        let mut shards: BTreeMap<&str, PutSums> = BTreeMap::new();
        for (entry, result) in entries.iter().zip(results) {
            let throttled = result.error_code.as_deref().is_some_and(|code| code.ends_with(THROTTLED));
            let one = match (&result.shard_id, throttled) {
                (_, true) => PutSums { throttled: 1.0, ..PutSums::default() },
                (Some(_), false) => PutSums { records: 1.0, bytes: entry.bytes(), throttled: 0.0 },
                (None, false) => continue,
            };
            let shard = result.shard_id.as_deref().map(|shard| shards.entry(shard).or_default());
            for sum in [Some(&mut all), shard].into_iter().flatten() {
                sum.records += one.records;
                sum.bytes += one.bytes;
                sum.throttled += one.throttled;
            }
        }
        let request = serde_json::from_slice(request).unwrap_or_default();
        let stream = stream_name(&request);
        let rate = self.monitoring.clock().rate();
        let sums = [
            ("IncomingRecords", all.records),
            ("IncomingBytes", all.bytes),
            ("WriteProvisionedThroughputExceeded", all.throttled),
        ];
        for (name, value) in sums {
            self.put(stream, None, name, value * rate);
        }
        for (shard, sum) in shards {
            self.put(stream, Some(shard), "IncomingRecords", sum.records * rate);
            self.put(stream, Some(shard), "IncomingBytes", sum.bytes * rate);
        }
    }

    /// "Age is the difference between the current time and when the last record of the `GetRecords` call was written to
    /// the stream". A call that reads no record has an age of zero.
    fn count_reads(&self, request: &[u8], answer: &[u8]) {
        let Some((stream, shard)) = stream_and_shard(request) else { return };
        let stream = stream.as_str();
        let Ok(read) = serde_json::from_slice::<GetAnswer>(answer) else { return };
        let throttled = serde_json::from_slice::<Value>(answer).is_ok_and(|answer| answer["__type"] == THROTTLED);
        let age = read
            .records
            .last()
            .map_or(0.0, |last| (SystemClock.now_ms() as f64 - last.approximate_arrival_timestamp * 1000.0).max(0.0));
        self.put(stream, None, "ReadProvisionedThroughputExceeded", f64::from(u8::from(throttled)));
        self.put(stream, None, "GetRecords.Success", f64::from(u8::from(!throttled)));
        if !throttled {
            self.put(stream, None, "GetRecords.IteratorAgeMilliseconds", age);
            self.put(stream, Some(&shard), "IteratorAgeMilliseconds", age);
        }
    }

    fn put(&self, stream: &str, shard: Option<&str>, name: &str, value: f64) {
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
