//! The ports of the tests: stores in memory with switches for faults, and for what happens in between.

use myaku::alert::MemoryReporter;
use myaku::device::profile::WindowSpec;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::progress::{Progress, ProgressStore};
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::states::{Committed, LoadedSlot, SlotCommit, SlotDevices, States};
use myaku::keyed::{Found, Ports, SettingsSource};
use myaku::lake::dead_letter::{MemoryDeadLetters, Problem, Reason};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::results::memory::MemoryResults;
use myaku::results::{Mark, Results, Row};
use myaku::stream::source::memory::MemoryStream;
use myaku::window::{DeviceState, MetricWindows, MovingAverage};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

/// The same windows for every device except `stranger`, which is not registered.
pub(super) struct Fixed(pub(super) Metrics);

/// The windows of a device, by metric.
#[derive(Clone)]
pub(super) struct Metrics(pub(super) HashMap<String, WindowSpec>);

impl MetricWindows for Metrics {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        self.0.get(metric)
    }

    fn unit(&self, metric: &str) -> &'static str {
        if metric == "heart_rate" { "1/min" } else { "%" }
    }
}

impl SettingsSource for Fixed {
    type Settings = Metrics;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<Found<'a, Metrics>, RemoteError> {
        let found = |device: &str| match device {
            "stranger" => Err(Problem { reason: Reason::UnknownDevice, detail: "unknown".to_owned() }),
            _ => Ok(self.0.clone()),
        };
        Ok(devices.iter().map(|device| (*device, found(device))).collect())
    }
}

/// What a port does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// Fails before the call.
    Before(Remedy),
    /// Makes the call, and loses the answer.
    After,
    /// Never answers.
    Hangs,
}

type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Decides what becomes of the calls of a port.
#[derive(Default)]
pub(super) struct Switch {
    /// A fault, and how many calls succeed before it.
    fault: Mutex<Option<(usize, Fault)>>,
    before: Mutex<VecDeque<Meanwhile>>,
    after: Mutex<VecDeque<Meanwhile>>,
}

impl Switch {
    /// Each call has this fault from now on.
    pub(super) fn fails(&self, fault: Fault) {
        self.fails_after(0, fault);
    }

    /// Each call has this fault after some that succeed.
    pub(super) fn fails_after(&self, calls: usize, fault: Fault) {
        *self.fault.lock().unwrap() = Some((calls, fault));
    }

    fn fault(&self) -> Option<Fault> {
        match self.fault.lock().unwrap().as_mut()? {
            (0, fault) => Some(*fault),
            (calls, _) => {
                *calls -= 1;
                None
            }
        }
    }

    /// Calls succeed again.
    pub(super) fn recovers(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// This happens before the next call, or before the one after those that something happens before already.
    pub(super) fn before(&self, meanwhile: impl Future<Output = ()> + Send + 'static) {
        self.before.lock().unwrap().push_back(Box::pin(meanwhile));
    }

    /// As [`Self::before`], between the call and the caller's next step.
    pub(super) fn after(&self, meanwhile: impl Future<Output = ()> + Send + 'static) {
        self.after.lock().unwrap().push_back(Box::pin(meanwhile));
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        let before = self.before.lock().unwrap().pop_front();
        if let Some(before) = before {
            before.await;
        }
        let answer = match self.fault() {
            Some(Fault::Before(remedy)) => return Err(RemoteError::new("call", remedy, "down")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::After) => {
                call.await?;
                Err(RemoteError::new("call", Remedy::Retry, "the answer was lost"))
            }
            None => call.await,
        };
        let after = self.after.lock().unwrap().pop_front();
        if let Some(after) = after {
            after.await;
        }
        answer
    }
}

/// A port with a switch for its reads, and one for its writes.
pub(super) struct Faulty<P> {
    port: Arc<P>,
    pub(super) read: Switch,
    pub(super) write: Switch,
}

impl<P> Faulty<P> {
    pub(super) fn on(port: &Arc<P>) -> Self {
        Self { port: Arc::clone(port), read: Switch::default(), write: Switch::default() }
    }
}

impl ProgressStore for Faulty<MemoryProgress> {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        self.read.call(self.port.read(function, stream)).await
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        self.write.call(self.port.change(function, stream, before, after)).await
    }
}

impl States for Faulty<MemoryStates<DeviceState>> {
    type State = DeviceState;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<DeviceState>>, RemoteError> {
        self.read.call(self.port.load(stream, slots)).await
    }

    async fn commit(
        &self,
        stream: &str,
        commits: &[SlotCommit<'_, DeviceState>],
    ) -> Result<Vec<Committed>, RemoteError> {
        self.write.call(self.port.commit(stream, commits)).await
    }
}

impl Results for Faulty<MemoryResults> {
    async fn write(&self, rows: &[Row]) -> Result<(), RemoteError> {
        self.write.call(self.port.write(rows)).await
    }

    async fn latest_mark(&self, device_id: &str) -> Result<Option<Mark>, RemoteError> {
        self.read.call(self.port.latest_mark(device_id)).await
    }
}

/// The stores of a test. Clones are the same stores.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) stream: MemoryStream,
    pub(super) progress: Arc<MemoryProgress>,
    pub(super) states: Arc<MemoryStates<DeviceState>>,
    pub(super) results: Arc<MemoryResults>,
}

impl Stores {
    /// New stores, and a stream of so many shards.
    pub(super) fn new(shards: usize) -> Self {
        let (progress, states, results) = (Arc::default(), Arc::default(), Arc::default());
        Self { stream: MemoryStream::new(shards), progress, states, results }
    }
}

/// The ports of a test.
pub(super) struct TestPorts;

impl Ports for TestPorts {
    type Rule = MovingAverage<Metrics>;
    type Settings = Fixed;
    type Shards = MemoryStream;
    type Progress = Faulty<MemoryProgress>;
    type States = Faulty<MemoryStates<DeviceState>>;
    type Results = Faulty<MemoryResults>;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}
