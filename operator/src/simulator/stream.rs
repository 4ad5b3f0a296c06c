//! A stream of shards: what it takes, refuses and gives, and how long it takes to be cut anew.

use super::contender::Pilot;
use super::demand::Demand;
use super::ledger::{Ledger, Outcome};
use super::metrics::Metrics;
use super::{Assumptions, MINUTE_STEPS, STEP_S};
use myaku::scaling::shards::{
    Change, Consumer, Direction, FanOut, Keyspace, Observation, OpenShard, Plan, Step, StreamStatus,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;

/// For each shard that UpdateShardCount makes, in seconds; they are made side by side.
const RESHARD_SHARD_S: u32 = 1;
/// Bytes that a shard gives to all its plain consumers in a second.
const READ_BYTES_PER_S: f64 = 2.0 * 1_048_576.0;
/// Records of a sample of partition keys.
const SAMPLE: usize = 500;
/// Minutes between two looks at the habits of the load, as the autoscaler takes them.
const HABITS_MINUTES: usize = 60;

/// Steps under way.
struct Resharding {
    direction: Direction,
    steps: VecDeque<Step>,
    /// When the first of them is done, in milliseconds since the epoch.
    done_ms: i64,
}

/// A stream in the course of a run.
pub(super) struct Stream<'a> {
    demand: &'a Demand,
    assumptions: &'a Assumptions,
    pilot: Pilot,
    keyspace: Keyspace,
    shares: Vec<f64>,
    /// Unread bytes of each shard, for the slowest consumer.
    backlog: Vec<f64>,
    resharding: Option<Resharding>,
    metrics: Metrics,
    /// What the pilot is shown; kept from minute to minute, since little of it changes.
    observation: Observation,
    uneven: bool,
    ledger: Ledger,
    rng: StdRng,
}

impl<'a> Stream<'a> {
    pub(super) fn new(demand: &'a Demand, assumptions: &'a Assumptions, first: u32, pilot: Pilot) -> Self {
        let mut stream = Self {
            demand,
            assumptions,
            pilot,
            keyspace: Keyspace::uniform(first, |index| index.to_string()),
            shares: Vec::new(),
            backlog: Vec::new(),
            resharding: None,
            metrics: Metrics::new(demand.start_ms, assumptions.metrics_delay_s),
            observation: Observation::default(),
            uneven: false,
            ledger: Ledger::default(),
            rng: StdRng::seed_from_u64(assumptions.seed),
        };
        stream.recut();
        stream
    }

    pub(super) fn run(mut self, name: &str) -> Outcome {
        let (mut records, mut refused) = (0.0, 0.0);
        for (index, wanted) in self.demand.steps.iter().enumerate() {
            let now_ms = self.demand.start_ms + (index as i64 + 1) * i64::from(STEP_S) * 1_000;
            let taken = self.take(*wanted);
            records += taken;
            refused += wanted - taken;
            self.ledger.step(taken, wanted - taken, self.shares.len() as f64);
            self.reshard(now_ms);
            if (index + 1) % MINUTE_STEPS as usize == 0 {
                let bytes = records * self.assumptions.record_bytes;
                self.metrics.minute(records, bytes, if refused > 1e-3 { refused } else { 0.0 }, now_ms);
                self.ledger.minute(self.shares.len() as f64);
                self.steer(now_ms);
                (records, refused) = (0.0, 0.0);
            }
        }
        self.ledger.provisioned(name, self.assumptions)
    }

    /// Puts the records of one step, and has the consumers read.
    fn take(&mut self, wanted: f64) -> f64 {
        let limit = self.demand.shard_step();
        let taken: f64 = self.shares.iter().map(|share| (wanted * share).min(limit)).sum();
        let read = READ_BYTES_PER_S / f64::from(self.assumptions.consumers.max(1)) * f64::from(STEP_S);
        if limit * self.assumptions.record_bytes > read * (1.0 + 1e-9) {
            for (backlog, share) in self.backlog.iter_mut().zip(&self.shares) {
                *backlog = (*backlog + (wanted * share).min(limit) * self.assumptions.record_bytes - read).max(0.0);
                let lag_s = *backlog / read * f64::from(STEP_S);
                self.ledger.lag_s_max = self.ledger.lag_s_max.max(lag_s);
            }
        }
        taken
    }

