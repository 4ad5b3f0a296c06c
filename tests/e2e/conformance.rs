//! Runs the conformance suites of the ports to streams, states, progress and results against real servers.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use myaku::alert::cases;
use myaku::alert::cases::dynamodb::DynamoDbCases;
use myaku::ingest::command;
use myaku::ingest::command::DynamoDbCommands;
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::platform::redis::{Connection, Settings};
use myaku::results::dynamodb::DynamoDbResults;
use myaku::scaling::alarms::{MetricId, Statistic};
use myaku::scaling::reshard::alarms::CloudWatchAlarms;
use myaku::scaling::reshard::control::KinesisControl;
use myaku::scaling::reshard::ledger::DynamoDbLedger;
use myaku::scaling::reshard::metrics::{CloudWatchMetrics, Metrics as _, SeriesId, Span};
use myaku::scaling::reshard::{alarms, control, ledger, metrics};
use myaku::stream::guard;
use myaku::stream::guard::notes::dynamodb::DynamoDbNotes;
use myaku::stream::producer;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::{keyed, results};
use myaku_local::servers::{self, AwsEndpoints};
use std::collections::BTreeMap;
use std::time::Duration;

/// The beginning of an hour.
const HOUR_MS: i64 = 1_795_219_200_000;

/// Creates a table whose keys are strings.
pub(crate) async fn table(client: &aws_sdk_dynamodb::Client, name: &str, keys: &[&str]) -> anyhow::Result<()> {
    table_with_index(client, name, keys, None).await
}

/// Creates a table whose keys are strings, and an index with these keys and types.
pub(crate) async fn table_with_index(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
    keys: &[&str],
    index: Option<(&str, [(&str, ScalarAttributeType); 2])>,
) -> anyhow::Result<()> {
    let kinds = [KeyType::Hash, KeyType::Range];
    let key =
        |name: &str, kind: &KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind.clone()).build();
    let mut types: BTreeMap<&str, ScalarAttributeType> =
        keys.iter().map(|key| (*key, ScalarAttributeType::S)).collect();
    let mut call = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys.iter().zip(&kinds) {
        call = call.key_schema(key(name, kind)?);
    }
    if let Some((name, attributes)) = index {
        let mut index = GlobalSecondaryIndex::builder()
            .index_name(name)
            .projection(Projection::builder().projection_type(ProjectionType::All).build());
        for ((name, scalar), kind) in attributes.into_iter().zip(&kinds) {
            index = index.key_schema(key(name, kind)?);
            types.insert(name, scalar);
        }
        call = call.global_secondary_indexes(index.build()?);
    }
    for (name, scalar) in types {
        let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(scalar);
        call = call.attribute_definitions(definition.build()?);
    }
    call.send().await?;
    Ok(())
}

#[tokio::test]
async fn dynamodb_holds_cases() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    let due = ("due", [("queue", ScalarAttributeType::S), ("dueAt", ScalarAttributeType::N)]);
    table_with_index(&aws_sdk_dynamodb::Client::new(&config), "cases", &["case"], Some(due)).await?;
    cases::conformance::suite(&DynamoDbCases::new(&config, "cases", Duration::from_hours(1))).await;
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
async fn dynamodb_holds_progress() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    table(&aws_sdk_dynamodb::Client::new(&config), "progress", &["function", "stream"]).await?;
    keyed::progress::conformance::suite(&DynamoDbProgress::new(&config, "progress"), "test").await;
    Ok(())
}

#[tokio::test]
async fn dynamodb_holds_notes() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    table(&aws_sdk_dynamodb::Client::new(&config), "notes", &["function", "record"]).await?;
    guard::notes::conformance::suite(&DynamoDbNotes::new(&config, "notes")).await;
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
async fn redis_holds_the_state_of_windows() -> anyhow::Result<()> {
    let server = servers::redis::start(0).await?;
    let connection =
        Connection::connect(&Settings::node(&server.endpoint())?, &AwsEndpoints::default().sdk_config()).await?;
    keyed::states::conformance::suite(&RedisStates::new(connection, Duration::from_mins(1)), "bed").await;
    Ok(())
}

#[tokio::test]
async fn kinesis_is_a_stream() -> anyhow::Result<()> {
    let server = servers::kinesis::start(0).await?;
    let config = AwsEndpoints::from([("kinesis", server.endpoint())]).sdk_config();
    let client = aws_sdk_kinesis::Client::new(&config);
    client.create_stream().stream_name("ingest").shard_count(3).send().await?;
    let stream = KinesisStream::new(&config, "ingest");
    while producer::PutRecords::open_shards(&stream).await?.len() < 3 {
        tokio::task::yield_now().await;
    }
    producer::conformance::suite(&stream).await;
    Ok(())
}

