//! A tick: observes the stream once, and does the next thing.

use super::alarms::update;
use super::ledger::{Entry, Lease, Versioned, Work};
use super::{AlarmStore, Ledger, Metrics, Readers, StreamControl, observe};
use crate::platform::clock::Now;
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::ShardAlarms;
use crate::scaling::reshard::control::{Answer, Summary};
use crate::scaling::shards::{
    Capacity, Change, Direction, Keyspace, Observation, Plan, Policy, Step, StreamMode, StreamStatus, plan,
};
use serde::Serialize;
use std::time::Duration;

/// A plan of this age, in milliseconds, is replaced by a new one, because the load has changed since.
const STALE_MS: i64 = 3_600_000;

/// The autoscaler of one stream.
#[derive(Clone, Debug)]
pub struct Autoscaler<C, M, A, L> {
    /// The stream.
    pub control: C,
    /// The source of its metrics.
    pub metrics: M,
    /// The store of its alarms.
    pub alarms: A,
    /// The memory between ticks.
    pub ledger: L,
    /// The policy for its size.
    pub policy: Policy,
    /// The consumers that read it by polling.
    pub readers: Readers,
    /// Which alarms it has; `None` if something else maintains them.
    pub alarms_of: Option<ShardAlarms>,
    /// How long an invocation may act: longer than the time limit of an invocation.
    pub lease: Duration,
}

/// The result of a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The outcome.
    pub outcome: TickOutcome,
    /// The reason, in words.
    pub reason: String,
    /// The number of open shards; `None` if it was not read.
    pub open: Option<u32>,
    /// Shards that the load needs, regardless of the policy's bounds; `None` if no plan was made.
    pub wanted: Option<u32>,
    /// The step that has begun.
    pub begun: Option<Step>,
    /// How many calls the update of the alarms took.
    pub alarms_changed: usize,
}

/// The outcome of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TickOutcome {
    /// There is nothing to do.
    #[default]
    Nothing,
    /// A step has begun.
    Begun,
    /// A change of the stream is in progress.
    Waiting,
    /// Another invocation holds the lease.
    Held,
    /// Kinesis refused a step, and the next tick makes a new plan.
    Refused,
    /// The stream sizes itself.
    OnDemand,
    /// The stream does not exist.
    Gone,
}

/// Makes a plan from an observation and a time, in milliseconds since the epoch.
pub trait Planner: Sync {
    /// The plan.
    fn plan(&self, observation: &Observation, now_ms: i64) -> Plan;
}

impl<F: Fn(&Observation, i64) -> Plan + Sync> Planner for F {
    fn plan(&self, observation: &Observation, now_ms: i64) -> Plan {
        self(observation, now_ms)
    }
}

/// The status of a step, given the shards that are open now.
enum StepStatus {
    Done,
    ToDo,
    /// The shards are not those of the plan any more.
    Obsolete,
}

impl<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger> Autoscaler<C, M, A, L> {
    /// Observes the stream and does the next thing, unless another invocation is acting. `holder` is a name that only
    /// this invocation has.
    ///
    /// After a failure, the ledger has what was done so far, and the next tick continues from there.
    pub async fn tick(&self, holder: &str, clock: &impl Now) -> Result<Report, RemoteError> {
        self.tick_by(holder, clock, &|observation: &Observation, now_ms| plan(observation, &self.policy, now_ms)).await
    }

    /// Does the same as [`tick`](Self::tick), with the plan of `planner` instead of the policy's.
    pub async fn tick_by(&self, holder: &str, clock: &impl Now, planner: &impl Planner) -> Result<Report, RemoteError> {
        let stream = self.control.name();
        let now_ms = clock.now_ms();
        let mut versioned = self.ledger.load(stream).await?;
        versioned.entry.forget(now_ms);
        if versioned.entry.is_leased_to_another(holder, now_ms) {
            return Ok(Report::of(TickOutcome::Held, "another invocation holds the lease"));
        }
        versioned.entry.lease =
            Some(Lease { holder: holder.to_owned(), until_ms: now_ms + self.lease.as_millis() as i64 });
        if !self.commit(&mut versioned).await? {
            return Ok(Report::of(TickOutcome::Held, "another invocation took the lease first"));
        }
        let result = self.act(&mut versioned, now_ms, planner).await;
        versioned.entry.lease = None;
        // If this commit fails, the lease expires by itself, and the next tick sees what was done.
        let released = self.commit(&mut versioned).await;
        let report = result?;
        released?;
        Ok(report)
    }

