//! Kinesis Data Streams: every operation, with the throughput limits of each shard enforced.
//!
//! One thing differs from AWS: times of arrival are cut to whole seconds, so that a record can seem to have arrived up to
//! a second before it was sent.

mod meter;
mod outage;
mod resharding;
#[cfg(test)]
mod source_tests;
mod turns;

use super::Server;
use super::cloudwatch::Monitoring;
use crate::account::{ACCOUNT, REGION};
use ferrokinesis::store::StoreOptions;
use futures::FutureExt as _;
use outage::Outage;
pub use outage::Refusal;
use std::sync::Arc;

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
    server: Server,
    outage: Outage,
}

/// Starts a server on `port`, or on a free one for 0. Streams live in memory, and live through a [`stop`](Server::stop).
pub async fn start(port: u16) -> anyhow::Result<Kinesis> {
    start_monitored(port, Arc::default()).await
}

/// The same, telling `monitoring` what passes, by whose clock the calls of a day are counted.
pub async fn start_monitored(port: u16, monitoring: Arc<Monitoring>) -> anyhow::Result<Kinesis> {
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
    let app = app.layer(axum::extract::DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    let outage = Outage::default();
    let app = outage::with(outage.clone(), turns::in_turns(app));
    let app = resharding::with_lineage(app, monitoring.clock());
    let app = meter::metered(app, monitoring);
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

    /// The server of all streams, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Refuses the writers of one stream, by its name, until [`open`](Self::open).
    pub fn close(&self, stream: &str, refusal: Refusal) {
        self.outage.begin(stream, refusal);
    }

    /// Lets the stream's writers in again.
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
    async fn records_live_through_a_stop_and_nobody_is_served_meanwhile() {
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
    async fn a_stream_that_is_closed_takes_no_records_and_others_do() {
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
    async fn a_stream_that_denies_takes_half_of_a_call_and_nothing_of_the_next() {
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
        // What is left of a call gets in some time.
        assert_eq!(put(1).await.unwrap().failed_record_count(), Some(0));
        kinesis.open("s");
        assert_eq!(put(5).await.unwrap().failed_record_count(), Some(0));
    }

    #[tokio::test]
    async fn a_shard_takes_a_mebibyte_a_second_and_throttles_beyond() {
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
