//! Tests the way from MQTT to the stream over real wire protocols, with a template that has no functions.

mod ways_in;

use super::*;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const TEMPLATE: &str = r#"
Parameters:
  RedisUrl: { Type: String, Default: "" }
Resources:
  Ingest: { Type: AWS::Kinesis::Stream, Properties: { ShardCount: 2 } }
  Letters: { Type: AWS::S3::Bucket }
  Rule:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        AwsIotSqlVersion: "2016-03-23"
        Sql: >-
          SET @id = newuuid()
          SELECT @id AS deliveryId, topic(4) AS deviceId, clientid() AS clientId, timestamp() AS receivedAt,
          encode(*, 'base64') AS payload FROM 'dt/myaku/+/+/+'
        Actions: [{ Kinesis: { StreamName: !Ref Ingest, PartitionKey: "${@id}", RoleArn: role } }]
        ErrorAction: { S3: { BucketName: !Ref Letters, Key: "rule-errors/${@id}.json", RoleArn: role } }
"#;
/// How long a test waits for anything, on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_mins(1);

async fn up(template: &str) -> (tempfile::TempDir, Result<Stack>) {
    up_with(template, |_| ()).await
}

async fn up_with(template: &str, change: impl FnOnce(&mut Options)) -> (tempfile::TempDir, Result<Stack>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("template.yaml");
    std::fs::write(&path, template).unwrap();
    let mut options = Options {
        template: path,
        parameters: BTreeMap::new(),
        binaries: directory.path().join("binaries"),
        directory: directory.path().join("run"),
        ports: Ports::default(),
        time_scale: 1.0,
        timeout_max: None,
    };
    change(&mut options);
    (directory, Stack::up(options).await)
}

fn device(stack: &Stack, id: &str) -> AsyncClient {
    let address = stack.endpoints().mqtt;
    let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
    options.set_inflight(1000);
    let (client, mut events) = AsyncClient::new(options, 1000);
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    client
}

/// Reads the stream from its beginning until there are `count` records.
async fn records(stack: &Stack, count: usize) -> Vec<Record> {
    records_until(stack, |records| records.len() >= count).await
}

