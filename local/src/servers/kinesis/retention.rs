//! How much the streams keep: what fits into memory. When more arrives, the oldest records go first.
//!
//! A stream forgets a record after its retention period, which is a day at least. Within a day, a steady stream fills
//! the memory of a machine.

use super::request::{BODY_BYTES_MAX, operation};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use ferrokinesis::sequence;
use ferrokinesis::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is dropped at a time: this part of what is kept.
const DROPPED_PART: u64 = 64;
/// The oldest records of a shard that are looked at together have about so many bytes, and are at most so many.
const STEP_BYTES: u64 = 4 << 20;
const STEP_RECORDS: u64 = 4_096;

/// Keeps the records of all streams together within a number of bytes.
pub(super) struct Kept {
    bytes_max: u64,
    /// Whether something was dropped, which is said once.
    has_dropped: AtomicBool,
}

/// The app, whose streams say that they keep records for no time once some were dropped. So no audit takes a record
/// that was dropped for one that never was.
pub(super) fn with_true_periods(app: Router, kept: Arc<Kept>) -> Router {
    app.layer(from_fn_with_state(kept, describe))
}

async fn describe(State(kept): State<Arc<Kept>>, request: Request, next: Next) -> Response {
    let describes = ["DescribeStream", "DescribeStreamSummary"].contains(&operation(&request));
    let response = next.run(request).await;
    if !describes || !kept.has_dropped.load(Ordering::Relaxed) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    for description in ["StreamDescriptionSummary", "StreamDescription"] {
        if let Some(hours) = answer.get_mut(description).and_then(|it| it.get_mut("RetentionPeriodHours")) {
            *hours = 0.into();
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(answer.to_string()))
}

/// A record that may be dropped.
struct Oldest {
    arrived: f64,
    bytes: u64,
    stream: String,
    key: String,
}

impl Kept {
    pub(super) const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, has_dropped: AtomicBool::new(false) }
    }

    /// Drops the oldest records of all streams, if they have too many bytes together.
    pub(super) async fn trim(&self, store: &Store) {
        let metrics = store.metrics();
        if metrics.retained_bytes() <= self.bytes_max {
            return;
        }
        if !self.has_dropped.swap(true, Ordering::Relaxed) {
            let mebibytes = self.bytes_max >> 20;
            tracing::warn!(mebibytes, "the streams are full: from now on, their oldest records are dropped");
        }
        let enough = self.bytes_max - self.bytes_max / DROPPED_PART;
        while metrics.retained_bytes() > enough {
            let mean = metrics.retained_bytes() / metrics.retained_records().max(1);
            let step = (STEP_BYTES / mean.max(1)).clamp(1, STEP_RECORDS) as usize;
            let mut oldest = oldest(store, step).await;
            oldest.sort_by(|one, other| one.arrived.total_cmp(&other.arrived));
            // So many of each shard were looked at, so these are the oldest of all.
            oldest.truncate(step);
            if oldest.is_empty() {
                return;
            }
            let mut excess = metrics.retained_bytes() - enough;
            let mut keys = BTreeMap::<String, Vec<String>>::new();
            for Oldest { bytes, stream, key, .. } in oldest {
                keys.entry(stream).or_default().push(key);
                excess = excess.saturating_sub(bytes);
                if excess == 0 {
                    break;
                }
            }
            for (stream, keys) in keys {
                store.delete_record_keys(&stream, &keys).await;
            }
        }
    }
}

/// The oldest records of each shard.
async fn oldest(store: &Store, step: usize) -> Vec<Oldest> {
    let mut all = Vec::new();
    for stream in store.list_stream_names().await {
        let shards = store.get_stream(&stream).await.map_or(0, |stream| stream.shards.len());
        for shard in 0..shards as i64 {
            let from = format!("{}/", sequence::shard_ix_to_hex(shard));
            let to = sequence::shard_ix_to_hex(shard + 1);
            let records = store.get_records_range_limited(&stream, &from, &to, step).await;
            all.extend(records.into_iter().map(|(key, record)| Oldest {
                arrived: record.approximate_arrival_timestamp,
                bytes: (record.data.len() + record.partition_key.len()) as u64,
                stream: stream.clone(),
                key,
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::super::AwsEndpoints;
    use super::super::{options, start_with};
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::{Record, ShardIteratorType};
    use ferrokinesis::store::StoreOptions;
    use std::sync::Arc;

    const MEBIBYTE: usize = 1 << 20;

    async fn first_page(client: &Client, stream: &str) -> Vec<Record> {
        let iterator = client.get_shard_iterator().stream_name(stream).shard_id("shardId-000000000000");
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let page = client.get_records().set_shard_iterator(iterator.shard_iterator).limit(1).send().await.unwrap();
        page.records
    }

    #[tokio::test]
    async fn the_oldest_records_of_all_streams_go_when_more_arrives_than_is_kept() {
        let unlimited = StoreOptions { enforce_limits: false, ..options() };
        let kinesis = start_with(0, unlimited, 16 * MEBIBYTE as u64, Arc::default()).await.unwrap();
        let client = Client::new(&AwsEndpoints::from([("kinesis", kinesis.endpoint())]).sdk_config());
        let put = |stream: &'static str, number: u8, size: usize| {
            client.put_record().stream_name(stream).partition_key("k").data(Blob::new(vec![number; size])).send()
        };
        for stream in ["a", "b"] {
            client.create_stream().stream_name(stream).shard_count(1).send().await.unwrap();
            while put(stream, 0, 1).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
        let retention = || async {
            let answer = client.describe_stream_summary().stream_name("b").send().await.unwrap();
            answer.stream_description_summary.unwrap().retention_period_hours
        };
        assert_eq!(retention().await, 24);
        for number in 1..=40 {
            put(if number % 2 == 0 { "a" } else { "b" }, number, MEBIBYTE).await.unwrap();
        }
        // A mebibyte is a third more as it is stored, so the newest 11 or 12 fit.
        for stream in ["a", "b"] {
            let oldest = first_page(&client, stream).await[0].data().as_ref()[0];
            assert!((28..=31).contains(&oldest), "{stream} keeps records since {oldest}");
        }
        assert_eq!(retention().await, 0);
        let newest = put("a", 41, 1).await.unwrap();
        assert!(newest.sequence_number() > first_page(&client, "a").await[0].sequence_number(), "the newest stay");
    }
}
