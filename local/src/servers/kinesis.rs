//! Kinesis Data Streams: every operation, and the throughput limits of each shard.
//!
//! One thing differs from AWS: the oldest records go when all streams together have more than `KEPT_BYTES_MAX`, so
//! that a runner with much traffic does not fill the memory.

mod meter;
mod outage;
mod pages;
mod request;
mod resharding;
mod retention;
#[cfg(test)]
mod source_tests;
mod stamps;
mod turns;

use super::Server;
use super::cloudwatch::Monitoring;
use crate::account::{ACCOUNT, REGION};
use ferrokinesis::store::StoreOptions;
use futures::FutureExt as _;
use outage::Outage;
pub use outage::Refusal;
use request::REQUEST_BYTES_MAX;
use retention::Kept;
use std::sync::Arc;

/// Open shards of all streams together. AWS's quota is 20,000 in the large regions.
const SHARD_LIMIT: u32 = 10_000;
/// How long it takes to create, delete or reshard a stream, in milliseconds; AWS takes some seconds.
const TRANSITION_MS: u64 = 50;
/// How many bytes of records all streams keep together, as they are stored: half as much again as the records have.
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// How often expired records are dropped, in seconds.
const RETENTION_CHECK_SECONDS: u64 = 60;

/// A Kinesis server of this process. It ends when dropped.
pub struct Kinesis {
    server: Server,
    outage: Outage,
}

/// Starts a server on `port` (0 for a free one). Streams are in memory, and survive a [`stop`](Server::stop).
pub async fn start(port: u16) -> anyhow::Result<Kinesis> {
    start_monitored(port, Arc::default()).await
}

/// The same, with metrics reported to `monitoring`. Its clock also limits the `UpdateShardCount` calls of a day.
pub async fn start_monitored(port: u16, monitoring: Arc<Monitoring>) -> anyhow::Result<Kinesis> {
    start_with(port, options(), KEPT_BYTES_MAX, monitoring).await
}

fn options() -> StoreOptions {
    StoreOptions {
        create_stream_ms: TRANSITION_MS,
        delete_stream_ms: TRANSITION_MS,
        update_stream_ms: TRANSITION_MS,
        shard_limit: SHARD_LIMIT,
        retention_check_interval_secs: RETENTION_CHECK_SECONDS,
        enforce_limits: true,
        aws_account_id: ACCOUNT.into(),
        aws_region: REGION.into(),
        ..StoreOptions::default()
    }
}

async fn start_with(
    port: u16,
    options: StoreOptions,
    kept_bytes_max: u64,
    monitoring: Arc<Monitoring>,
) -> anyhow::Result<Kinesis> {
    let (app, store) = ferrokinesis::create_app(options);
    // The server's own limit, 2 MB, is the default of its web framework.
    let app = app.layer(axum::extract::DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    let outage = Outage::default();
    let kept = Arc::new(Kept::new(kept_bytes_max));
    let app = turns::with_turns(pages::with_pages(app, store.clone()), store, Arc::clone(&kept));
    let app = retention::with_true_periods(app, kept);
    let app = outage::with_outage(app, outage.clone());
    let app = resharding::with_lineage(app, monitoring.clock());
    let app = meter::with_meter(app, monitoring);
    let server = Server::start(port, move |socket, stopped| {
        let app = app.clone();
        async move {
            let stopped = async move { drop(stopped.await) };
            Ok(ferrokinesis::serve_plain_http(socket, app, stopped).await?)
        }
        .boxed()
    })
    .await?;
    Ok(Kinesis { server, outage })
}

impl Kinesis {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The server, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Refuses the writers of one stream until [`open`](Self::open).
    pub fn close(&self, stream: &str, refusal: Refusal) {
        self.outage.begin(stream, refusal);
    }

    /// Accepts the stream's writers again.
    pub fn open(&self, stream: &str) {
        self.outage.end(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::super::AwsEndpoints;
    use super::*;
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::PutRecordsRequestEntry;

    fn client(kinesis: &Kinesis) -> Client {
        Client::new(&AwsEndpoints::from([("kinesis", kinesis.endpoint())]).sdk_config())
    }

    async fn create(client: &Client, stream: &str) {
        client.create_stream().stream_name(stream).shard_count(1).send().await.unwrap();
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
    async fn records_survive_a_stop_during_which_requests_fail() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s").await;
        let put = || client.put_record().stream_name("s").partition_key("k").data(Blob::new("x")).send();
        let first = put().await.unwrap();

        kinesis.server().stop().await;
        assert!(put().await.is_err());

        kinesis.server().restart().await.unwrap();
        let iterator = client
            .get_shard_iterator()
            .stream_name("s")
            .shard_id(first.shard_id())
            .shard_iterator_type(aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon)
            .send()
            .await
            .unwrap();
        let records = client.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
        assert_eq!(records.records().first().unwrap().sequence_number(), first.sequence_number());
    }

    #[tokio::test]
    async fn a_closed_stream_refuses_records_and_other_streams_accept_them() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s").await;
        create(&client, "other").await;
        let put = |stream: &str| client.put_record().stream_name(stream).partition_key("k").data(Blob::new("x")).send();
        kinesis.close("s", Refusal::Fails);
        assert!(put("s").await.is_err());
        put("other").await.unwrap();
        kinesis.open("s");
        put("s").await.unwrap();
    }

    #[tokio::test]
    async fn a_denying_stream_accepts_half_of_a_call_and_nothing_of_the_next() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s").await;
        kinesis.close("s", Refusal::Denies);
        let put = |records: usize| {
            let entry = |index| {
                let data = Blob::new(format!("{index}"));
                PutRecordsRequestEntry::builder().partition_key("k").data(data).build().unwrap()
            };
            client.put_records().stream_name("s").set_records(Some((0..records).map(entry).collect())).send()
        };
        let answer = put(5).await.unwrap();
        let is_put: Vec<bool> = answer.records().iter().map(|record| record.sequence_number().is_some()).collect();
        assert_eq!((is_put, answer.failed_record_count()), (vec![true, false, true, false, true], Some(2)));
        let denied = put(2).await.unwrap_err().into_service_error();
        assert!(denied.is_access_denied_exception(), "{denied:?}");
        // The rest of a call succeeds eventually.
        assert_eq!(put(1).await.unwrap().failed_record_count(), Some(0));
        kinesis.open("s");
        assert_eq!(put(5).await.unwrap().failed_record_count(), Some(0));
    }

    #[tokio::test]
    async fn a_shard_accepts_a_mebibyte_a_second_and_throttles_the_rest() {
        let kinesis = start(0).await.unwrap();
        let client = client(&kinesis);
        create(&client, "s").await;
        let entry = |_| {
            let data = Blob::new(vec![0; 500 << 10]);
            PutRecordsRequestEntry::builder().partition_key("k").data(data).build().unwrap()
        };
        let put = client.put_records().stream_name("s").set_records(Some((0..4).map(entry).collect()));
        let failed = put.send().await.unwrap().failed_record_count().unwrap();
        assert!((1..4).contains(&failed), "{failed} of 4 were throttled");
    }
}
