//! The moving average: from a body of readings to rows and states, without the work of the stores.

use super::{DEADLINE_MS, NOW_MS, check_answer, runtime};
use anyhow::Result;
use myaku::device::profile::WindowSpec;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::states::{Commit, Committed, Loaded, States};
use myaku::keyed::{Context, GROUP, Ports, SettingsSource, codec, handle};
use myaku::lake::dead_letter::{MemoryDeadLetters, Problem};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::RemoteError;
use myaku::results::{Results, Write, Written};
use myaku::stream::batch::Batch;
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
    type States = FrozenStates;
    type Results = NoTable;
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
            states: FrozenStates::default(),
            results: NoTable,
            letters: MemoryDeadLetters::new(),
            clock: ManualClock::at(NOW_MS),
            history_ttl: Duration::from_hours(24),
            group: GROUP,
        };
        let average = Self { context, runtime: runtime()? };
        average.handle(before)?;
        average.context.states.is_frozen.store(true, Ordering::Relaxed);
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

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<DeviceState>>, RemoteError> {
        self.states.load(devices).await
    }

    async fn commit(&self, commits: &[Commit<'_, DeviceState>]) -> Result<Vec<Committed>, RemoteError> {
        if !self.is_frozen.load(Ordering::Relaxed) {
            return self.states.commit(commits).await;
        }
        for commit in commits {
            black_box(codec::encode(commit.state));
        }
        Ok(vec![Committed::Done; commits.len()])
    }
}

/// A table that accepts every row and keeps none.
struct NoTable;

impl Results for NoTable {
    async fn write(&self, writes: &[Write]) -> Result<Vec<Written>, RemoteError> {
        Ok(vec![Written::Stored; writes.len()])
    }
}