    /// Finishes the steps whose time has come.
    fn reshard(&mut self, now_ms: i64) {
        while let Some(resharding) = self.resharding.as_mut().filter(|resharding| resharding.done_ms <= now_ms) {
            if let Some(step) = resharding.steps.pop_front() {
                self.uneven = !matches!(step, Step::UpdateShardCount { .. });
                // A plan only has steps that Kinesis takes.
                if let Ok(after) = self.keyspace.after(&step) {
                    self.keyspace = after;
                }
            }
            if let Some(next) = resharding.steps.front() {
                resharding.done_ms += self.assumptions.duration_ms(next);
            } else {
                let change = Change { at_ms: now_ms, direction: resharding.direction };
                self.resharding = None;
                self.observation.changes.push(change);
                let known = self.observation.changes.len().saturating_sub(8);
                self.observation.changes.drain(..known);
                self.pilot.changed(self.keyspace.count(), &self.demand.capacity, now_ms);
            }
            self.recut();
        }
    }

    /// Lets the pilot look, and does what it wants.
    fn steer(&mut self, now_ms: i64) {
        if self.pilot.is_idle(&self.metrics, now_ms) || self.resharding.is_some() {
            return;
        }
        self.observe(now_ms);
        let Plan { steps, direction, .. } = self.pilot.plan(&self.observation, now_ms);
        if let (Some(first), Some(direction)) = (steps.first(), direction) {
            for step in &steps {
                match step {
                    Step::UpdateShardCount { .. } => {
                        self.ledger.calls += 1;
                        self.observation.calls.push(now_ms);
                    }
                    Step::Split { .. } | Step::Merge { .. } => self.ledger.splits_and_merges += 1,
                }
            }
            let done_ms = now_ms + self.assumptions.duration_ms(first);
            self.resharding = Some(Resharding { direction, steps: steps.into(), done_ms });
        }
    }

    fn observe(&mut self, now_ms: i64) {
        let (load, throttled) = self.metrics.newest(self.pilot.minutes());
        let lag_ms = self.lag_s() * 1_000.0;
        let observation = &mut self.observation;
        observation.status = StreamStatus::Active;
        observation.pulse = throttled.clone();
        observation.load = load;
        observation.throttled = throttled;
        observation.calls.retain(|&at| at > now_ms - 24 * 3_600_000);
        for consumer in &mut observation.consumers {
            consumer.iterator_age_ms = Some(lag_ms);
        }
        if self.pilot.looks_at_habits() && self.ledger.minutes() % HABITS_MINUTES == 1 {
            observation.habits = self.metrics.habits(&self.demand.capacity);
        }
        // Where keys are even a sample tells nothing that the widths don't; it is drawn where they are not.
        let telling = self.pilot.looks_at_keys() && (self.uneven || !self.demand.keys.are_even());
        observation.sample = if telling { self.demand.keys.sample(SAMPLE, &mut self.rng) } else { Vec::new() };
    }

    fn lag_s(&self) -> f64 {
        let read = READ_BYTES_PER_S / f64::from(self.assumptions.consumers.max(1));
        self.backlog.iter().copied().fold(0.0, f64::max) / read
    }

    /// What follows from a new keyspace.
    fn recut(&mut self) {
        let ranges = self.keyspace.shards();
        self.shares = self.demand.keys.shares(ranges);
        // Parents are read before their children: what is unread goes on with the keyspace, by width.
        let unread: f64 = self.backlog.iter().sum();
        self.backlog = self.shares.iter().map(|share| unread * share).collect();
        self.observation.shards = ranges.iter().map(|range| OpenShard { range: range.clone(), load: None }).collect();
        let consumer =
            |index| Consumer { name: format!("consumer {index}"), fan_out: FanOut::Plain, iterator_age_ms: None };
        self.observation.consumers = (1..=self.assumptions.consumers).map(consumer).collect();
    }
}

impl Assumptions {
    fn duration_ms(&self, step: &Step) -> i64 {
        let seconds = match step {
            Step::UpdateShardCount { target } => self.reshard_s + target * RESHARD_SHARD_S,
            Step::Split { .. } | Step::Merge { .. } => self.reshard_s,
        };
        i64::from(seconds) * 1_000
    }
}
