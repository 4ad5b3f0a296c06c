//! Every way to invoke a function, through the local runner. The archiver accepts only Kinesis batches, so it fails on
//! all of these events: each must end in its on-failure destination, unchanged.

use super::pipeline::binaries;
use anyhow::Context as _;
use myaku_local::servers::sns::Publication;
use myaku_local::stack::{self, Stack};
use rumqttc::{AsyncClient, MqttOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const TEMPLATE: &str = r#"
Parameters:
  RedisUrl: { Type: String, Default: "" }
Resources:
  Letters: { Type: AWS::S3::Bucket }
  Topic: { Type: AWS::SNS::Topic }
  Api: { Type: AWS::Serverless::HttpApi }
  Archiver:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: archiver } }
    Properties:
      Timeout: 30
      Environment: { Variables: { LAKE_BUCKET: lake, HEADS_TABLE: heads, NOTES_TABLE: notes, DEAD_LETTER_BUCKET: dead } }
      EventInvokeConfig: { DestinationConfig: { OnFailure: { Type: S3Bucket, Destination: !GetAtt Letters.Arn } } }
      Events:
        Published: { Type: SNS, Properties: { Topic: !Ref Topic } }
        Due: { Type: Schedule, Properties: { Schedule: rate(1 minute) } }
        Asked: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: POST, Path: /messages } }
  Rule:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        AwsIotSqlVersion: "2016-03-23"
        Sql: SELECT * FROM '$aws/events/presence/connected/+'
        Actions: [{ Lambda: { FunctionArn: !GetAtt Archiver.Arn } }]
"#;
/// A minute takes half a second. The longest wait of an event takes three minutes: more than the slowest machine needs.
const TIME_SCALE: f64 = 120.0;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn up(directory: &Path) -> anyhow::Result<Stack> {
    let template = directory.join("template.yaml");
    std::fs::write(&template, TEMPLATE)?;
    Stack::up(stack::Options {
        template,
        parameters: BTreeMap::new(),
        binaries: binaries()?,
        directory: directory.join("run"),
        ports: stack::Ports::default(),
        time_scale: TIME_SCALE,
        timeout_max: None,
    })
    .await
}

/// The first record in the bucket whose event is the one that `is_it` accepts.
async fn failure_record(stack: &Stack, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let client = aws_sdk_s3::Client::new(&stack.sdk_config());
    let bucket = stack.physical_id("Letters")?;
    let prefix = format!("aws/lambda/async/{}/", stack.physical_id("Archiver")?);
    let look = async {
        loop {
            let list = client.list_objects_v2().bucket(&bucket).prefix(&prefix).send().await?;
            for key in list.contents().iter().filter_map(|object| object.key()) {
                let object = client.get_object().bucket(&bucket).key(key).send().await?;
                let record: Value = serde_json::from_slice(&object.body.collect().await?.into_bytes())?;
                if is_it(&record["requestPayload"]) {
                    return anyhow::Ok(record);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.context("the event did not arrive in the bucket")?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_is_tried_three_times_and_stored_unchanged_for_every_way_in() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up(directory.path()).await?;

    stack.servers().sns.topics().publish(&stack.physical_id("Topic")?, Publication::new("hello"))?;
    let published = failure_record(&stack, |event| event["Records"][0]["Sns"]["Message"] == "hello").await?;
    assert_eq!(published["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(published["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(published["responseContext"]["functionError"], "Unhandled");

    failure_record(&stack, |event| event["detail-type"] == "Scheduled Event").await?;

    let broker = stack.endpoints().mqtt;
    let (_client, mut events) =
        AsyncClient::new(MqttOptions::new("bed-17", broker.ip().to_string(), broker.port()), 10);
    let connection = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    failure_record(&stack, |event| event["eventType"] == "connected" && event["clientId"] == "bed-17").await?;
    connection.abort();

    // A request is answered at once, and is not stored.
    let api = stack.endpoints().http.context("there is no API")?;
    let answer = reqwest::Client::new().post(format!("{api}/messages")).body("{}").send().await?;
    assert_eq!(answer.status().as_u16(), 500);
    assert_eq!(serde_json::from_str::<Value>(&answer.text().await?)?, json!({ "message": "Internal Server Error" }));
    stack.down().await;
    Ok(())
}
