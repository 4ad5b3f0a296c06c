//! Runs a rule under faults, for its tests: invocations that run at the same time, end anywhere, or go on when they should be
//! dead, on stores that lose what they had.
//!
//! Each row must have what the rule makes of the plain list of readings, or say that it is partial; and each alert must be one
//! of theirs. [`Trial::seeds`] is all that a function's test needs.

mod expected;
mod slow;

use super::State as _;
use super::handle::{Context, Limits, Ports, process};
use super::progress::ProgressStore as _;
use super::progress::memory::MemoryProgress;
use super::rule::{OutcomeOf, Rule};
use super::settings::{Found, SettingsSource};
use super::shards::Shards;
use super::states::memory::{MemoryStates, Snapshot};
use crate::alert::{Alert, Incident, MemoryReporter};
use crate::device::reading::Reading;
use crate::lake::dead_letter::MemoryDeadLetters;
use crate::platform::clock::ManualClock;
use crate::platform::errors::RemoteError;
use crate::results::memory::MemoryResults;
use crate::results::{Item, Outcome as _, Row};
use crate::stream::batch::{Batch, StreamRecord};
use crate::stream::slot::Slot;
use crate::stream::source::memory::MemoryStream;
use expected::{Expected, reporter};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use slow::Slow;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

const STREAM: &str = "readings";
const SHARD: &str = "shardId-000000000000";
/// How many shards the stream has. All readings are in the first.
const SHARDS: usize = 64;
/// How many invocations there are at the same time, at most.
pub const INVOCATIONS: usize = 3;
/// How many steps an invocation without faults takes at most.
const STEPS_MAX: usize = 10_000;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An invocation starts with so many records from the first one on that is not acknowledged, in a place that is free.
    Start(usize, usize),
    /// An invocation goes on until it has called a store, or has its answer.
    Step(usize),
    /// An invocation ends.
    Crash(usize),
    /// The store loses what a slot got in so many of the last steps. The first number is the index of a device of the slot; an
    /// index that no device has means all slots.
    Rollback(usize, usize),
}

impl Action {
    fn random(random: &mut StdRng) -> Self {
        let place = random.random_range(0..INVOCATIONS);
        match random.random_range(0..35) {
            0..3 => Self::Start(place, random.random_range(1..5)),
            3 => Self::Crash(place),
            4 => Self::Rollback(random.random_range(0..=DEVICES), random.random_range(0..40)),
            _ => Self::Step(place),
        }
    }
}

/// How many [`devices`] there are.
const DEVICES: usize = 3;

/// Names for the devices of a trial: the first two share a slot.
pub fn devices() -> [String; DEVICES] {
    let in_slot = |slot: u8| (0..).map(|n| format!("d{n}")).filter(move |name| Slot::of(name) == Slot(slot));
    let mut low = in_slot(1);
    [low.next(), low.next(), in_slot(2).next()].map(Option::unwrap_or_default)
}

/// A rule with its readings, on stores in memory.
pub struct Trial<R: Rule> {
    settings: R::Settings,
    is_partial: fn(&OutcomeOf<R>) -> bool,
    /// The records of the stream.
    records: Vec<StreamRecord>,
    /// The device of each record.
    device_of: Vec<String>,
    expected: Expected<OutcomeOf<R>>,
    stream: MemoryStream,
    progress: Arc<MemoryProgress>,
    states: Arc<MemoryStates<R::State>>,
    results: Arc<MemoryResults<OutcomeOf<R>>>,
    findings: Arc<MemoryReporter>,
    limits: Limits,
    /// How many records Lambda delivers no more.
    acknowledged: usize,
    invocations: [Option<Invocation>; INVOCATIONS],
    snapshots: Vec<Snapshot>,
    /// Whether the store has lost anything.
    has_lost: bool,
}

type Running = Pin<Box<dyn Future<Output = Result<(), RemoteError>>>>;

/// An invocation: what it does, and where its batch begins and ends.
struct Invocation {
    running: Running,
    begin: usize,
    end: usize,
}

