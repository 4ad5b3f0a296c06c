//! The operator's commands after a failure, against the whole template: replays, and windows rebuilt from the lake.

use crate::pipeline::{Sending, options, up_with};
use anyhow::Context as _;
use indicatif::ProgressBar;
use myaku::device::registry::{Device, DynamoDb, LONGEST_USE, MasterDataWriter as _, Registry, device_document};
use myaku::ingest::message::Message;
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::keyed::states::{Loaded, SlotDevices, States as _};
use myaku::lake::archive::{MemoryHeads, S3Lake};
use myaku::lake::dead_letter::Reason;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::platform::redis::{Connection, Settings};
use myaku::results::dynamodb::DynamoDbResults;
use myaku::results::{ResultsReader as _, Row};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Item, Limits, Placement, Producer};
use myaku::stream::slot::Slot;
use myaku::window::DeviceState;
use myaku_demo::evidence::results;
use myaku_demo::{run, steps};
use myaku_local::stack::Stack;
use myaku_operator::rebuild;
use myaku_operator::replay::{Letters, Notes, Parcels, Report, Stretch, Target, replay};
use myaku_operator::selection::Selection;
use std::collections::BTreeMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(2);
/// With these, the functions know a new device within a second.
const PARAMETERS: [(&str, &str); 1] = [("RegistryTtlSeconds", "1")];
/// How far ahead a device's clock is trusted.
const AHEAD_MS: i64 = 300_000;
const STATE_TTL: Duration = Duration::from_hours(24);

/// Selects everything that was archived: no test takes an hour.
fn everything(stream: &str) -> Selection {
    let now_ms = SystemClock.now_ms();
    Selection { stream: stream.to_owned(), arrived_ms: now_ms - 3_600_000..now_ms + 1, shard: None, device: None }
}

/// Sends parcels back to their streams at a high rate, and waits until every function has finished.
async fn send(stack: &Stack, parcels: &impl Parcels) -> anyhow::Result<Report> {
    let config = stack.sdk_config();
    let open = |name: &str| KinesisStream::new(&config, name);
    let target = Target::<_, S3Lake, MemoryHeads>::Streams { to: None, open };
    let mut notes = Notes::open(None, String::new(), 0..i64::MAX)?;
    let report = Box::pin(replay(parcels, &target, 2_000.0, &mut notes, &ProgressBar::hidden())).await?;
    steps::quiet(stack).await?;
    Ok(report)
}

/// The latest rows, without the time at which they were written.
async fn averages(stack: &Stack) -> anyhow::Result<BTreeMap<(String, String), (i64, u64, [u64; 4])>> {
    let client = aws_sdk_dynamodb::Client::new(&stack.sdk_config());
    let rows = results::scan(&client, &stack.physical_id("ResultsTable")?).await?;
    let numbers = |row: &results::Latest| [row.value, row.mean, row.min, row.max].map(f64::to_bits);
    Ok(rows
        .into_iter()
        .map(|row| ((row.device.clone(), row.metric.clone()), (row.at_ms, row.count, numbers(&row))))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_changes_no_average_and_a_dead_letter_becomes_readings_after_its_cause_is_removed()
-> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &PARAMETERS).await?;
    let report = Box::pin(run::run(&stack, &options(5), &Sending::default())).await?;
    assert!(report.ok, "{:?}", report.verdict.broken);
    let before = averages(&stack).await?;
    let config = stack.sdk_config();
    let ingest = stack.physical_id("IngestStream")?;
    let bucket = || anyhow::Ok(S3Lake::new(&config, stack.physical_id("DeadLetterBucket")?));
    let letters = |reasons: &[Reason], since_ms: i64| {
        anyhow::Ok(Letters {
            bucket: bucket()?,
            reasons: reasons.to_vec(),
            arrived_ms: since_ms..SystemClock.now_ms() + 1,
        })
    };

    let lake = S3Lake::new(&config, stack.physical_id("LakeBucket")?);
    let again = Box::pin(send(&stack, &Stretch { lake, selection: everything(&ingest) })).await?;
    assert_eq!(again.records.values().sum::<u64>(), report.audit.records);
    assert_eq!(averages(&stack).await?, before, "a replayed reading must not count again");
    let again = Box::pin(send(&stack, &letters(&[], 0)?)).await?;
    assert!(again.records.values().sum::<u64>() > 0);
    assert_eq!(averages(&stack).await?, before);

    // An unregistered device sends a message. Then it is registered.
    let now_ms = SystemClock.now_ms();
    let message = Message {
        delivery_id: "7d0c-newcomer".to_owned(),
        device_id: "newcomer".to_owned(),
        facility: "home-1".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: now_ms,
        payload: format!(r#"{{"id":"m1","ts":{},"vital":{{"hr":61,"spo2":"97","temp":98.2}}}}"#, now_ms / 1_000)
            .into_bytes(),
        message_id: None,
        sender: None,
    };
    let producer = Producer::new(KinesisStream::new(&config, &ingest), Placement::Shards, Limits::default());
    producer.send(&[Item { key: message.delivery_id.clone(), data: message.to_json().into_bytes() }]).await?;
    steps::quiet(&stack).await?;
    let rows = DynamoDbResults::new(&config, stack.physical_id("ResultsTable")?);
    let latest = async || rows.latest("newcomer").await;
    assert_eq!(latest().await?, None);
    let device = Device::new("newcomer", "vital-band", Some("home-1"));
    let document = device_document(&device).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    DynamoDb::new(&config, stack.physical_id("RegistryTable")?).put(&[document]).await?;
    let found = tokio::time::timeout(PATIENCE, async {
        // The absence of a device is cached for a while. Until it expires, the message becomes a dead letter again.
        loop {
            Box::pin(send(&stack, &letters(&[Reason::UnknownDevice], now_ms)?)).await?;
            if let Some(found) = latest().await? {
                return anyhow::Ok(found);
            }
        }
    });
    let found = found.await.context("the dead letter did not become readings")??;
    let heart_rate = found.metrics.get("heart_rate").context("no heart rate")?;
    assert_eq!((heart_rate.average.count, heart_rate.average.mean.to_bits()), (1, 61_f64.to_bits()));
    stack.down().await;
    Ok(())
}

/// The latest rows of all devices.
async fn latest_rows(devices: &[String], rows: &DynamoDbResults) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for device in devices {
        all.extend(rows.latest(device).await?);
    }
    Ok(all)
}

