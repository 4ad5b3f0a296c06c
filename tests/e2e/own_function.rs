//! The example of a function of one's own, in the template that `scripts/new_function` writes for it.

use crate::pipeline::stack_options;
use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use myaku::device::profile::ProfileDocument;
use myaku::device::registry::{Device, DynamoDb, MasterDataWriter as _, device_document, profile_document};
use myaku::ingest::message::Message;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Item, Limits, Placement, Producer};
use myaku_local::stack::Stack;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const DEVICE: &str = "cold-1";
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// How long the row may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_ones_own_runs_beside_the_others() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = tempfile::tempdir()?;
    let template = directory.path().join("template.yaml");
    let mut script = Command::new(root.join("scripts/new_function"));
    let written = script.args(["degree-hours", "--template"]).arg(&template).status()?;
    ensure!(written.success(), "scripts/new_function failed");
    let stack = Stack::up(myaku_local::stack::Options { template, ..stack_options(directory.path(), &[])? }).await?;
    let config = stack.sdk_config();

    let profile = std::fs::read(root.join("examples/degree-hours/profile.json"))?;
    let profile = ProfileDocument::parse(&profile).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let device = Device::new(DEVICE, "cold-room", Some("home-1"));
    let documents = [profile_document(&profile), device_document(&device)];
    let documents: Result<Vec<_>, _> = documents.into_iter().collect();
    let documents = documents.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    DynamoDb::new(&config, stack.physical_id("RegistryTable")?).put(&documents).await?;

    // Two degrees too warm for half an hour, in an hour that is over.
    let begin_ms = SystemClock.now_ms().div_euclid(HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
    let message = |(n, (minute, degrees)): (i64, (i64, u8))| Message {
        delivery_id: format!("7d0c-{n}"),
        device_id: DEVICE.to_owned(),
        facility: "home-1".to_owned(),
        kind: "climate".to_owned(),
        client_id: None,
        received_at: SystemClock.now_ms(),
        payload: format!(r#"{{"n":{n},"at":{},"t":{degrees}}}"#, begin_ms + minute * MINUTE_MS).into_bytes(),
        message_id: None,
        sender: None,
    };
    let messages = (0..).zip([(0, 10), (15, 10), (30, 5), (45, 5), (60, 5)]).map(message);
    let ingest = KinesisStream::new(&config, stack.physical_id("IngestStream")?);
    let producer = Producer::new(ingest, Placement::Shards, Limits::default());
    // One after the other: this rule takes readings in the order in which they come.
    for message in messages {
        producer.send(&[Item { key: DEVICE.to_owned(), data: message.to_json().into_bytes() }]).await?;
    }

    let table = stack.physical_id("ResultsTable")?;
    let client = aws_sdk_dynamodb::Client::new(&config);
    let row = tokio::time::timeout(PATIENCE, async {
        loop {
            let key = format!("degree-hours-history##{begin_ms:013}");
            let get = client.get_item().table_name(&table).key("deviceId", AttributeValue::S(DEVICE.to_owned()));
            if let Some(row) = get.key("item", AttributeValue::S(key)).send().await?.item {
                return anyhow::Ok(row);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let row = row.await.context("the hour has no row")??;
    let hour = row.get("metric:temperature").and_then(|metric| metric.as_m().ok()).context("no temperature")?;
    let number = |name: &str| hour.get(name).and_then(|value| value.as_n().ok()?.parse::<f64>().ok());
    assert_eq!(number("degreeHours").zip(number("knownSeconds")), Some((1.0, 3_600.0)), "{row:?}");
    stack.down().await;
    Ok(())
}
