//! Kinesis Data Streams: every operation, with the throughput limits of each shard enforced.
//!
//! Two things differ from AWS. Times of arrival are cut to whole seconds, so that a record can seem to have arrived up to
//! a second before it was sent. And `UpdateShardCount` makes shards without parents: split and merge instead.

use super::listener::Listener;
use super::{ACCOUNT, REGION};
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use ferrokinesis::store::StoreOptions;
use futures::FutureExt as _;
use std::sync::Arc;
use tokio::sync::RwLock;

/// Open shards of all streams together. The real quota is 20,000 in the large regions.
const SHARD_LIMIT: u32 = 10_000;
/// A stream or a reshard is ready after this long, in milliseconds; AWS takes some seconds.
const TRANSITION_MS: u64 = 50;
/// How often records past their retention are dropped, in seconds.
const RETENTION_CHECK_SECONDS: u64 = 60;
/// A request, at most: PutRecords takes 10 MiB, which base64 and JSON make a third longer. The server's own limit of
/// 2 MB is that of its web framework.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A Kinesis server of this process; it ends when dropped.
pub struct Kinesis {
    listener: Listener,
}

/// Starts a server on `port`, or on a free one for 0. Streams live in memory, and live through a [`stop`](Kinesis::stop).
pub async fn start(port: u16) -> anyhow::Result<Kinesis> {
    let (app, _store) = ferrokinesis::create_app(StoreOptions {
        create_stream_ms: TRANSITION_MS,
        delete_stream_ms: TRANSITION_MS,
        update_stream_ms: TRANSITION_MS,
        shard_limit: SHARD_LIMIT,
        retention_check_interval_secs: RETENTION_CHECK_SECONDS,
        enforce_limits: true,
        aws_account_id: ACCOUNT.into(),
        aws_region: REGION.into(),
        ..StoreOptions::default()
    });
    let app = app
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(from_fn_with_state(Arc::new(RwLock::new(())), puts_apart_from_reads));
    let listener = Listener::start(port, move |socket, stopped| {
        let app = app.clone();
        async move {
            let stopped = async move { drop(stopped.await) };
            Ok(ferrokinesis::serve_plain_http(socket, app, stopped).await?)
        }
        .boxed()
    })
    .await?;
    Ok(Kinesis { listener })
}

/// Lets no read see a put half done. The server numbers a record before it stores it: of two puts at the same time, a read
/// could return the later one, and its iterator would be past the earlier one for ever.
async fn puts_apart_from_reads(State(gate): State<Arc<RwLock<()>>>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if !matches!(operation.as_str(), "PutRecord" | "PutRecords" | "GetRecords") {
        return next.run(request).await;
    }
    // The whole request first: who is slow to send it must not hold up the others.
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(head, Body::from(body));
    if operation == "GetRecords" {
        let _reading = gate.read().await;
        next.run(request).await
    } else {
        let _putting = gate.write().await;
        next.run(request).await
    }
}

impl Kinesis {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.listener.endpoint()
    }

    /// Refuses connections from now on; streams and records stay.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Serves again, on the same port, what was there.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.listener.restart().await
    }
}

#[cfg(test)]
mod tests {
    use super::super::AwsEndpoints;
    use super::*;
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::PutRecordsRequestEntry;
    use aws_sdk_kinesis::types::ShardIteratorType;
    use std::collections::BTreeSet;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn client(kinesis: &Kinesis) -> Client {
        let endpoint = kinesis.endpoint();
        Client::new(&AwsEndpoints { kinesis: endpoint.clone(), dynamodb: endpoint.clone(), s3: endpoint }.sdk_config())
    }

    async fn create(client: &Client, stream: &str, shards: i32) {
        client.create_stream().stream_name(stream).shard_count(shards).send().await.unwrap();
        while client
            .describe_stream_summary()
            .stream_name(stream)
            .send()
            .await
            .unwrap()
            .stream_description_summary()
            .unwrap()
            .stream_status()
            .as_str()
            != "ACTIVE"
        {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn records_live_through_a_stop_and_nobody_is_served_meanwhile() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s", 1).await;
        let put = || client.put_record().stream_name("s").partition_key("k").data(Blob::new("x")).send();
        let first = put().await.unwrap();

        kinesis.stop().await;
        assert!(put().await.is_err());

        kinesis.restart().await.unwrap();
        let iterator = client
            .get_shard_iterator()
            .stream_name("s")
            .shard_id(first.shard_id())
            .shard_iterator_type(ShardIteratorType::TrimHorizon)
            .send()
            .await
            .unwrap();
        let records = client.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
        assert_eq!(records.records().first().unwrap().sequence_number(), first.sequence_number());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_at_the_tip_misses_nothing_of_many_writers() {
        // Under what the shards take in a second, in calls long enough to overlap.
        const CALLS: usize = 14;
        const RECORDS: usize = 250;
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s", 4).await;
        let mut iterators = Vec::new();
        for shard in client.list_shards().stream_name("s").send().await.unwrap().shards() {
            let iterator = client.get_shard_iterator().stream_name("s").shard_id(shard.shard_id());
            let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
            iterators.push(iterator.shard_iterator.unwrap());
        }
        let put = |call: usize| {
            let entry = |n: usize| {
                let key = format!("{call}-{n}");
                PutRecordsRequestEntry::builder().data(Blob::new(key.clone())).partition_key(key).build().unwrap()
            };
            client.put_records().stream_name("s").set_records(Some((0..RECORDS).map(entry).collect())).send()
        };
        let writers = futures::future::join_all((0..CALLS).map(put));
        let reader = async {
            let mut seen = BTreeSet::new();
            while seen.len() < CALLS * RECORDS {
                for iterator in &mut iterators {
                    let read = client.get_records().shard_iterator(&*iterator).send().await.unwrap();
                    seen.extend(read.records.into_iter().map(|record| record.data.into_inner()));
                    *iterator = read.next_shard_iterator.unwrap();
                }
            }
        };
        let both = futures::future::join(writers, reader);
        let (written, ()) = tokio::time::timeout(PATIENCE, both).await.expect("the reader sees every record");
        assert!(written.into_iter().all(|call| call.unwrap().failed_record_count == Some(0)));
    }

    #[tokio::test]
    async fn a_shard_takes_a_mebibyte_a_second_and_throttles_beyond() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s", 1).await;
        let entry = |_| {
            let data = Blob::new(vec![0; 500 << 10]);
            PutRecordsRequestEntry::builder().partition_key("k").data(data).build().unwrap()
        };
        let put = client.put_records().stream_name("s").set_records(Some((0..4).map(entry).collect()));
        let failed = put.send().await.unwrap().failed_record_count().unwrap();
        assert!((1..4).contains(&failed), "{failed} of 4 were throttled");
    }
}