async fn records_until(stack: &Stack, enough: impl Fn(&[Record]) -> bool) -> Vec<Record> {
    let client = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let stream = stack.physical_id("Ingest").unwrap();
    let mut iterators = Vec::new();
    for shard in client.list_shards().stream_name(&stream).send().await.unwrap().shards() {
        let iterator = client.get_shard_iterator().stream_name(&stream).shard_id(shard.shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        iterators.push(iterator.shard_iterator.unwrap());
    }
    let mut records = Vec::new();
    let read = async {
        while !enough(&records) {
            for iterator in &mut iterators {
                let read = client.get_records().shard_iterator(&*iterator).send().await.unwrap();
                *iterator = read.next_shard_iterator.unwrap();
                records.extend(read.records);
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
    assert!(in_time, "only {} records arrived in time", records.len());
    records
}

async fn until(expected: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect(expected);
}

fn json(record: &Record) -> Value {
    serde_json::from_slice(record.data().as_ref()).unwrap()
}

#[tokio::test]
async fn a_published_message_becomes_a_record_with_its_bytes_and_its_client() {
    let (_directory, stack) = up(TEMPLATE).await;
    let stack = stack.unwrap();
    let client = device(&stack, "gw-3");
    let rule = stack.physical_id("Rule").unwrap();
    let binary = [0xff, 0x00, b'"'];
    for topic in ["dt/myaku/home-3/bed-17/vital".into(), format!("$aws/rules/{rule}/dt/myaku/home-3/bed-17/vital")] {
        client.publish(topic, QoS::AtLeastOnce, false, binary).await.unwrap();
    }
    for record in records(&stack, 2).await {
        let message = json(&record);
        assert_eq!(message["deviceId"], "bed-17");
        assert_eq!(message["clientId"], "gw-3");
        assert_eq!(message["payload"], STANDARD.encode(binary));
        assert_eq!(message["deliveryId"].as_str(), record.partition_key());
    }
    stack.down().await;
}

#[tokio::test]
async fn a_message_that_the_stream_keeps_refusing_goes_to_the_error_action_with_its_original_payload() {
    let (_directory, stack) = up(TEMPLATE).await;
    let stack = stack.unwrap();
    stack.servers().kinesis.server().stop().await;
    device(&stack, "gw-3").publish("dt/myaku/h/d/k", QoS::AtLeastOnce, false, "lost?").await.unwrap();
    until("the rule tries the message for some seconds", || !stack.rules_are_idle()).await;
    let objects = aws_sdk_s3::Client::new(&stack.sdk_config());
    let bucket = stack.physical_id("Letters").unwrap();
    let key = async {
        loop {
            let list = objects.list_objects_v2().bucket(&bucket).prefix("rule-errors/").send().await.unwrap();
            if let Some(object) = list.contents().first() {
                break object.key().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let key = tokio::time::timeout(PATIENCE, key).await.expect("the error action runs");
    let object = objects.get_object().bucket(&bucket).key(&key).send().await.unwrap();
    let letter: Value = serde_json::from_slice(&object.body.collect().await.unwrap().into_bytes()).unwrap();
    assert_eq!(letter["base64OriginalPayload"], STANDARD.encode("lost?"));
    assert_eq!(letter["topic"], "dt/myaku/h/d/k");
    assert_eq!(letter["clientId"], "gw-3");
    assert_eq!(letter["failures"][0]["failedAction"], "KinesisAction");
    until("the rules become idle", || stack.rules_are_idle()).await;
    stack.down().await;
}

#[tokio::test]
async fn every_message_of_a_burst_arrives() {
    const MESSAGES: usize = 1500;
    let (_directory, stack) = up(TEMPLATE).await;
    let stack = stack.unwrap();
    let client = device(&stack, "gw-3");
    for n in 0..MESSAGES {
        client.publish(format!("dt/myaku/h/d{n}/k"), QoS::AtLeastOnce, false, vec![b'x'; 1000]).await.unwrap();
    }
    // At least once: on a busy machine, the rule repeats a put whose answer comes late.
    let devices = |records: &[Record]| -> BTreeSet<_> {
        records.iter().map(|record| json(record)["deviceId"].to_string()).collect()
    };
    records_until(&stack, |records| devices(records).len() == MESSAGES).await;
    assert_eq!(stack.messages_dropped(), 0);
    stack.down().await;
}

#[tokio::test]
async fn a_single_message_does_not_wait_for_others() {
    let (_directory, stack) = up(TEMPLATE).await;
    let stack = stack.unwrap();
    let client = device(&stack, "gw-3");
    for sent in 1..=10 {
        client.publish("dt/myaku/h/d/k", QoS::AtLeastOnce, false, "x").await.unwrap();
        // The next message is sent only after this one has arrived.
        records(&stack, sent).await;
    }
    stack.down().await;
}

#[tokio::test]
async fn topics_are_created_with_their_subscriptions() {
    let topics = "  Mailed:
    Type: AWS::SNS::Topic
    Properties: { DisplayName: Alarms, Subscription: [{ Protocol: email, Endpoint: a@b.example }] }
  More: { Type: AWS::SNS::Subscription, Properties: { TopicArn: !Ref Mailed, Protocol: email, Endpoint: c@d.example } }\n";
    let (_directory, stack) = up(&format!("{TEMPLATE}{topics}")).await;
    let stack = stack.unwrap();
    let arn = stack.physical_id("Mailed").unwrap();
    let client = aws_sdk_sns::Client::new(&stack.sdk_config());
    client.publish().topic_arn(&arn).message("hello").send().await.unwrap();
    let topics = stack.servers().sns.topics();
    assert_eq!(topics.messages(&arn).unwrap()[0].publication.message, "hello");
    let subscribed: Vec<_> = topics.subscriptions(&arn).unwrap().iter().map(|it| it.endpoint.address()).collect();
    assert_eq!(subscribed, ["a@b.example", "c@d.example"]);
    stack.down().await;
}

#[tokio::test]
async fn an_error_names_the_resource_that_cannot_be_brought_up() {
    let function = "  Worker: { Type: AWS::Serverless::Function, Metadata: { BuildProperties: { Binary: worker } } }\n";
    let (_directory, stack) = up(&format!("{TEMPLATE}{function}")).await;
    let error = format!("{:#}", stack.err().unwrap());
    assert!(error.starts_with("Worker: ") && error.contains("make build"), "{error}");
    let filtered = "  Topic: { Type: AWS::SNS::Topic }
  Mails:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref Topic, Protocol: email, Endpoint: a@b.example, FilterPolicy: {} }\n";
    let (_directory, stack) = up(&format!("{TEMPLATE}{filtered}")).await;
    assert_eq!(format!("{:#}", stack.err().unwrap()), "Mails: FilterPolicy does not run on this machine");
    let (_directory, stack) = up(&format!("{TEMPLATE}  Queue: {{ Type: AWS::SQS::Queue }}\n")).await;
    assert_eq!(format!("{:#}", stack.err().unwrap()), "Queue: AWS::SQS::Queue does not run on this machine");
}
