//! Invocations that run at the same time, end anywhere, or go on when they should be dead, on stores that lose what they
//! had: random interleavings, checked against the plain list of readings.
//!
//! The rule counts every reading that it is given. So one that is processed twice shows, and so does one that is missing.

use super::super::State as _;
use super::super::progress::memory::MemoryProgress;
use super::super::settings::Found;
use super::super::states::memory::{MemoryStates, Snapshot};
use super::super::sums::{Ids, Sum, Sums, json};
use super::*;
use crate::lake::dead_letter::MemoryDeadLetters;
use crate::platform::clock::ManualClock;
use crate::results::memory::MemoryResults;
use crate::results::{Item, MetricResult, Row};
use crate::stream::batch::StreamRecord;
use crate::stream::source::memory::MemoryStream;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

const NOW_MS: i64 = 1_795_218_892_020;
const STREAM: &str = "readings";
const SHARD: &str = "shardId-000000000000";
/// How many invocations there are at the same time, at most.
const INVOCATIONS: usize = 3;

/// A store that answers at the second poll, so that others can act before a call and after it.
struct Slow<P>(Arc<P>);

impl<P> Slow<P> {
    async fn call<T>(&self, call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        pause().await;
        let answer = call.await;
        pause().await;
        answer
    }
}

/// Is ready at the second poll.
fn pause() -> impl Future<Output = ()> {
    let mut is_first = true;
    std::future::poll_fn(move |task| {
        if std::mem::take(&mut is_first) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
}

impl ProgressStore for Slow<MemoryProgress> {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        self.call(self.0.read(function, stream)).await
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        self.call(self.0.change(function, stream, before, after)).await
    }
}

impl States for Slow<MemoryStates<Sum>> {
    type State = Sum;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<Sum>>, RemoteError> {
        self.call(self.0.load(stream, slots)).await
    }

    async fn commit(&self, stream: &str, commits: &[SlotCommit<'_, Sum>]) -> Result<Vec<Committed>, RemoteError> {
        self.call(self.0.commit(stream, commits)).await
    }
}

impl Results for Slow<MemoryResults> {
    async fn latest(&self, device_id: &str) -> Result<Option<Row>, RemoteError> {
        self.call(self.0.latest(device_id)).await
    }

    async fn write(&self, rows: &[Row]) -> Result<(), RemoteError> {
        self.call(self.0.write(rows)).await
    }
}

/// Each reading counts, known or not.
struct Counting;

impl SettingsSource for Counting {
    type Settings = Ids;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<Found<'a, Ids>, RemoteError> {
        Ok(devices.iter().map(|device| (*device, Ok(Ids::Ignored))).collect())
    }
}

struct InModel;

impl Ports for InModel {
    type Rule = Sums;
    type Settings = Counting;
    type Shards = MemoryStream;
    type Progress = Slow<MemoryProgress>;
    type States = Slow<MemoryStates<Sum>>;
    type Results = Slow<MemoryResults>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    /// An invocation starts with so many records from the first one on that is not acknowledged, in a place that is free.
    Start(usize, usize),
    /// An invocation goes on until it has called a store, or has its answer.
    Step(usize),
    /// An invocation ends.
    Crash(usize),
    /// A slot has again what it had some steps before; all slots, if it is the third.
    Rollback(usize, usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (0..INVOCATIONS, 1..5_usize).prop_map(|(place, length)| Action::Start(place, length)),
        30 => (0..INVOCATIONS).prop_map(Action::Step),
        1 => (0..INVOCATIONS).prop_map(Action::Crash),
        1 => (0..3_usize, 0..40_usize).prop_map(|(slot, age)| Action::Rollback(slot, age)),
    ];
    prop::collection::vec(action, 0..250)
}

#[derive(Clone, Debug)]
struct Reading {
    device: usize,
    at: i64,
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading =
        (0..3_usize, 0..200_i64).prop_map(|(device, seconds)| Reading { device, at: NOW_MS + seconds * 1_000 });
    prop::collection::vec(reading, 1..14)
}

type Running = Pin<Box<dyn Future<Output = Result<(), RemoteError>>>>;

/// An invocation: what it does, and where its batch begins and ends.
struct Invocation {
    running: Running,
    begin: usize,
    end: usize,
}

struct World {
    readings: Vec<Reading>,
    devices: [String; 3],
    stream: MemoryStream,
    progress: Arc<MemoryProgress>,
    states: Arc<MemoryStates<Sum>>,
    results: Arc<MemoryResults>,
    interval: Duration,
    group: usize,
    /// How many readings Lambda delivers no more.
    acknowledged: usize,
    invocations: [Option<Invocation>; INVOCATIONS],
    snapshots: Vec<Snapshot>,
}

impl World {
    fn new(readings: Vec<Reading>, interval: Duration, group: usize) -> Self {
        // Two devices of one slot and one of another, all in the first of 64 shards.
        let in_slot = |slot: u8| (0..10_000).map(|n| format!("d{n}")).filter(move |name| Slot::of(name) == Slot(slot));
        let mut low = in_slot(1);
        let devices = [low.next(), low.next(), in_slot(2).next()].map(Option::unwrap);
        let stream = MemoryStream::new(64);
        let (progress, states, results) = (Arc::default(), Arc::default(), Arc::default());
        let (acknowledged, invocations, snapshots) = (0, [const { None }; INVOCATIONS], vec![Snapshot::new()]);
        Self {
            readings,
            devices,
            stream,
            progress,
            states,
            results,
            interval,
            group,
            acknowledged,
            invocations,
            snapshots,
        }
    }

    fn start(&self, length: usize) -> Option<Invocation> {
        let begin = self.acknowledged;
        let end = (begin + length).min(self.readings.len());
        let record = |n: usize| {
            let Reading { device, at } = self.readings[n];
            let device = self.devices[device].as_str();
            StreamRecord {
                sequence: (n + 1).to_string().parse().unwrap(),
                partition_key: device.into(),
                // Five seconds between two records.
                arrived_ms: NOW_MS + n as i64 * 5_000,
                data: json(device, n as u32, at).into_bytes().into(),
            }
        };
        let records: Vec<_> = (begin..end).map(record).collect();
        let batch = Batch { stream: STREAM.to_owned(), shard: SHARD.to_owned(), records };
        let context = Context::<InModel> {
            settings: Counting,
            shards: Shards::new(self.stream.clone()),
            progress: Slow(Arc::clone(&self.progress)),
            states: Slow(Arc::clone(&self.states)),
            results: Slow(Arc::clone(&self.results)),
            letters: MemoryDeadLetters::new(),
            clock: ManualClock::at(NOW_MS),
            limits: Limits { results_interval: self.interval, history_ttl: Duration::from_hours(1), group: self.group },
        };
        let running: Running = Box::pin(async move { process(&context, &batch).await });
        (begin < end).then_some(Invocation { running, begin, end })
    }

    /// Does one action.
    fn act(&mut self, action: &Action) {
        match action {
            Action::Start(place, length) => {
                if self.invocations[*place].is_none() {
                    self.invocations[*place] = self.start(*length);
                }
            }
            Action::Step(place) => {
                let Some(invocation) = &mut self.invocations[*place] else { return };
                if let Poll::Ready(done) = invocation.running.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
                {
                    // Lambda goes on after a batch if it has waited for its answer.
                    if done.is_ok() && invocation.begin == self.acknowledged {
                        self.acknowledged = invocation.end;
                    }
                    self.invocations[*place] = None;
                }
                self.snapshots.push(self.states.snapshot());
            }
            Action::Crash(place) => self.invocations[*place] = None,
            Action::Rollback(slot, age) => {
                let snapshot = &self.snapshots[self.snapshots.len().saturating_sub(age + 1)];
                match slot {
                    2 => self.states.restore(snapshot.clone()),
                    slot => self.states.restore_slot(Slot::of(&self.devices[slot + 1]), snapshot),
                }
            }
        }
    }

    /// The times of a device's readings before the one with this index.
    fn times(&self, device: usize, end: usize) -> BTreeSet<(i64, usize)> {
        let of_device = self.readings[..end].iter().enumerate().filter(|(_, reading)| reading.device == device);
        of_device.map(|(n, reading)| (reading.at, n)).collect()
    }

    /// Each row says the truth, or that it is partial.
    fn check(&self) -> Result<(), TestCaseError> {
        for row in self.results.rows() {
            let device = self.devices.iter().position(|id| *id == row.device_id).unwrap();
            let position: usize = row.position.sequence.to_string().parse().unwrap();
            let mut times = self.times(device, position);
            if let Item::History { from_ms } = row.item {
                times.retain(|(at, _)| *at < from_ms + 60_000);
            }
            let MetricResult { partial, average, lost_until, .. } = &row.metrics["m"];
            let (count, expected) = (average.count as usize, times.len());
            if *partial {
                prop_assert!(count <= expected, "{row:?} has more than {expected} readings");
                let may_lack = times.iter().filter(|(at, _)| Some(*at) <= *lost_until).count();
                prop_assert!(count + may_lack >= expected, "{row:?} lacks more than the {may_lack} that may be lost");
            } else {
                let mean = times.iter().map(|(_, n)| *n as f64).sum::<f64>() / expected as f64;
                prop_assert!(count == expected && (average.mean - mean).abs() < 1e-9, "{row:?} has not {times:?}");
            }
        }
        Ok(())
    }

    /// Runs one invocation after the other to the end of the stream.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        self.invocations = [const { None }; INVOCATIONS];
        while self.acknowledged < self.readings.len() {
            let before = self.acknowledged;
            self.act(&Action::Start(0, 3));
            for _ in 0..1_000 {
                self.act(&Action::Step(0));
                self.check()?;
            }
            prop_assert!(self.acknowledged > before, "an invocation without faults does not end");
        }
        Ok(())
    }

    /// No row that was due is missing.
    fn check_end(&self) -> Result<(), TestCaseError> {
        let losses = futures::executor::block_on(self.progress.read(Sum::NAME, STREAM)).unwrap().lost_until;
        for (device, id) in self.devices.iter().enumerate() {
            let (mut open, mut closed, mut last) = (None, BTreeSet::new(), None);
            for (n, reading) in self.readings.iter().enumerate().filter(|(_, reading)| reading.device == device) {
                let minute = Some(reading.at.div_euclid(60_000) * 60_000);
                closed.extend(open.filter(|_| open < minute));
                (open, last) = (open.max(minute), Some(n + 1));
            }
            // A minute all of whose readings are lost before it closes has no row.
            let is_whole = !losses.contains_key(&Slot::of(id));
            for from_ms in closed.into_iter().filter(|_| is_whole) {
                prop_assert!(self.results.row(id, Item::History { from_ms }).is_some(), "{id} lacks {from_ms}");
            }
            let row = self.results.row(id, Item::Latest);
            let position = row.map(|row| row.position.sequence.to_string());
            if self.interval.is_zero() {
                prop_assert_eq!(position, last.map(|last| last.to_string()), "{}", id);
            } else {
                prop_assert_eq!(position.is_some(), last.is_some(), "{}", id);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_right_or_partial_whoever_runs_and_whatever_is_lost(
        readings in readings(),
        actions in actions(),
        interval_seconds in prop_oneof![Just(0), Just(12)],
        group in 1..3_usize,
    ) {
        let mut world = World::new(readings, Duration::from_secs(interval_seconds), group);
        for action in &actions {
            world.act(action);
            world.check()?;
        }
        world.finish()?;
        world.check_end()?;
    }

    #[test]
    fn without_losses_every_row_is_whole_in_the_end(readings in readings(), actions in actions()) {
        let mut world = World::new(readings, Duration::ZERO, 1);
        for action in actions.iter().filter(|action| !matches!(action, Action::Rollback(..))) {
            world.act(action);
        }
        world.finish()?;
        world.check_end()?;
        for row in world.results.rows() {
            prop_assert!(!row.metrics["m"].partial, "{row:?}");
        }
    }
}
