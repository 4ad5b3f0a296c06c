//! Sends messages over MQTT and to Kinesis, with real servers: every acknowledged message arrives, byte for byte.

use super::*;
use crate::evidence::stream;
use crate::fingerprint::Fingerprint;
use crate::traffic::{Fleet, Settings};
use myaku_local::servers::{AwsEndpoints, kinesis, mqtt};
use std::collections::BTreeMap;

const NOW: i64 = 1_795_218_892_020;
const PATIENCE: Duration = Duration::from_secs(30);
const STREAM: &str = "ingest";

fn counted(fingerprints: impl Iterator<Item = Fingerprint>) -> BTreeMap<Fingerprint, usize> {
    let mut counts = BTreeMap::new();
    for fingerprint in fingerprints {
        *counts.entry(fingerprint).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn the_fleets_messages_arrive_at_the_broker_and_on_the_stream() {
    let (broker, kinesis) = (mqtt::start(0).await.unwrap(), kinesis::start(0).await.unwrap());
    let mut tap = broker.tap().unwrap();
    let config = AwsEndpoints::from([("kinesis", kinesis.endpoint())]).sdk_config();
    let client = aws_sdk_kinesis::Client::new(&config);
    client.create_stream().stream_name(STREAM).shard_count(2).send().await.unwrap();
    // The producer repeats records that are refused while the stream is being created.
    let sender = Sender::connect(("127.0.0.1".to_owned(), broker.port()), 3, &config, STREAM, None).await.unwrap();
    let mut fleet = Fleet::new(Settings { seed: 8, devices: 40 });
    let messages = (0..).map(|number| fleet.next(NOW + number));
    let direct = |it: &Planned| !matches!(it.route, Route::Http | Route::Gateway);
    let messages = messages.filter(direct).take(600).collect::<Vec<_>>();
    for message in &messages {
        sender.send(message).await.unwrap();
    }
    let settled = sender.settle(PATIENCE).await.unwrap();
    assert_eq!(settled, Settled { acknowledged: 600, ..Settled::default() });

    let (over_mqtt, direct): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.route == Route::Mqtt);
    let mut published = Vec::new();
    while published.len() < over_mqtt.len() {
        let message = tokio::time::timeout(PATIENCE, tap.recv()).await.unwrap().unwrap();
        // The broker publishes lifecycle events of its clients as well.
        if !message.topic.starts_with("$aws/events/") {
            published.push((message.topic, message.payload.to_vec()));
        }
    }
    let mut expected = over_mqtt.iter().map(|message| (message.topic(), message.payload.clone())).collect::<Vec<_>>();
    expected.sort();
    published.sort();
    assert!(published == expected, "the broker saw other messages than were published");

    let contents = stream::read(&client, STREAM).await.unwrap();
    assert!(contents.stream_records < direct.len(), "{} records: nothing was aggregated", contents.stream_records);
    let found = counted(contents.records.iter().map(|record| Fingerprint::of_record(&record.data)));
    let sent = counted(direct.iter().map(|message| Fingerprint::of_record(&message.record(NOW))));
    assert!(found == sent, "the stream holds other records than were sent");
}

#[tokio::test]
async fn the_error_names_a_broker_that_does_not_answer() {
    let error = Mqtt::connect_within(("127.0.0.1".to_owned(), 1), 1, Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
