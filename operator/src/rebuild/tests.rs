//! A rebuild beside the moving average itself, on ports in memory.

use super::*;
use myaku::alert::MemoryReporter;
use myaku::device::event_time::ClockSource;
use myaku::device::profile::ProfileDocument;
use myaku::device::registry::{Device as Registered, MemoryMasterData};
use myaku::keyed::ReadingId;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::{self, GROUP, Limits, Ports, Shards};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::ManualClock;
use myaku::results::memory::MemoryResults;
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::stream::source::memory::MemoryStream;
use myaku::window::MovingAverage;
use myaku::window::{Entry, Place};
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_910_000;
const STREAM: &str = "readings";
const SHARD: &str = "shardId-000000000000";

struct Memory;

impl Ports for Memory {
    type Rule = MovingAverage;
    type Settings = Registry<MemoryMasterData, ManualClock>;
    type Shards = MemoryStream;
    type Progress = MemoryProgress;
    type States = MemoryStates<DeviceState>;
    type Results = MemoryResults;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

fn context() -> keyed::Context<Memory> {
    let profile: ProfileDocument = serde_json::from_value(serde_json::json!({
        "id": "band",
        "metrics": { "heart_rate": { "unit": "1/min", "window": { "last": 3 } } },
        "versions": [{ "name": "1", "format": "json", "fields": [{ "metric": "heart_rate", "from": "hr" }] }],
    }))
    .unwrap();
    let data = MemoryMasterData::new();
    data.put_profile(&profile);
    for id in ["bed-17", "bed-18"] {
        data.put_device(&Registered::new(id, &profile.id, None));
    }
    keyed::Context {
        settings: Registry::new(data, ManualClock::at(NOW_MS), Duration::from_secs(30)),
        shards: Shards::new(MemoryStream::new(1)),
        progress: MemoryProgress::default(),
        states: MemoryStates::default(),
        results: MemoryResults::default(),
        findings: None,
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(24), group: GROUP },
    }
}

/// The time of reading `n`, whose value is also `n`.
fn at(n: u32) -> i64 {
    NOW_MS - 60_000 + i64::from(n) * 1_000
}

async fn deliver(context: &keyed::Context<Memory>, device: &str, ns: impl Iterator<Item = u32>) {
    let records = ns.map(|n| {
        let data = serde_json::json!({
            "id": format!("{device}-{n}"), "deviceId": device, "facility": "home-3", "metric": "heart_rate", "value": n,
            "unit": "1/min", "at": at(n), "clock": "device", "receivedAt": at(n), "quality": "good",
        });
        StreamRecord {
            sequence: n.to_string().parse().unwrap(),
            partition_key: device.into(),
            arrived_ms: at(n),
            data: data.to_string().into_bytes().into(),
        }
    });
    let batch = Batch { stream: STREAM.to_owned(), shard: SHARD.to_owned(), records: records.collect() };
    assert_eq!(keyed::handle(context, &batch, NOW_MS + 60_000).await, Answer::DONE);
}

/// Rebuilds both devices, of which the lake has readings up to `last`.
async fn restore(context: &keyed::Context<Memory>, last: u32) -> Report {
    let registered = context.settings.resolve(&["bed-17", "bed-18"]).await.unwrap();
    let devices = ["bed-17", "bed-18"].map(|id| {
        let Resolved::Known(_, profile) = &registered[id] else { panic!("{id} is registered") };
        let mut recovered = Recovered::default();
        let spec = profile.window("heart_rate").unwrap();
        for n in 1..=last {
            let place = Place { at: at(n), id: ReadingId::of(&format!("{id}-{n}"), at(n)) };
            let entry = Entry { place, value: n.into(), clock: Some(ClockSource::Device) };
            recovered.insert(spec, "heart_rate", entry);
        }
        (id.to_owned(), Device { profile: Arc::clone(profile), recovered })
    });
    let mut slots = BTreeMap::<Slot, Devices<'_>>::new();
    for (id, device) in &devices {
        slots.entry(Slot::of(id)).or_default().push((id, device));
    }
    let options = Options {
        selection: Selection { stream: "ingest".to_owned(), arrived_ms: 0..NOW_MS, shard: None, device: None },
        is_everything: true,
        settled_ms: NOW_MS,
        readings_stream: STREAM.to_owned(),
    };
    let stores = Stores { states: &context.states, progress: &context.progress, results: &context.results };
    let work = Work { stores, clock: &context.clock, options: &options };
    let mut report = Report::default();
    for group in groups(slots) {
        assert!(work.restore(&group, &mut report).await.unwrap().is_empty());
    }
    report
}

async fn latest(context: &keyed::Context<Memory>, device: &str) -> (u32, f64, bool) {
    let row = context.results.latest(device).await.unwrap().unwrap();
    let result = &row.metrics["heart_rate"];
    (result.average.count, result.average.mean, result.partial)
}

#[tokio::test]
async fn a_loss_that_no_invocation_has_found_is_declared_and_restored() {
    let context = context();
    deliver(&context, "bed-17", 1..=5).await;
    deliver(&context, "bed-18", 6..=6).await;
    context.states.lose_everything();
    assert_eq!(restore(&context, 5).await.rebuilt, 2);
    let progress = context.progress.read("window", STREAM).await.unwrap();
    assert_eq!(progress.lost_until[&Slot::of("bed-17")], at(6), "up to the newest reading of the shard");
    deliver(&context, "bed-17", 7..=7).await;
    assert_eq!(latest(&context, "bed-17").await, (3, 16.0 / 3.0, false), "4, 5 and 7");
    assert_eq!(restore(&context, 5).await.rebuilt, 0, "a second rebuild changes nothing");
}

#[tokio::test]
async fn a_row_that_says_partial_is_replaced_and_others_stay() {
    let context = context();
    deliver(&context, "bed-17", 1..=5).await;
    deliver(&context, "bed-18", 6..=6).await;
    context.states.lose_everything();
    let silent = context.results.latest("bed-18").await.unwrap();
    deliver(&context, "bed-17", 7..=7).await;
    let flagged = context.results.latest("bed-17").await.unwrap().unwrap();
    assert_eq!(latest(&context, "bed-17").await, (1, 7.0, true));
    assert_eq!(restore(&context, 5).await.rebuilt, 2);
    assert_eq!(latest(&context, "bed-17").await, (3, 16.0 / 3.0, false));
    let replaced = context.results.latest("bed-17").await.unwrap().unwrap();
    assert_eq!((replaced.position, replaced.counted), (flagged.position, flagged.counted));
    assert_eq!(replaced.shard, SHARD);
    assert_eq!(context.results.latest("bed-18").await.unwrap(), silent);
}
