//! The suites of the ports to streams, states and results, against the servers that their adapters are for.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use myaku::command::DynamoDbCommands;
use myaku::results::dynamodb::DynamoDbResults;
use myaku::stream::kinesis::KinesisStream;
use myaku::valkey::{Connection, Settings};
use myaku::window::state::redis::RedisStates;
use myaku::{command, results, stream, window};
use myaku_local::servers::{self, AwsEndpoints};
use std::time::Duration;

/// A table whose keys are texts.
async fn table(client: &aws_sdk_dynamodb::Client, name: &str, keys: &[&str]) -> anyhow::Result<()> {
    let mut call = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().copied().zip([KeyType::Hash, KeyType::Range]) {
        let text = ScalarAttributeType::S;
        call = call
            .attribute_definitions(AttributeDefinition::builder().attribute_name(key).attribute_type(text).build()?)
            .key_schema(KeySchemaElement::builder().attribute_name(key).key_type(kind).build()?);
    }
    call.send().await?;
    Ok(())
}

#[tokio::test]
async fn dynamodb_holds_results() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    table(&aws_sdk_dynamodb::Client::new(&config), "results", &["deviceId", "item"]).await?;
    results::conformance::suite(&DynamoDbResults::new(&config, "results"), "bed").await;
    Ok(())
}

#[tokio::test]
async fn dynamodb_holds_pending_commands() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    table(&aws_sdk_dynamodb::Client::new(&config), "commands", &["deviceId"]).await?;
    command::conformance::suite(&DynamoDbCommands::new(&config, "commands")).await;
    Ok(())
}

#[tokio::test]
async fn redis_holds_the_windows_state() -> anyhow::Result<()> {
    let server = servers::valkey::start(0).await?;
    let connection =
        Connection::connect(&Settings::node(&server.endpoint())?, &AwsEndpoints::default().sdk_config()).await?;
    window::state::conformance::suite(&RedisStates::new(connection, Duration::from_mins(1)), "bed").await;
    Ok(())
}

#[tokio::test]
async fn kinesis_is_a_stream() -> anyhow::Result<()> {
    let server = servers::kinesis::start(0).await?;
    let config = AwsEndpoints::from([("kinesis", server.endpoint())]).sdk_config();
    let client = aws_sdk_kinesis::Client::new(&config);
    client.create_stream().stream_name("ingest").shard_count(3).send().await?;
    let stream = KinesisStream::new(&config, "ingest");
    while stream::PutRecords::open_shards(&stream).await?.len() < 3 {
        tokio::task::yield_now().await;
    }
    stream::conformance::suite(&stream).await;
    Ok(())
}