#[tokio::test]
async fn kinesis_is_a_stream_whose_shards_change() -> anyhow::Result<()> {
    let server = servers::kinesis::start(0).await?;
    let config = AwsEndpoints::from([("kinesis", server.endpoint())]).sdk_config();
    let client = aws_sdk_kinesis::Client::new(&config);
    client.create_stream().stream_name("ingest").shard_count(2).send().await?;
    let stream = KinesisStream::new(&config, "ingest");
    while producer::PutRecords::open_shards(&stream).await?.len() < 2 {
        tokio::task::yield_now().await;
    }
    control::conformance::suite(&KinesisControl::new(&config, "ingest")).await;

    // A reader follows parents to their children: every shard except the first two has a parent.
    let shards = client.list_shards().stream_name("ingest").send().await?.shards.unwrap_or_default();
    let orphans = shards.iter().filter(|shard| shard.parent_shard_id().is_none()).count();
    assert_eq!(orphans, 2, "{shards:?}");
    Ok(())
}

#[tokio::test]
async fn kinesis_accepts_ten_calls_of_update_shard_count_a_day() -> anyhow::Result<()> {
    let server = servers::kinesis::start(0).await?;
    let config = AwsEndpoints::from([("kinesis", server.endpoint())]).sdk_config();
    aws_sdk_kinesis::Client::new(&config).create_stream().stream_name("ingest").shard_count(1).send().await?;
    let stream = KinesisControl::new(&config, "ingest");
    let mut answers = Vec::new();
    while answers.len() < 11 {
        let target = if answers.len() % 2 == 0 { 2 } else { 1 };
        match control::StreamControl::begin(&stream, &myaku::scaling::shards::Step::UpdateShardCount { target }).await?
        {
            control::Answer::Busy => tokio::task::yield_now().await,
            answer => answers.push(answer),
        }
    }
    assert!(answers[..10].iter().all(|answer| *answer == control::Answer::Begun), "{answers:?}");
    assert!(matches!(answers[10], control::Answer::Limited(_)), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn dynamodb_is_a_ledger() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    let key = KeySchemaElement::builder().attribute_name("stream").key_type(KeyType::Hash).build()?;
    let attribute = AttributeDefinition::builder().attribute_name("stream").attribute_type(ScalarAttributeType::S);
    let call = aws_sdk_dynamodb::Client::new(&config).create_table().table_name("ledger").key_schema(key);
    call.attribute_definitions(attribute.build()?).billing_mode(BillingMode::PayPerRequest).send().await?;
    ledger::conformance::suite(&DynamoDbLedger::new(&config, "ledger")).await;
    Ok(())
}

#[tokio::test]
async fn cloudwatch_keeps_alarms() -> anyhow::Result<()> {
    let server = servers::cloudwatch::start(0, std::sync::Arc::default()).await?;
    let config = AwsEndpoints::from([("cloudwatch", server.endpoint())]).sdk_config();
    alarms::conformance::suite(&CloudWatchAlarms::new(&config)).await;
    Ok(())
}

#[tokio::test]
async fn cloudwatch_returns_metrics_as_every_source_does() -> anyhow::Result<()> {
    let server = servers::cloudwatch::start(0, std::sync::Arc::default()).await?;
    let config = AwsEndpoints::from([("cloudwatch", server.endpoint())]).sdk_config();
    let client = aws_sdk_cloudwatch::Client::new(&config);
    let put = async |wanted: &SeriesId, begin_ms, value| {
        let MetricId { namespace, name, dimensions } = &wanted.metric;
        let dimension = |(name, value)| Dimension::builder().name(name).value(value).build();
        let time = aws_sdk_cloudwatch::primitives::DateTime::from_millis(begin_ms);
        let datum = MetricDatum::builder().metric_name(name).value(value).timestamp(time);
        let datum = datum.set_dimensions(Some(dimensions.iter().map(dimension).collect())).build();
        client.put_metric_data().namespace(namespace).metric_data(datum).send().await.expect("PutMetricData succeeds");
    };
    metrics::conformance::suite(&CloudWatchMetrics::new(&config), HOUR_MS, put).await;
    Ok(())
}

#[tokio::test]
async fn cloudwatch_returns_sums_by_the_minute_also_of_a_request_so_large_that_it_is_compressed() -> anyhow::Result<()>
{
    let server = servers::cloudwatch::start(0, std::sync::Arc::default()).await?;
    let config = AwsEndpoints::from([("cloudwatch", server.endpoint())]).sdk_config();
    let client = aws_sdk_cloudwatch::Client::new(&config);
    let minute = |n: i64| HOUR_MS + n * 60_000;
    let mut call = client.put_metric_data().namespace("Myaku");
    for n in 0..500 {
        let datum = MetricDatum::builder().metric_name("Readings").value(1.0);
        let time = aws_sdk_cloudwatch::primitives::DateTime::from_millis(minute(n % 2));
        call = call.metric_data(datum.timestamp(time).build());
    }
    call.send().await?;
    let metric = MetricId { namespace: "Myaku".to_owned(), name: "Readings".to_owned(), ..MetricId::default() };
    let wanted = [Statistic::Sum, Statistic::Maximum].map(|statistic| SeriesId { metric: metric.clone(), statistic });
    let span = Span { end_ms: minute(3), period_ms: 60_000, periods: 3 };
    let series = CloudWatchMetrics::new(&config).read(&wanted, span).await?;
    assert_eq!(series[0].values, [Some(250.0), Some(250.0), None]);
    assert_eq!(series[1].values, [Some(1.0), Some(1.0), None]);
    Ok(())
}
