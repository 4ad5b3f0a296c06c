//! Turns: one put at a time, and no read during a put, so that records become visible in the order of their sequence
//! numbers.
//!
//! ferrokinesis 0.7 assigns a record's number and inserts the record in two steps, without a lock around them. Of two
//! concurrent puts, the second can become visible first. A reader that reads in between continues after the second
//! record and never sees the first, which Kinesis promises not to happen. (With twelve writers on one shard, a reader
//! missed 253 records of 23,400; with turns, none.) Reads wait too: a shard that is closed between the two steps would
//! otherwise end, for a reader, before its last record.

use super::request::{BODY_BYTES_MAX, operation};
use super::retention::Kept;
use super::stamps::stamp;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use ferrokinesis::store::Store;
use myaku::platform::clock::{Now as _, SystemClock};
use std::sync::Arc;
use tokio::sync::RwLock;

/// The app, with one `PutRecord` or `PutRecords` at a time, and `GetRecords` only between them. A turn also gives the
/// records their time, and drops the oldest of those that no longer fit.
pub(super) fn with_turns(app: Router, store: Store, kept: Arc<Kept>) -> Router {
    let turns = Turns { lock: RwLock::new(()), kept, store };
    app.layer(from_fn_with_state(Arc::new(turns), take_turn))
}

struct Turns {
    lock: RwLock<()>,
    kept: Arc<Kept>,
    store: Store,
}

async fn take_turn(State(turns): State<Arc<Turns>>, request: Request, next: Next) -> Response {
    let puts = operation(&request).starts_with("PutRecord");
    if !puts && operation(&request) != "GetRecords" {
        return next.run(request).await;
    }
    // Read the body before the turn begins, so that a slow client does not make others wait.
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let request = Request::from_parts(parts, Body::from(body.clone()));
    if puts {
        let _turn = turns.lock.write().await;
        let arrived_ms = SystemClock.now_ms();
        let answer = stamp(&turns.store, &body, next.run(request).await, arrived_ms).await;
        turns.kept.trim(&turns.store).await;
        answer
    } else {
        let _turn = turns.lock.read().await;
        next.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::PutRecordsRequestEntry;
    use futures::future::join_all;
    use myaku::stream::source::ReadFrom;
    use myaku::stream::source::Source as _;
    use myaku::stream::source::kinesis::KinesisSource;

    const WRITERS: usize = 12;
    const CALLS: usize = 25;
    const RECORDS: usize = 20;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_reader_sees_every_record_of_concurrent_writers() {
        let server = crate::servers::kinesis::start(0).await.unwrap();
        let credentials = Credentials::new("local", "local", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(server.endpoint())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let client = Client::new(&config);
        client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let source = KinesisSource::new(&config, "s");
        let mut cursor = loop {
            if let Ok(cursor) = source.open("shardId-000000000000", ReadFrom::TrimHorizon).await {
                break cursor;
            }
        };
        let entry = |_| PutRecordsRequestEntry::builder().partition_key("key").data(Blob::new("x")).build().unwrap();
        let writer = || {
            let client = client.clone();
            tokio::spawn(async move {
                let mut accepted = 0;
                for _ in 0..CALLS {
                    let records = (0..RECORDS).map(entry).collect();
                    let put = client.put_records().stream_name("s").set_records(Some(records)).send().await.unwrap();
                    // Records beyond the shard's limit are refused.
                    accepted += RECORDS - put.failed_record_count.unwrap_or_default() as usize;
                }
                accepted
            })
        };
        let writers = tokio::spawn(join_all((0..WRITERS).map(|_| writer())));
        let mut seen = 0;
        loop {
            let finished = writers.is_finished();
            let read = source.read(&mut cursor, 10_000).await.unwrap();
            seen += read.records.len();
            if finished && read.records.is_empty() {
                break;
            }
        }
        let accepted: usize = writers.await.unwrap().into_iter().map(Result::unwrap).sum();
        assert_eq!(seen, accepted);
    }
}
