//! Creates streams, tables and buckets in the embedded servers.

use crate::template::{Resolved, Resource, flag, integer};
use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_kinesis::types::StreamStatus;
use serde_json::Value;
use std::time::Duration;

/// Created by other modules: `functions`, `http_api`, `iot`, `monitoring`, `schedules` and `topics`.
const CREATED_ELSEWHERE: [&str; 7] = [
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
    "AWS::CloudWatch::Alarm",
    "AWS::IoT::TopicRule",
    "AWS::Scheduler::Schedule",
    "AWS::SNS::Topic",
    "AWS::SNS::Subscription",
];
/// Without effect on one machine: permissions, logs, consumers with a read capacity of their own, and what Athena asks by
/// (`myaku query` asks the lake here).
const WITHOUT_EFFECT: [&str; 12] = [
    "AWS::Athena::NamedQuery",
    "AWS::Athena::WorkGroup",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::SNS::TopicPolicy",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::IoT::Policy",
    "AWS::Kinesis::StreamConsumer",
];
/// How long a new stream may take to become active.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether people and tools use the names of resources of this kind.
pub(super) fn is_named(kind: &str) -> bool {
    // The name of a rule is in the topics of Basic Ingest.
    let kinds =
        ["AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::IoT::TopicRule"];
    kinds.contains(&kind)
}

pub(super) async fn create(resolved: &Resolved, config: &SdkConfig) -> Result<()> {
    for (id, resource) in &resolved.resources {
        match resource.kind.as_str() {
            "AWS::Kinesis::Stream" => stream(resource, config).await.with_context(|| id.clone())?,
            "AWS::DynamoDB::Table" => table(resource, config).await.with_context(|| id.clone())?,
            "AWS::S3::Bucket" => {
                let client = aws_sdk_s3::Client::new(config);
                client.create_bucket().bucket(&resource.physical_id).send().await.with_context(|| id.clone())?;
            }
            kind if CREATED_ELSEWHERE.contains(&kind) || WITHOUT_EFFECT.contains(&kind) => {}
            kind => bail!("{id}: {kind} does not run on this machine"),
        }
    }
    Ok(())
}

async fn stream(resource: &Resource, config: &SdkConfig) -> Result<()> {
    let client = aws_sdk_kinesis::Client::new(config);
    let name = &resource.physical_id;
    let shards = integer(&resource.properties["ShardCount"]).context("ShardCount is missing")?;
    client.create_stream().stream_name(name).shard_count(i32::try_from(shards)?).send().await?;
    let active = async {
        loop {
            let answer = client.describe_stream_summary().stream_name(name).send().await?;
            let status = answer.stream_description_summary.map(|summary| summary.stream_status);
            if status == Some(StreamStatus::Active) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let timed_out = || format!("the stream is not active after {} s", ACTIVE_TIMEOUT.as_secs());
    tokio::time::timeout(ACTIVE_TIMEOUT, active).await.with_context(timed_out)??;
    if let Some(hours) = integer(&resource.properties["RetentionPeriodHours"]).filter(|hours| *hours > 24) {
        let call = client.increase_stream_retention_period().stream_name(name);
        call.retention_period_hours(i32::try_from(hours)?).send().await?;
    }
    Ok(())
}

async fn table(resource: &Resource, config: &SdkConfig) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(config);
    let mut call = client.create_table().table_name(&resource.physical_id).billing_mode(BillingMode::PayPerRequest);
    for definition in list(&resource.properties["AttributeDefinitions"]) {
        let kind = ScalarAttributeType::from(text(definition, "AttributeType")?);
        let name = text(definition, "AttributeName")?;
        call = call
            .attribute_definitions(AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?);
    }
    for index in list(&resource.properties["GlobalSecondaryIndexes"]) {
        let projection = ProjectionType::from(text(&index["Projection"], "ProjectionType")?);
        let index = GlobalSecondaryIndex::builder()
            .index_name(text(index, "IndexName")?)
            .set_key_schema(Some(keys(index)?))
            .projection(Projection::builder().projection_type(projection).build());
        call = call.global_secondary_indexes(index.build()?);
    }
    call.set_key_schema(Some(keys(&resource.properties)?)).send().await?;
    let expiry = &resource.properties["TimeToLiveSpecification"];
    if flag(&expiry["Enabled"]) {
        let expiry = TimeToLiveSpecification::builder().attribute_name(text(expiry, "AttributeName")?).enabled(true);
        let call = client.update_time_to_live().table_name(&resource.physical_id);
        call.time_to_live_specification(expiry.build()?).send().await?;
    }
    Ok(())
}

/// The key schema of a table or an index.
fn keys(owner: &Value) -> Result<Vec<KeySchemaElement>> {
    let keys = list(&owner["KeySchema"]).map(|key| {
        let kind = KeyType::from(text(key, "KeyType")?);
        Ok(KeySchemaElement::builder().attribute_name(text(key, "AttributeName")?).key_type(kind).build()?)
    });
    keys.collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{name} is missing"))
}