    /// The observation and the plan that a tick would make now; `None` if the stream does not exist. Changes neither
    /// the stream nor the ledger.
    pub async fn look(&self, clock: &impl Now) -> Result<Option<(Observation, Plan)>, RemoteError> {
        let now_ms = clock.now_ms();
        let Some(summary) = self.control.summary().await? else { return Ok(None) };
        let mut entry = self.ledger.load(self.control.name()).await?.entry;
        let observation = self.observe(&summary, &mut entry, now_ms).await?;
        let plan = plan(&observation, &self.policy, now_ms);
        Ok(Some((observation, plan)))
    }

    async fn observe(&self, summary: &Summary, entry: &mut Entry, now_ms: i64) -> Result<Observation, RemoteError> {
        let shards = self.control.open_shards().await?;
        let (from, of) = ((&self.control, &self.metrics), (summary, &shards[..]));
        observe(from, of, &self.readers, &self.policy, entry, now_ms).await
    }

    /// Writes the entry. Returns false if another invocation has written it: then this invocation's lease has expired.
    async fn commit(&self, versioned: &mut Versioned) -> Result<bool, RemoteError> {
        match self.ledger.commit(self.control.name(), versioned.version, &versioned.entry).await? {
            Some(version) => {
                versioned.version = version;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn act(&self, versioned: &mut Versioned, now_ms: i64, planner: &impl Planner) -> Result<Report, RemoteError> {
        let Some(summary) = self.control.summary().await? else {
            versioned.entry = Entry { lease: versioned.entry.lease.take(), ..Entry::default() };
            return Ok(Report::of(TickOutcome::Gone, "the stream does not exist"));
        };
        if summary.mode == StreamMode::OnDemand {
            versioned.entry.work = None;
            let mut report = Report::of(TickOutcome::OnDemand, "the stream is on demand: Kinesis sizes it");
            report.alarms_changed = self.update_alarms(None).await?;
            return Ok(report);
        }
        let mut report = match summary.status {
            StreamStatus::Active => self.advance(versioned, &summary, now_ms, planner).await?,
            _ => Report::of(TickOutcome::Waiting, "the stream is being changed"),
        };
        let open = self.control.open_shards().await?;
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
        report.open = Some(count);
        report.alarms_changed = self.update_alarms(Some((count, &summary))).await?;
        Ok(report)
    }

    /// Updates the alarms to those for a number of open shards, or deletes them. Returns how many calls that took.
    async fn update_alarms(&self, of: Option<(u32, &Summary)>) -> Result<usize, RemoteError> {
        let Some(alarms) = &self.alarms_of else { return Ok(0) };
        let wanted = match of {
            None => Vec::new(),
            Some((open, summary)) => {
                let capacity = Capacity::of(&self.readers.consumers(summary));
                let definitions = alarms.definitions(open, &capacity, &self.policy);
                definitions.map_err(|error| RemoteError::new("define alarms", Remedy::GiveUp, error))?
            }
        };
        update(&self.alarms, &alarms.names(), wanted).await
    }

    /// Does the next thing for a stream that can be changed.
    async fn advance(
        &self,
        versioned: &mut Versioned,
        summary: &Summary,
        now_ms: i64,
        planner: &impl Planner,
    ) -> Result<Report, RemoteError> {
        let shards = self.control.open_shards().await?;
        let keyspace = match Keyspace::new(shards) {
            Ok(keyspace) => keyspace,
            // The stream changed between the two calls.
            Err(error) => return Ok(Report::of(TickOutcome::Waiting, error.to_string())),
        };
        let entry = &mut versioned.entry;
        update_work(entry, &keyspace, now_ms);
        let mut wanted = None;
        if entry.work.is_none() {
            let observation = self.observe(summary, entry, now_ms).await?;
            let plan = planner.plan(&observation, now_ms);
            wanted = Some(plan.wanted);
            let Plan { steps, direction, reason, .. } = plan;
            let Some(direction) = direction.filter(|_| !steps.is_empty()) else {
                return Ok(Report { wanted, ..Report::of(TickOutcome::Nothing, reason) });
            };
            entry.work = Some(Work { steps: steps.into(), sent: false, direction, reason, since_ms: now_ms });
        }
        let report = self.begin_step(versioned, now_ms).await?;
        Ok(Report { wanted, ..report })
    }

    /// Records the first step of the plan in progress, then begins it.
    async fn begin_step(&self, versioned: &mut Versioned, now_ms: i64) -> Result<Report, RemoteError> {
        let entry = &mut versioned.entry;
        let Some(work) = &mut entry.work else { return Ok(Report::default()) };
        let reason = work.reason.clone();
        let Some(step) = work.steps.front().cloned() else { return Ok(Report::default()) };
        let counts = matches!(step, Step::UpdateShardCount { .. });
        // Count a call before it is sent. If it is sent again, it is the same call.
        if counts && !work.sent {
            entry.calls.push(now_ms);
        }
        work.sent = true;
        if !self.commit(versioned).await? {
            return Ok(Report::of(TickOutcome::Held, "this invocation's lease has expired"));
        }
        let answer = self.control.begin(&step).await?;
        let entry = &mut versioned.entry;
        if answer != Answer::Begun {
            // A refused call does not count.
            if counts {
                entry.calls.pop();
            }
            if let Some(work) = &mut entry.work {
                work.sent = false;
            }
        }
        match answer {
            Answer::Begun => Ok(Report { begun: Some(step), ..Report::of(TickOutcome::Begun, reason) }),
            Answer::Busy => Ok(Report::of(TickOutcome::Waiting, "the stream is being changed")),
            Answer::Limited(message) => {
                entry.work = None;
                if counts {
                    entry.limited_at_ms = Some(now_ms);
                }
                Ok(Report::of(TickOutcome::Refused, format!("{reason}; refused: {message}")))
            }
            Answer::Obsolete(message) => {
                entry.work = None;
                Ok(Report::of(TickOutcome::Refused, format!("{reason}; refused: {message}")))
            }
        }
    }
}

impl Report {
    fn of(outcome: TickOutcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), ..Self::default() }
    }
}

/// Updates the entry from the open shards: removes steps that are done or obsolete, ends a finished or stale plan, and
/// records changes, also those made by hand.
fn update_work(entry: &mut Entry, keyspace: &Keyspace, now_ms: i64) {
    let open = keyspace.count();
    let known = entry.shards.replace(open);
    let Some(work) = &mut entry.work else {
        // A change by hand or by a deployment.
        if let Some(direction) = known.and_then(|known| direction(known, open)) {
            entry.changes.push(Change { at_ms: now_ms, direction });
        }
        return;
    };
    let mut finished = false;
    while let Some(step) = work.steps.front() {
        match step_status(step, keyspace) {
            StepStatus::Done => {
                finished = true;
                work.steps.pop_front();
                work.sent = false;
            }
            StepStatus::ToDo => break,
            StepStatus::Obsolete => {
                tracing::info!(?step, "a step is skipped: the shards are not those of the plan any more");
                work.steps.pop_front();
                work.sent = false;
            }
        }
    }
    let ends = work.steps.is_empty() || now_ms - work.since_ms >= STALE_MS;
    if finished || known.is_some_and(|known| known != open) {
        let change = Change { at_ms: now_ms, direction: work.direction };
        entry.changes.push(change);
    }
    if ends {
        entry.work = None;
    }
}

fn direction(from: u32, to: u32) -> Option<Direction> {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => Some(Direction::Grow),
        std::cmp::Ordering::Greater => Some(Direction::Shrink),
        std::cmp::Ordering::Equal => None,
    }
}

fn step_status(step: &Step, keyspace: &Keyspace) -> StepStatus {
    let is_open = |shard: &str| keyspace.shards().iter().any(|range| range.shard == shard);
    let done = match step {
        Step::UpdateShardCount { target } => keyspace.count() == *target,
        Step::Split { shard, at } => !is_open(shard) && keyspace.shards().iter().any(|range| range.start == *at),
        Step::Merge { shard, adjacent } => !is_open(shard) && !is_open(adjacent),
    };
    match keyspace.after(step) {
        _ if done => StepStatus::Done,
        Ok(_) => StepStatus::ToDo,
        Err(_) => StepStatus::Obsolete,
    }
}
