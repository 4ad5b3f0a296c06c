//! A record that ends its invocations, and a store that is down: the first is set aside, and the second loses nothing.

use crate::pipeline::{options, up_with};
use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use myaku::ingest::message::Message;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::guard::CRASHES_MAX;
use myaku_demo::evidence::Evidence;
use myaku_demo::steps;
use myaku_local::servers::kinesis::Refusal;
use myaku_local::stack::Stack;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// One shard, so that every record comes after the first one.
const PARAMETERS: [(&str, &str); 2] = [("IngestShards", "1"), ("ReadingsShards", "1")];
/// How long the shard may wait for a record that ends its invocations.
const DELAY_MAX: Duration = Duration::from_mins(5);
/// How long an outage lasts at most: until more invocations handled a suspect than a record may end.
const OUTAGE_MAX: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(10);
/// The number of messages.
const MESSAGES: usize = 8;

/// A stack with one device for each message.
struct World {
    stack: Stack,
    _directory: tempfile::TempDir,
    began_ms: i64,
    /// The sequence numbers of the messages, in order.
    sequences: Vec<String>,
    messages: Vec<String>,
}

impl World {
    async fn up() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let stack = up_with(directory.path(), &PARAMETERS).await?;
        Ok(Self {
            stack,
            _directory: directory,
            began_ms: SystemClock.now_ms(),
            sequences: Vec::new(),
            messages: Vec::new(),
        })
    }

    /// Puts one message of each device on the stream of messages, in one call.
    async fn send(&mut self) -> anyhow::Result<()> {
        let (fleet, _) = steps::register(&self.stack, &options(13)).await?;
        let bands = fleet.registrations().filter(|it| it.profile == "vital-band");
        let devices: Vec<_> = bands.map(|it| it.device.clone()).take(MESSAGES).collect();
        ensure!(devices.len() == MESSAGES, "the fleet has only {} bands", devices.len());
        let now_ms = SystemClock.now_ms();
        let message = |device: &String| Message {
            delivery_id: format!("delivery-{device}"),
            device_id: device.clone(),
            facility: "home-1".to_owned(),
            kind: "vital".to_owned(),
            client_id: None,
            received_at: now_ms,
            payload: format!(r#"{{"id":"m1","ts":{},"vital":{{"hr":61,"spo2":"97","temp":98.2}}}}"#, now_ms / 1_000)
                .into_bytes(),
            message_id: None,
            sender: None,
        };
        self.messages = devices.iter().map(|device| message(device).to_json()).collect();
        let entry = |message: &String| {
            PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new(message.as_bytes())).build()
        };
        let entries = self.messages.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let client = aws_sdk_kinesis::Client::new(&self.stack.sdk_config());
        let stream = self.stack.physical_id("IngestStream")?;
        let answer = client.put_records().stream_name(stream).set_records(Some(entries)).send().await?;
        self.sequences = answer.records.into_iter().filter_map(|record| record.sequence_number).collect();
        ensure!(self.sequences.len() == MESSAGES && self.sequences.is_sorted(), "{:?}", self.sequences);
        Ok(())
    }

    /// The invocations of a function that are noted for the first message.
    async fn noted(&self, function: &str) -> anyhow::Result<BTreeSet<String>> {
        let client = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config());
        let scan = client.scan().table_name(self.stack.physical_id("NotesTable")?).send().await?;
        let is_first = |item: &std::collections::HashMap<String, AttributeValue>| {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
            text("function") == function && text("record").ends_with(&format!("/{}", self.sequences[0]))
        };
        let notes = scan.items().iter().filter(|item| is_first(item));
        let invocations = notes.filter_map(|item| item.get("invocations")?.as_ss().ok());
        Ok(invocations.flatten().cloned().collect())
    }

    async fn evidence(&self) -> anyhow::Result<Evidence> {
        steps::quiet(&self.stack).await?;
        Box::pin(steps::gather(&self.stack, Vec::new(), self.began_ms)).await
    }

    /// The devices that have readings.
    fn devices_of(evidence: &Evidence) -> BTreeSet<&str> {
        evidence.readings.iter().map(|reading| reading.key.as_str()).collect()
    }
}