async fn states(stack: &Stack) -> anyhow::Result<RedisStates<DeviceState>> {
    let redis = Connection::connect(&Settings::node(&stack.endpoints().redis)?, &stack.sdk_config()).await?;
    Ok(RedisStates::new(redis, STATE_TTL))
}

/// What is stored of each device.
async fn load(stack: &Stack, devices: &[String]) -> anyhow::Result<Vec<Loaded<DeviceState>>> {
    let slots: Vec<_> =
        devices.iter().map(|id| SlotDevices { slot: Slot::of(id), devices: vec![id.as_str()] }).collect();
    let loaded = states(stack).await?.load(&stack.physical_id("ReadingsStream")?, &slots).await?;
    Ok(loaded.into_iter().flat_map(|slot| slot.states).collect())
}

/// Rebuilds the windows from the whole lake, while no function runs.
pub(crate) async fn rebuild_everything(stack: &Stack) -> anyhow::Result<rebuild::Report> {
    let config = stack.sdk_config();
    // The clocks of some devices are ahead.
    let settled_ms = SystemClock.now_ms() + AHEAD_MS;
    let selection = everything(&stack.physical_id("IngestStream")?);
    let readings_stream = stack.physical_id("ReadingsStream")?;
    let options = rebuild::Options { selection, is_everything: true, settled_ms, readings_stream };
    let lake = S3Lake::new(&config, stack.physical_id("LakeBucket")?);
    let registry = DynamoDb::new(&config, stack.physical_id("RegistryTable")?);
    let registry = Registry::new(registry, SystemClock, LONGEST_USE);
    let stores = rebuild::Stores {
        states: &states(stack).await?,
        progress: &DynamoDbProgress::new(&config, stack.physical_id("ProgressTable")?),
        results: &DynamoDbResults::new(&config, stack.physical_id("ResultsTable")?),
    };
    Box::pin(rebuild::rebuild(&lake, &registry, stores, &SystemClock, &options, &ProgressBar::hidden())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_redis_lost_are_rebuilt_from_the_lake_unchanged() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &PARAMETERS).await?;
    let report = Box::pin(run::run(&stack, &options(6), &Sending::default())).await?;
    assert!(report.ok, "{:?}", report.verdict.broken);
    let config = stack.sdk_config();
    let mut devices: Vec<String> = averages(&stack).await?.into_keys().map(|(device, _)| device).collect();
    devices.dedup();
    let before = load(&stack, &devices).await?;
    let rows = DynamoDbResults::new(&config, stack.physical_id("ResultsTable")?);
    let rows_before = latest_rows(&devices, &rows).await?;
    let averages_before = averages(&stack).await?;

    stack.servers().redis.kill().await?;
    stack.servers().redis.restart().await?;
    let lost = load(&stack, &devices).await?;
    assert!(lost.iter().all(|loaded| loaded.kept.is_none()), "Redis must have lost its memory");

    let report = rebuild_everything(&stack).await?;
    assert_eq!((report.partial, report.busy, report.overtaken), (0, 0, 0), "{report:?}");
    assert_eq!(report.devices as usize, devices.len(), "{report:?}");
    assert_eq!(report.whole as usize, averages_before.len(), "{report:?}");
    let after = load(&stack, &devices).await?;
    for (device, (before, after)) in devices.iter().zip(before.iter().zip(&after)) {
        let (before, after) =
            (before.kept.as_ref().context("no state before")?, after.kept.as_ref().context("no state after")?);
        for (_, metric) in averages_before.keys().filter(|(of, _)| of == device) {
            let entries = |state: &DeviceState| state.series(metric).map(|series| series.entries().to_vec());
            assert_eq!(entries(&after.state), entries(&before.state), "{device} {metric}");
        }
        assert!(after.lost_until.is_some(), "{device}: the loss is noted, so that it is not found again");
    }
    assert_eq!(latest_rows(&devices, &rows).await?, rows_before, "the rows were right before");
    let again = rebuild_everything(&stack).await?;
    assert_eq!(again.rebuilt, 0, "a second rebuild changes nothing");

    // Traffic continues: no result is partial, and no window starts empty.
    let lake = S3Lake::new(&config, stack.physical_id("LakeBucket")?);
    let ingest = stack.physical_id("IngestStream")?;
    Box::pin(send(&stack, &Stretch { lake, selection: everything(&ingest) })).await?;
    let rows_after = latest_rows(&devices, &rows).await?;
    assert_eq!(rows_after.len(), rows_before.len());
    for (after, before) in rows_after.iter().zip(&rows_before) {
        assert!(after.position > before.position, "{}: a new state writes its row", after.device_id);
        assert_eq!(after.metrics, before.metrics, "{}", after.device_id);
    }
    stack.down().await;
    Ok(())
}
