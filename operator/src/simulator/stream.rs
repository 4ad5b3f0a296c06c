//! The model of a stream with shards: what it accepts and refuses, how fast it is read, and how long a reshard takes.

use super::assumptions::{Assumptions, MINUTE_STEPS, STEP_S};
use super::contender::Scaler;
use super::demand::{Demand, plain_consumers};
use super::ledger::{Ledger, RunOutcome};
use super::metrics::Metrics;
use myaku::scaling::shards::{Change, Direction, Keyspace, Observation, OpenShard, Plan, Step, StreamStatus};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;

/// How long `UpdateShardCount` takes for each shard of its target, in seconds. Kinesis makes them in parallel.
const RESHARD_SHARD_S: u32 = 1;
/// Bytes that all plain consumers of a shard together can read in a second.
const READ_BYTES_PER_S: f64 = 2.0 * 1_048_576.0;
/// How many partition keys a sample has.
const SAMPLE: usize = 500;
/// Minutes between two observations of the habits of the load, as in the autoscaler.
const HABITS_MINUTES: usize = 60;

/// A reshard in progress.
struct Resharding {
    direction: Direction,
    steps: VecDeque<Step>,
    /// When the first of them is done, in milliseconds since the epoch.
    done_ms: i64,
}

/// A stream in a run.
pub(super) struct Stream<'a> {
    demand: &'a Demand,
    assumptions: &'a Assumptions,
    scaler: Scaler,
    keyspace: Keyspace,
    shares: Vec<f64>,
    /// Unread bytes of each shard, for the slowest consumer.
    backlog: Vec<f64>,
    resharding: Option<Resharding>,
    metrics: Metrics,
    /// What the scaler observes. It is kept from minute to minute, because little of it changes.
    observation: Observation,
    uneven: bool,
    ledger: Ledger,
    rng: StdRng,
}

impl<'a> Stream<'a> {
    pub(super) fn new(demand: &'a Demand, assumptions: &'a Assumptions, first_shards: u32, scaler: Scaler) -> Self {
        let mut stream = Self {
            demand,
            assumptions,
            scaler,
            keyspace: Keyspace::uniform(first_shards, |index| index.to_string()),
            shares: Vec::new(),
            backlog: Vec::new(),
            resharding: None,
            metrics: Metrics::new(demand.start_ms, assumptions.metrics_delay_s),
            observation: Observation::default(),
            uneven: false,
            ledger: Ledger::default(),
            rng: StdRng::seed_from_u64(assumptions.seed),
        };
        stream.follow_keyspace();
        stream
    }

    pub(super) fn run(mut self, name: &str) -> RunOutcome {
        let (mut records, mut refused) = (0.0, 0.0);
        for (index, wanted) in self.demand.steps.iter().enumerate() {
            let now_ms = self.demand.start_ms + (index as i64 + 1) * i64::from(STEP_S) * 1_000;
            let accepted = self.put(*wanted);
            records += accepted;
            refused += wanted - accepted;
            self.ledger.step(accepted, wanted - accepted, self.shares.len() as f64);
            self.reshard(now_ms);
            if (index + 1) % MINUTE_STEPS as usize == 0 {
                let bytes = records * self.assumptions.record_bytes;
                self.metrics.minute(records, bytes, if refused > 1e-3 { refused } else { 0.0 }, now_ms);
                self.ledger.minute(self.shares.len() as f64);
                self.plan_change(now_ms);
                (records, refused) = (0.0, 0.0);
            }
        }
        self.ledger.provisioned(name, self.assumptions)
    }

    /// Puts the records of one step and lets the consumers read. Returns how many records the stream accepts.
    fn put(&mut self, wanted: f64) -> f64 {
        let limit = self.demand.shard_limit();
        let accepted: f64 = self.shares.iter().map(|share| (wanted * share).min(limit)).sum();
        let read = READ_BYTES_PER_S / f64::from(self.assumptions.consumers.max(1)) * f64::from(STEP_S);
        if limit * self.assumptions.record_bytes > read * (1.0 + 1e-9) {
            for (backlog, share) in self.backlog.iter_mut().zip(&self.shares) {
                *backlog = (*backlog + (wanted * share).min(limit) * self.assumptions.record_bytes - read).max(0.0);
                let lag_s = *backlog / read * f64::from(STEP_S);
                self.ledger.lag_s_max = self.ledger.lag_s_max.max(lag_s);
            }
        }
        accepted
    }

    /// Finishes the steps that are due, and begins the next one.
    fn reshard(&mut self, now_ms: i64) {
        while let Some(resharding) = self.resharding.as_mut().filter(|resharding| resharding.done_ms <= now_ms) {
            if let Some(step) = resharding.steps.pop_front() {
                self.uneven = !matches!(step, Step::UpdateShardCount { .. });
                // A plan has only steps that Kinesis accepts.
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
                self.scaler.reset_alarms(self.keyspace.count(), &self.demand.capacity, now_ms);
            }
            self.follow_keyspace();
        }
    }

    /// Lets the scaler observe the stream, and begins what it plans.
    fn plan_change(&mut self, now_ms: i64) {
        if self.scaler.is_idle(&self.metrics, now_ms) || self.resharding.is_some() {
            return;
        }
        self.observe(now_ms);
        let Plan { steps, direction, .. } = self.scaler.plan(&self.observation, now_ms);
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
        let (load, throttled) = self.metrics.newest(self.scaler.minutes());
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
        if self.scaler.uses_habits() && self.ledger.minutes() % HABITS_MINUTES == 1 {
            observation.habits = self.metrics.habits(&self.demand.capacity);
        }
        // If keys and shards are even, a sample says nothing that the widths of the shards do not say.
        let is_sampled = self.scaler.uses_keys() && (self.uneven || !self.demand.keys.are_even());
        observation.sample = if is_sampled { self.demand.keys.sample(SAMPLE, &mut self.rng) } else { Vec::new() };
    }

    fn lag_s(&self) -> f64 {
        let read = READ_BYTES_PER_S / f64::from(self.assumptions.consumers.max(1));
        self.backlog.iter().copied().fold(0.0, f64::max) / read
    }

    /// Updates everything that depends on the keyspace.
    fn follow_keyspace(&mut self) {
        let ranges = self.keyspace.shards();
        self.shares = self.demand.keys.shares(ranges);
        // Parents are read before their children. Unread records are attributed to the new shards by their share.
        let unread: f64 = self.backlog.iter().sum();
        self.backlog = self.shares.iter().map(|share| unread * share).collect();
        self.observation.shards = ranges.iter().map(|range| OpenShard { range: range.clone(), load: None }).collect();
        self.observation.consumers = plain_consumers(self.assumptions.consumers);
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