impl<R: Rule> Trial<R>
where
    R::Settings: Clone + 'static,
{
    /// Runs the readings of each seed under random faults, which follow from the seed. The readings are of [`devices`]. Each row
    /// must be right, or consist of outcomes for which `is_partial` is true.
    ///
    /// # Panics
    /// A row is wrong or missing. The message has the seed.
    pub fn seeds(
        seeds: Range<u64>,
        settings: &R::Settings,
        is_partial: fn(&OutcomeOf<R>) -> bool,
        readings: impl Fn(&mut StdRng) -> Vec<Reading>,
    ) {
        for seed in seeds {
            let mut random = StdRng::seed_from_u64(seed);
            let readings = readings(&mut random);
            let interval = Duration::from_secs(if random.random() { 12 } else { 0 });
            let mut trial = Self::new(settings.clone(), is_partial, &readings, interval, random.random_range(1..3));
            // What is missing is found where nothing is lost: a loss excuses it.
            let loses = seed % 2 == 1;
            let mut run = || {
                for _ in 0..random.random_range(0..250) {
                    match Action::random(&mut random) {
                        Action::Rollback(..) if !loses => {}
                        action => trial.act(action),
                    }
                    trial.check()?;
                }
                trial.finish()
            };
            if let Err(problem) = run() {
                panic!("seed {seed}: {problem}");
            }
        }
    }

    /// The rule with these readings, in the order of the stream, and five seconds between two of them. `interval` and `group`
    /// are those of [`Limits`].
    pub fn new(
        settings: R::Settings,
        is_partial: fn(&OutcomeOf<R>) -> bool,
        readings: &[Reading],
        interval: Duration,
        group: usize,
    ) -> Self {
        let begin_ms = readings.iter().map(|reading| reading.received_at).max().unwrap_or_default();
        let record = |(reading, n): (&Reading, u32)| StreamRecord {
            sequence: n.to_string().parse().unwrap_or_default(),
            partition_key: reading.device_id.as_str().into(),
            arrived_ms: begin_ms + i64::from(n) * 5_000,
            data: reading.to_json().unwrap_or_default().into(),
        };
        let records = readings.iter().zip(1..).map(record).collect();
        let device_of = readings.iter().map(|reading| reading.device_id.clone()).collect();
        let expected = Expected::of::<R>(&settings, readings);
        let limits = Limits { results_interval: interval, history_ttl: Duration::from_hours(1), group };
        let (progress, states, results) = (Arc::default(), Arc::default(), Arc::default());
        let (acknowledged, invocations, snapshots) = (0, [const { None }; INVOCATIONS], vec![Snapshot::new()]);
        let stream = MemoryStream::new(SHARDS);
        let findings = Arc::new(reporter(begin_ms));
        Self {
            settings,
            is_partial,
            records,
            device_of,
            expected,
            stream,
            progress,
            states,
            results,
            findings,
            limits,
            acknowledged,
            invocations,
            snapshots,
            has_lost: false,
        }
    }

    fn start(&self, length: usize) -> Option<Invocation> {
        let begin = self.acknowledged;
        let end = (begin + length).min(self.records.len());
        let batch =
            Batch { stream: STREAM.to_owned(), shard: SHARD.to_owned(), records: self.records[begin..end].to_vec() };
        let context = Context::<InTrial<R>> {
            settings: Fixed(self.settings.clone()),
            shards: Shards::new(self.stream.clone()),
            progress: Slow(Arc::clone(&self.progress)),
            states: Slow(Arc::clone(&self.states)),
            results: Slow(Arc::clone(&self.results)),
            findings: Slow(Arc::clone(&self.findings)),
            letters: MemoryDeadLetters::new(),
            clock: ManualClock::at(batch.records.first().map_or(0, |record| record.arrived_ms)),
            limits: self.limits,
        };
        let running: Running = Box::pin(async move { process(&context, &batch).await });
        (begin < end).then_some(Invocation { running, begin, end })
    }

    /// Does one action.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Start(place, length) => {
                if self.invocations[place].is_none() {
                    self.invocations[place] = self.start(length);
                }
            }
            Action::Step(place) => {
                let Some(invocation) = &mut self.invocations[place] else { return };
                if let Poll::Ready(done) = invocation.running.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
                {
                    // Lambda goes on after a batch if it has waited for its answer.
                    if done.is_ok() && invocation.begin == self.acknowledged {
                        self.acknowledged = invocation.end;
                    }
                    self.invocations[place] = None;
                }
                self.snapshots.push(self.states.snapshot());
            }
            Action::Crash(place) => self.invocations[place] = None,
            Action::Rollback(device, age) => {
                self.has_lost = true;
                let snapshot = &self.snapshots[self.snapshots.len().saturating_sub(age + 1)];
                match devices().get(device) {
                    Some(device) => self.states.restore_slot(Slot::of(device), snapshot),
                    None => self.states.restore(snapshot.clone()),
                }
            }
        }
    }

    /// All rows that were written.
    pub fn rows(&self) -> Vec<Row<OutcomeOf<R>>> {
        self.results.rows()
    }

    /// Checks that each row is right or partial.
    ///
    /// # Errors
    /// The row that is not, in words.
    pub fn check(&self) -> Result<(), String> {
        for row in self.results.rows() {
            let position: usize = row.position.sequence.to_string().parse().map_err(|_| "not a position")?;
            if row.lost_until.is_some() && !self.has_lost {
                return Err(format!(
                    "{} notes a loss, and there was none: the state cannot be read as it was stored",
                    row.key()
                ));
            }
            let expected = self.expected.at(&row.device_id, row.item, position);
            let is_right = |metric: &String, outcome: &OutcomeOf<R>| {
                let is_lost = row.lost_until.is_some() && (self.is_partial)(outcome);
                is_lost || expected.get(metric.as_str()) == Some(&outcome)
            };
            if let Some((metric, outcome)) = row.metrics.iter().find(|one| !is_right(one.0, one.1)) {
                let expected = expected.get(metric.as_str());
                return Err(format!("{} of {metric}, at {position}: {outcome:?} instead of {expected:?}", row.key()));
            }
            if let Some(metric) = expected.keys().find(|metric| !row.metrics.contains_key(**metric))
                && row.lost_until.is_none()
            {
                return Err(format!("{} at {position} lacks {metric}", row.key()));
            }
        }
        Ok(())
    }

    /// Ends all invocations, runs one after the other to the end of the stream, and checks that no row and no alert is missing.
    ///
    /// # Errors
    /// The row or the alert that is wrong or missing, in words.
    pub fn finish(&mut self) -> Result<(), String> {
        self.invocations = [const { None }; INVOCATIONS];
        while self.acknowledged < self.records.len() {
            let before = self.acknowledged;
            self.act(Action::Start(0, 3));
            for _ in 0..STEPS_MAX {
                if self.invocations[0].is_none() {
                    break;
                }
                self.act(Action::Step(0));
                self.check()?;
            }
            if self.acknowledged == before {
                return Err("an invocation without faults does not end".to_owned());
            }
        }
        self.check_alerts()?;
        let progress = futures::executor::block_on(self.progress.read(R::State::NAME, STREAM));
        let losses = progress.map_err(|error| error.to_string())?.lost_until;
        for (device, of_device) in &self.expected.devices {
            // An interval all of whose readings are lost before it closes has no row.
            let is_whole = !losses.contains_key(&Slot::of(device));
            let closed: BTreeSet<Item> = of_device.history.keys().map(|(item, _)| *item).collect();
            if let Some(item) = closed.into_iter().find(|item| is_whole && self.results.row(device, *item).is_none()) {
                return Err(format!("{device} lacks the row {}", item.key(OutcomeOf::<R>::NAMES)));
            }
            let Some(row) = self.results.row(device, Item::Latest) else {
                return Err(format!("{device} lacks its latest row"));
            };
            let last = self.device_of.iter().rposition(|of| of == device).map(|index| (index + 1).to_string());
            let has_latest = of_device.latest.values().next_back().is_some_and(|latest| !latest.is_empty());
            if has_latest && self.limits.results_interval.is_zero() && Some(row.position.sequence.to_string()) != last {
                return Err(format!("the latest row of {device} is that of {}, not of {last:?}", row.position));
            }
        }
        Ok(())
    }
}

