//! The moving average: from a body of readings to rows and states, without the stores' own work.

use super::{DEADLINE_MS, NOW_MS, runtime, succeeded};
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
    type Rule = MovingAverage<Every>;
    type Settings = Every;
    type States = Frozen;
    type Results = Nowhere;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

/// The function, warm, with the states that earlier batches have left.
pub(crate) struct Average {
    context: Context<Free>,
    runtime: Runtime,
}

impl Average {
    /// With a window of the last so many readings, and what `before` leaves.
    pub(crate) fn new(window: u32, before: Vec<u8>) -> Result<Self> {
        let context = Context {
            settings: Every(WindowSpec::last(window)),
            states: Frozen::default(),
            results: Nowhere,
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

    /// All that the function does with a body. The states stay as they are, so that the same body is new each time.
    pub(crate) fn handle(&self, body: Vec<u8>) -> Result<()> {
        let batch = Batch::from_event(body)?;
        succeeded(self.runtime.block_on(handle(&self.context, &batch, DEADLINE_MS)))
    }
}

/// The same window for every metric of every device.
#[derive(Clone)]
struct Every(WindowSpec);

impl MetricWindows for Every {
    fn window(&self, _: &str) -> Option<&WindowSpec> {
        Some(&self.0)
    }
}

impl SettingsSource for Every {
    type Settings = Self;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<HashMap<&'a str, Result<Self, Problem>>, RemoteError> {
        Ok(devices.iter().map(|device| (*device, Ok(self.clone()))).collect())
    }
}

/// States that are read as a server's bytes, and written as such; but once they are frozen, what is written is gone.
#[derive(Default)]
struct Frozen {
    states: MemoryStates<DeviceState>,
    is_frozen: AtomicBool,
}

impl States for Frozen {
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

struct Nowhere;

impl Results for Nowhere {
    async fn write(&self, writes: &[Write]) -> Result<Vec<Written>, RemoteError> {
        Ok(vec![Written::Stored; writes.len()])
    }
}