/// Kills each invocation that has noted the first message, until enough have ended for it to be set aside.
async fn kill_its_invocations(world: &World) -> anyhow::Result<()> {
    let transform = world.stack.function("TransformFunction")?;
    let mut killed = BTreeSet::new();
    while killed.len() < CRASHES_MAX {
        let noted = world.noted("transform").await?;
        if noted.is_superset(&killed) && noted.len() > killed.len() {
            transform.kill_one().context("no process handles the message that was just noted")?;
            killed = noted;
        }
        sleep(POLL).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_ends_its_invocations_is_set_aside_and_its_shard_goes_on() -> anyhow::Result<()> {
    let mut world = World::up().await?;
    let readings = world.stack.physical_id("ReadingsStream")?;
    // transform waits for the stream of readings for seconds, in which its process can be killed.
    world.stack.servers().kinesis.close(&readings, Refusal::Fails);
    world.send().await?;
    let began = Instant::now();
    timeout(DELAY_MAX, kill_its_invocations(&world)).await.context("the message was not noted often enough")??;
    world.stack.servers().kinesis.open(&readings);
    let evidence = world.evidence().await?;
    let delay = began.elapsed();
    assert!(delay < DELAY_MAX, "{delay:?}");
    println!("the shard waited {delay:?}");

    let [letter] = evidence.letters.as_slice() else { panic!("{:?}", evidence.letters) };
    assert_eq!(letter.reason, "crashed");
    assert!(letter.key.contains(&world.sequences[0]), "{}", letter.key);
    let set_aside: Vec<_> = world.messages[1..].iter().map(|message| device_of(message)).collect();
    assert_eq!(
        World::devices_of(&evidence),
        set_aside.iter().map(String::as_str).collect(),
        "the others are processed"
    );
    assert!(evidence.audit.clean, "the archiver is not concerned: {:?}", evidence.audit.findings);
    assert!(world.noted("transform").await?.is_empty());
    assert!(world.stack.mapping_status().iter().all(|mapping| mapping.discarded == 0));
    assert_eq!(world.stack.function("TransformFunction")?.stats().crashes as usize, CRASHES_MAX);
    world.stack.down().await;
    Ok(())
}

fn device_of(message: &str) -> String {
    Message::parse(message.as_bytes()).map(|message| message.device_id).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_loses_nothing_and_sets_nothing_aside() -> anyhow::Result<()> {
    let mut world = World::up().await?;
    let readings = world.stack.physical_id("ReadingsStream")?;
    world.stack.servers().kinesis.close(&readings, Refusal::Fails);
    world.stack.servers().s3.stop().await;
    world.send().await?;
    let outlasts = async {
        let (mut transform, mut archiver) = (BTreeSet::new(), BTreeSet::new());
        while transform.len().min(archiver.len()) <= CRASHES_MAX {
            transform.extend(world.noted("transform").await?);
            archiver.extend(world.noted("archiver").await?);
            sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    timeout(OUTAGE_MAX, outlasts).await.context("the first message did not become a suspect often enough")??;
    world.stack.servers().s3.restart().await?;
    world.stack.servers().kinesis.open(&readings);
    let evidence = world.evidence().await?;
    assert_eq!(evidence.letters, []);
    assert!(evidence.audit.clean, "{:?}", evidence.audit.findings);
    assert_eq!(evidence.audit.records as usize, MESSAGES);
    assert_eq!(World::devices_of(&evidence).len(), MESSAGES);
    assert!(world.noted("transform").await?.is_empty() && world.noted("archiver").await?.is_empty());
    world.stack.down().await;
    Ok(())
}
