//! Master data and dead letters over the wire: DynamoDB, S3, and Redis as a cache in front of DynamoDB.

use crate::conformance::table_with_index;
use aws_sdk_dynamodb::types::ScalarAttributeType;
use myaku::device::registry::{self, Device, DynamoDb, Key, Kind, MasterData as _, MemoryMasterData, Shared};
use myaku::lake::dead_letter::{self, S3DeadLetters};
use myaku::platform::redis::{Connection, Settings};
use myaku_local::servers::{self, AwsEndpoints, Server};
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_892_020;
const TTL: Duration = Duration::from_secs(30);
const TABLE: &str = "registry";

async fn table(server: &Server) -> anyhow::Result<DynamoDb> {
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    let by_facility = ("facility", [("facility", ScalarAttributeType::S), ("pk", ScalarAttributeType::S)]);
    table_with_index(&aws_sdk_dynamodb::Client::new(&config), TABLE, &["pk"], Some(by_facility)).await?;
    Ok(DynamoDb::new(&config, TABLE))
}

async fn redis(server: &servers::redis::RedisServer) -> anyhow::Result<Connection> {
    let config = AwsEndpoints::default().sdk_config();
    Ok(Connection::connect(&Settings::node(&server.endpoint())?, &config).await?)
}

#[tokio::test]
async fn dynamodb_holds_master_data_as_every_store_does() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let store = table(&server).await?;
    registry::conformance::suite(&store, &store).await;
    let server = servers::dynamodb::start(0).await?;
    let store = table(&server).await?;
    registry::conformance::directory_suite(&store, &store).await;
    Ok(())
}

#[tokio::test]
async fn master_data_read_through_redis_is_the_same() -> anyhow::Result<()> {
    let (dynamodb, valkey) = (servers::dynamodb::start(0).await?, servers::redis::start(0).await?);
    let store = table(&dynamodb).await?;
    let shared = Shared::new(store.clone(), Some(redis(&valkey).await?), TTL);
    registry::conformance::suite(&shared, &store).await;
    Ok(())
}

#[tokio::test]
async fn what_one_function_has_read_is_cached_for_the_next_one_until_it_expires() -> anyhow::Result<()> {
    let valkey = servers::redis::start(0).await?;
    let (one, other) = (MemoryMasterData::new(), MemoryMasterData::new());
    let (bed, unregistered) = (Key::new(Kind::Device, "bed-1"), Key::new(Kind::Device, "bed-2"));
    one.put_device(&Device::new(&bed.id, "vital", None));
    let keys = [bed.clone(), unregistered.clone()];
    let read = Shared::new(&one, Some(redis(&valkey).await?), TTL).read(&keys, NOW_MS).await?;

    let next = Shared::new(&other, Some(redis(&valkey).await?), TTL);
    // Absence is cached for ten seconds, presence for thirty, both from the first read on.
    assert_eq!(next.read(&keys, NOW_MS + 9_999).await?, read);
    assert!(other.reads().is_empty());
    next.read(&keys, NOW_MS + 10_000).await?;
    assert_eq!(other.reads(), [vec![unregistered]]);
    assert_eq!(next.read(std::slice::from_ref(&bed), NOW_MS + 30_000).await?[&bed].document, None);
    Ok(())
}

#[tokio::test]
async fn when_redis_is_down_the_store_is_read_and_the_answer_is_the_same() -> anyhow::Result<()> {
    let valkey = servers::redis::start(0).await?;
    let store = MemoryMasterData::new();
    let shared = Shared::new(&store, Some(redis(&valkey).await?), TTL);
    let keys = [Key::new(Kind::Device, "bed-1")];
    shared.read(&keys, NOW_MS).await?;
    valkey.kill().await?;
    for _ in 0..3 {
        assert!(shared.read(&keys, NOW_MS).await?.contains_key(&keys[0]));
    }
    assert_eq!(store.reads().len(), 4);
    Ok(())
}

#[tokio::test]
async fn s3_holds_dead_letters_as_every_store_does() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let server = servers::s3::start(0, directory.path()).await?;
    let config = AwsEndpoints::from([("s3", server.endpoint())]).sdk_config();
    let client =
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    client.create_bucket().bucket("dead-letters").send().await?;
    dead_letter::conformance::suite(&S3DeadLetters::new(&config, "dead-letters")).await;
    Ok(())
}
