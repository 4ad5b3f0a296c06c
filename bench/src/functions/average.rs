//! The moving average: from a body of readings to rows and states, without the work of the stores.

use super::{DEADLINE_MS, NOW_MS, check_answer, runtime};
use crate::events;
use anyhow::Result;
use myaku::alert::MemoryReporter;
use myaku::device::profile::WindowSpec;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::progress::{Progress, ProgressStore};
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::states::{Committed, LoadedSlot, SlotCommit, SlotDevices, States};
use myaku::keyed::{Context, GROUP, Limits, ListShards, Ports, SettingsSource, Shards, codec, handle};
use myaku::lake::dead_letter::{MemoryDeadLetters, Problem};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::RemoteError;
use myaku::results::{Mark, Results, Row};
use myaku::stream::batch::Batch;
use myaku::stream::source::Shard;
use myaku::window::{DeviceState, MetricWindows, MovingAverage};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Ports that cost nothing.
struct Free;

impl Ports for Free {
    type Rule = MovingAverage<SameWindow>;
    type Settings = SameWindow;
    type Shards = OneShard;
    type Progress = FrozenProgress;
    type States = FrozenStates;
    type Results = NoTable;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

/// The warm function, with the states of earlier batches.
pub(crate) struct Average {
    context: Context<Free>,
    runtime: Runtime,
}

impl Average {
    /// The function with windows of the last `window` readings, and the states after the body `before`.
    pub(crate) fn new(window: u32, before: Vec<u8>) -> Result<Self> {
        let context = Context {
            settings: SameWindow(WindowSpec::last(window)),
            shards: Shards::new(OneShard(events::SHARD)),
            progress: FrozenProgress::default(),
            states: FrozenStates::default(),
            results: NoTable,
            findings: None,
            letters: MemoryDeadLetters::new(),
            clock: ManualClock::at(NOW_MS),
            limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(24), group: GROUP },
        };
        let average = Self { context, runtime: runtime()? };
        average.handle(before)?;
        for is_frozen in [&average.context.states.is_frozen, &average.context.progress.is_frozen] {
            is_frozen.store(true, Ordering::Relaxed);
        }
        Ok(average)
    }

    /// Does all that the function does with a body. The states do not change, so the same body is new each time.
    pub(crate) fn handle(&self, body: Vec<u8>) -> Result<()> {
        let batch = Batch::from_event(body)?;
        check_answer(self.runtime.block_on(handle(&self.context, &batch, DEADLINE_MS)))
    }
}

/// The same window for every metric of every device.
#[derive(Clone)]
struct SameWindow(WindowSpec);

impl MetricWindows for SameWindow {
    fn window(&self, _: &str) -> Option<&WindowSpec> {
        Some(&self.0)
    }

    fn unit(&self, _: &str) -> &'static str {
        "1/min"
    }
}

impl SettingsSource for SameWindow {
    type Settings = Self;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<HashMap<&'a str, Result<Self, Problem>>, RemoteError> {
        Ok(devices.iter().map(|device| (*device, Ok(self.clone()))).collect())
    }
}

/// States that are decoded and encoded as those of a server. Once they are frozen, commits change nothing.
#[derive(Default)]
struct FrozenStates {
    states: MemoryStates<DeviceState>,
    is_frozen: AtomicBool,
}

impl States for FrozenStates {
    type State = DeviceState;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<DeviceState>>, RemoteError> {
        self.states.load(stream, slots).await
    }

    async fn commit(
        &self,
        stream: &str,
        commits: &[SlotCommit<'_, DeviceState>],
    ) -> Result<Vec<Committed>, RemoteError> {
        if !self.is_frozen.load(Ordering::Relaxed) {
            return self.states.commit(stream, commits).await;
        }
        for kept in commits.iter().flat_map(|commit| &commit.states).filter_map(|commit| commit.kept) {
            black_box(codec::encode(kept));
        }
        Ok(vec![Committed::Done; commits.len()])
    }
}

/// Progress that belongs to the states. Once it is frozen, it does not change.
#[derive(Default)]
struct FrozenProgress {
    progress: MemoryProgress,
    is_frozen: AtomicBool,
}

impl ProgressStore for FrozenProgress {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        self.progress.read(function, stream).await
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        if self.is_frozen.load(Ordering::Relaxed) {
            return Ok(true);
        }
        self.progress.change(function, stream, before, after).await
    }
}

/// A stream with this one shard.
pub(crate) struct OneShard(pub(crate) &'static str);

impl ListShards for OneShard {
    async fn list(&self) -> Result<Vec<Shard>, RemoteError> {
        let (id, hash_keys) = (self.0.to_owned(), (0, u128::MAX));
        Ok(vec![Shard { id, parents: Vec::new(), hash_keys, starting: None, ending: None }])
    }
}

/// A table that accepts every row and keeps none.
struct NoTable;

impl Results for NoTable {
    async fn write(&self, rows: &[Row]) -> Result<(), RemoteError> {
        black_box(rows);
        Ok(())
    }

    async fn latest_mark(&self, _: &str) -> Result<Option<Mark>, RemoteError> {
        Ok(None)
    }
}
