//! The transform: from a body of messages to aggregates of readings.

use super::{DEADLINE_MS, NOW_MS, check_answer, runtime};
use crate::events::DEVICES;
use anyhow::{Result, ensure};
use myaku::device::presence::watch::{Expected, Hears};
use myaku::device::registry::{Device, Key, Kind, MemoryMasterData, Registry};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::Batch;
use myaku::stream::producer::{Entry, Limits, Placement, Producer, PutOutcome, PutRecords};
use myaku::stream::shard_map::HashKeyRange;
use std::time::Duration;
use tokio::runtime::Runtime;
use transform::{Context, Ports, handle};

const PROFILE: &str = include_str!("../../../events/profiles/vital-band.json");
/// How long the registry's cache is valid: longer than any measurement takes.
const TTL: Duration = Duration::from_hours(24);

/// Ports that cost nothing.
struct Free;

impl Ports for Free {
    type MasterData = MemoryMasterData;
    type Stream = Sink;
    type Letters = MemoryDeadLetters;
    type Watch = NoWatch;
    type Clock = ManualClock;
}

/// The warm function, which knows all devices.
pub(crate) struct Transform {
    context: Context<Free>,
    runtime: Runtime,
}

impl Transform {
    pub(crate) fn new() -> Result<Self> {
        let store = MemoryMasterData::new();
        for device in 0..DEVICES {
            let (device_id, profile) = (format!("band-{device:04}"), "vital-band".to_owned());
            store.put_device(&Device::new(device_id, profile, None));
        }
        store.put_document(Key::new(Kind::Profile, "vital-band"), PROFILE);
        let context = Context {
            registry: Registry::new(store, ManualClock::at(NOW_MS), TTL),
            readings: Producer::seeded(Sink, Placement::Slots, Limits::default(), 1),
            letters: MemoryDeadLetters::new(),
            watch: NoWatch,
            clock: ManualClock::at(NOW_MS),
        };
        Ok(Self { context, runtime: runtime()? })
    }

    /// Does all that the function does with a body.
    pub(crate) fn handle(&self, body: Vec<u8>) -> Result<()> {
        let batch = Batch::from_event(body)?;
        check_answer(self.runtime.block_on(handle(&self.context, &batch, DEADLINE_MS)))?;
        ensure!(
            self.context.letters.letters().is_empty(),
            "the function wrote dead letters: the events do not fit the profile"
        );
        Ok(())
    }
}

/// A stream that keeps no records.
struct Sink;

impl PutRecords for Sink {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        Ok(entries.iter().map(|_| PutOutcome::Put { shard: String::new() }).collect())
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        unreachable!("a producer that puts per slot lists no shards")
    }
}

/// Ignores which devices were heard.
struct NoWatch;

impl Hears for NoWatch {
    async fn heard(&self, _: &[Expected]) -> Result<(), RemoteError> {
        Ok(())
    }
}
