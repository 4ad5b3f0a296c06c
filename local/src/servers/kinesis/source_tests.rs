//! The Kinesis source against an embedded server, over the wire protocol and in real time.

use crate::clock::TokioClock;
use crate::event_source::{Discarded, Mapping, OnFailure, Settings, StartingPosition};
use crate::function::InvokeError;
use crate::function::Invoker;
use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{Credentials, Region, SharedCredentialsProvider};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ScalingType, StreamStatus};
use bytes::Bytes;
use ferrokinesis::store::StoreOptions;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::Batch;
use myaku::stream::source::kinesis::KinesisSource;
use myaku::stream::source::{ReadFrom, Source as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const STREAM: &str = "ingest";

/// A server with one stream, and a client.
async fn stream(shards: i32, iterator_ttl_seconds: u64) -> (SdkConfig, Client) {
    let options = StoreOptions {
        create_stream_ms: 0,
        update_stream_ms: 0,
        shard_limit: 100,
        iterator_ttl_seconds,
        ..StoreOptions::default()
    };
    let (app, _) = ferrokinesis::create_app(options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(ferrokinesis::serve_plain_http(listener, app, std::future::pending()));
    let credentials = Credentials::new("local", "local", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let client = Client::new(&config);
    client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
    active(&client).await;
    (config, client)
}

async fn active(client: &Client) {
    loop {
        let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        if summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
            return;
        }
    }
}

/// Puts numbers under ten keys, one call after the other.
async fn put(client: &Client, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let data = Blob::new(number.to_string());
        let key = format!("key-{}", number % 10);
        client.put_record().stream_name(STREAM).partition_key(key).data(data).send().await.unwrap();
    }
}

/// Records the batches that it is invoked with.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Batch>>>);

impl Invoker for Recorder {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        self.0.lock().unwrap().push(Batch::from_event(event).unwrap());
        Ok(Bytes::from_static(b"{}"))
    }
}

struct NoDestination;

impl OnFailure for NoDestination {
    async fn send(&self, _: &Discarded) -> Result<(), RemoteError> {
        panic!("nothing fails here")
    }
}

#[tokio::test]
async fn every_record_arrives_once_and_in_order_through_splits_merges_and_new_shard_counts() {
    let (config, client) = stream(2, 300).await;
    let arn = format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}");
    let mut settings = Settings::new("id", &arn, "arn:function", StartingPosition::TrimHorizon);
    settings.poll_interval = Duration::from_millis(20);
    settings.read_interval = Duration::from_millis(20);
    settings.list_interval = Duration::from_millis(50);
    let (recorder, clock) = (Recorder::default(), TokioClock::start());
    let source = KinesisSource::new(&config, STREAM);
    let mapping = Mapping::new(settings, source, recorder.clone(), NoDestination, clock, 1).unwrap();
    let handle = mapping.handle();
    let task = tokio::spawn(mapping.run());

    put(&client, 0..50).await;
    let shards = KinesisSource::new(&config, STREAM).shards().await.unwrap();
    let middle = shards[0].hash_keys.1 / 2;
    let split = client.split_shard().stream_name(STREAM).shard_to_split(&shards[0].id);
    split.new_starting_hash_key(middle.to_string()).send().await.unwrap();
    active(&client).await;
    put(&client, 50..100).await;
    let shards = KinesisSource::new(&config, STREAM).shards().await.unwrap();
    let children: Vec<_> = shards.iter().filter(|shard| !shard.parents.is_empty()).map(|shard| &shard.id).collect();
    let merge = client.merge_shards().stream_name(STREAM).shard_to_merge(children[0]);
    merge.adjacent_shard_to_merge(children[1]).send().await.unwrap();
    active(&client).await;
    put(&client, 100..150).await;
    let resize = client.update_shard_count().stream_name(STREAM).target_shard_count(4);
    resize.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
    active(&client).await;
    put(&client, 150..200).await;
    assert!(handle.caught_up(myaku::platform::clock::Now::now_ms(&clock)).await);
    handle.stop();
    task.await.unwrap();

    let batches = recorder.0.lock().unwrap();
    let mut by_key = BTreeMap::<_, Vec<u32>>::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        by_key.entry(&*record.partition_key).or_default().push(String::from_utf8_lossy(&record.data).parse().unwrap());
    }
    let expected = |key: u32| (0..200).filter(|number| number % 10 == key).collect::<Vec<_>>();
    for key in 0..10 {
        assert_eq!(by_key[format!("key-{key}").as_str()], expected(key));
    }
    assert!(batches.iter().all(|batch| batch.stream == STREAM && batch.shard.starts_with("shardId-")));
    assert!(handle.status().shards.values().filter(|shard| shard.ended).count() >= 5);
}

#[tokio::test]
async fn an_expired_iterator_is_renewed_at_its_position() {
    let (config, client) = stream(1, 1).await;
    put(&client, 0..2).await;
    let source = KinesisSource::new(&config, STREAM);
    let mut cursor = source.open("shardId-000000000000", ReadFrom::TrimHorizon).await.unwrap();
    assert_eq!(source.read(&mut cursor, 1).await.unwrap().records[0].data, &b"0"[..]);
    // A clone has the same iterator. It reads until the iterator expires.
    loop {
        let mut probe = cursor.clone();
        if source.read(&mut probe, 1).await.is_err() {
            break;
        }
    }
    assert!(source.read(&mut cursor, 1).await.is_err());
    assert_eq!(source.read(&mut cursor, 1).await.unwrap().records[0].data, &b"1"[..]);
}

#[tokio::test]
async fn records_that_arrive_while_an_iterator_at_latest_expires_are_not_skipped() {
    let (config, client) = stream(1, 1).await;
    put(&client, 0..1).await;
    let source = KinesisSource::new(&config, STREAM);
    let mut cursor = source.open("shardId-000000000000", ReadFrom::Latest).await.unwrap();
    // The server's arrival times are whole seconds, and `AT_TIMESTAMP` compares with them.
    let ReadFrom::AtTimestamp(opened_ms) = cursor.at else { panic!("{:?}", cursor.at) };
    while SystemClock.now_ms() / 1_000 <= opened_ms / 1_000 {
        tokio::task::yield_now().await;
    }
    put(&client, 1..2).await;
    loop {
        let mut probe = cursor.clone();
        if source.read(&mut probe, 10).await.is_err() {
            break;
        }
    }
    assert!(source.read(&mut cursor, 10).await.is_err());
    assert_eq!(source.read(&mut cursor, 10).await.unwrap().records[0].data, &b"1"[..]);
}

#[tokio::test]
async fn more_records_than_one_read_returns_arrive_in_several() {
    let (config, client) = stream(1, 300).await;
    let entry = |number: usize| {
        let entry = PutRecordsRequestEntry::builder().partition_key("key").data(Blob::new(number.to_string()));
        entry.build().unwrap()
    };
    client.put_records().stream_name(STREAM).set_records(Some((0..25).map(entry).collect())).send().await.unwrap();
    let source = KinesisSource::new(&config, STREAM);
    let mut cursor = source.open("shardId-000000000000", ReadFrom::TrimHorizon).await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let read = source.read(&mut cursor, 10).await.unwrap();
        assert!(!read.ended);
        if read.records.is_empty() {
            break;
        }
        sizes.push(read.records.len());
    }
    assert_eq!(sizes, [10, 10, 5]);
}