impl<R: Rule> Trial<R> {
    /// Checks that the alerts are those of the plain list of readings, some of them several times. After a loss, an incident may have
    /// begun at another time, but what is over in the plain list is over.
    fn check_alerts(&self) -> Result<(), String> {
        let keys = |reporter: &MemoryReporter| -> BTreeSet<_> {
            reporter.topic.alerts().iter().map(|alert| (alert.key(), alert.detail.clone())).collect()
        };
        let (found, expected) = (keys(&self.findings), keys(&self.expected.findings));
        if !self.has_lost && found != expected {
            return Err(format!("the alerts are {found:?} instead of {expected:?}"));
        }
        let open = |reporter: &MemoryReporter| -> Vec<_> {
            let open = reporter.incidents.all().into_iter().filter(|incident| incident.cleared_ms.is_none());
            open.map(|Incident { device_id, rule, .. }| (device_id, rule)).collect()
        };
        let (found, expected) = (open(&self.findings), open(&self.expected.findings));
        if found != expected {
            return Err(format!("the open incidents are {found:?} instead of {expected:?}"));
        }
        let raised: Vec<Alert> = self.findings.topic.alerts();
        let raised: BTreeSet<&str> = raised.iter().map(|alert| alert.id.as_str()).collect();
        match self.findings.incidents.all().iter().find(|incident| !raised.contains(incident.id.as_str())) {
            Some(incident) => Err(format!("{incident:?} has no alert")),
            None => Ok(()),
        }
    }
}

/// The same settings for each device.
struct Fixed<S>(S);

impl<S: Clone + Send + Sync> SettingsSource for Fixed<S> {
    type Settings = S;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<Found<'a, S>, RemoteError> {
        Ok(devices.iter().map(|device| (*device, Ok(self.0.clone()))).collect())
    }
}

struct InTrial<R>(PhantomData<fn() -> R>);

impl<R: Rule> Ports for InTrial<R>
where
    R::Settings: Clone,
{
    type Rule = R;
    type Settings = Fixed<R::Settings>;
    type Shards = MemoryStream;
    type Progress = Slow<MemoryProgress>;
    type States = Slow<MemoryStates<R::State>>;
    type Results = Slow<MemoryResults<OutcomeOf<R>>>;
    type Findings = Slow<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}
