//! One look at the stream, and the next thing done about it.

use super::alarms::keep;
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

/// A plan that is so old is made anew: the load that it was made for is another by now.
const STALE_MS: i64 = 3_600_000;

/// The autoscaler of one stream.
#[derive(Clone, Debug)]
pub struct Autoscaler<C, M, A, L> {
    /// The stream.
    pub control: C,
    /// Where its metrics are read.
    pub metrics: M,
    /// Where its alarms are kept.
    pub alarms: A,
    /// What is remembered between ticks.
    pub ledger: L,
    /// How it is to be sized.
    pub policy: Policy,
    /// Who reads it.
    pub readers: Readers,
    /// Its alarms; none where they are somebody else's to keep.
    pub alarms_of: Option<ShardAlarms>,
    /// How long an invocation may act: longer than one can live.
    pub lease: Duration,
}

/// What a tick came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In a word.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
    /// Shards that are open; none if that was not looked at.
    pub open: Option<u32>,
    /// Shards that the load calls for, whatever the policy allows; none if no plan was made.
    pub wanted: Option<u32>,
    /// What was begun.
    pub begun: Option<Step>,
    /// Alarms that were set anew.
    pub alarms_changed: usize,
}

/// A tick's outcome in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// There is nothing to do.
    #[default]
    Nothing,
    /// A step has begun.
    Begun,
    /// The stream is being changed.
    Waiting,
    /// Another invocation acts at the moment.
    Held,
    /// Kinesis refused a step, and the plan is made anew.
    Refused,
    /// The stream sizes itself.
    OnDemand,
    /// There is no such stream.
    Gone,
}

/// What makes a plan of an observation at a time, in milliseconds since the epoch.
pub trait Planner: Sync {
    /// The plan.
    fn plan(&self, observation: &Observation, now_ms: i64) -> Plan;
}

impl<F: Fn(&Observation, i64) -> Plan + Sync> Planner for F {
    fn plan(&self, observation: &Observation, now_ms: i64) -> Plan {
        self(observation, now_ms)
    }
}

/// What becomes of a step upon the shards that are open now.
enum Standing {
    Done,
    ToDo,
    /// The shards are not those that it was planned for.
    Obsolete,
}

impl<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger> Autoscaler<C, M, A, L> {
    /// Looks at the stream and does the next thing, if `holder` may: no other invocation acts at the same time. `holder`
    /// is this invocation, by a name that no other has.
    ///
    /// What fails leaves the ledger as far as things went; the next tick goes on from there.
    pub async fn tick(&self, holder: &str, clock: &impl Now) -> Result<Report, RemoteError> {
        self.tick_by(holder, clock, &|observation: &Observation, now_ms| plan(observation, &self.policy, now_ms)).await
    }

    /// The same, with what `planner` makes of an observation and the time in place of the policy's plan.
    pub async fn tick_by(&self, holder: &str, clock: &impl Now, planner: &impl Planner) -> Result<Report, RemoteError> {
        let stream = self.control.name();
        let now_ms = clock.now_ms();
        let mut held = self.ledger.load(stream).await?;
        held.entry.forget(now_ms);
        if held.entry.is_held_against(holder, now_ms) {
            return Ok(Report::of(Outcome::Held, "another invocation acts"));
        }
        held.entry.lease = Some(Lease { holder: holder.to_owned(), until_ms: now_ms + self.lease.as_millis() as i64 });
        if !self.commit(&mut held).await? {
            return Ok(Report::of(Outcome::Held, "another invocation was faster"));
        }
        let done = self.act(&mut held, now_ms, planner).await;
        held.entry.lease = None;
        // Where it fails, the lease ends by itself; what was done is seen by the next tick.
        let released = self.commit(&mut held).await;
        let report = done?;
        released?;
        Ok(report)
    }

    /// What a tick would do now, and why: nothing is changed, neither the stream nor what is remembered.
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

    /// Writes the entry, if nobody else has: then this invocation's time is over.
    async fn commit(&self, held: &mut Versioned) -> Result<bool, RemoteError> {
        match self.ledger.commit(self.control.name(), held.version, &held.entry).await? {
            Some(version) => {
                held.version = version;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn act(&self, held: &mut Versioned, now_ms: i64, planner: &impl Planner) -> Result<Report, RemoteError> {
        let Some(summary) = self.control.summary().await? else {
            held.entry = Entry { lease: held.entry.lease.take(), ..Entry::default() };
            return Ok(Report::of(Outcome::Gone, "there is no such stream"));
        };
        if summary.mode == StreamMode::OnDemand {
            held.entry.work = None;
            let mut report = Report::of(Outcome::OnDemand, "the stream is on demand: Kinesis sizes it");
            report.alarms_changed = self.keep_alarms(None).await?;
            return Ok(report);
        }
        let mut report = match summary.status {
            StreamStatus::Active => self.advance(held, &summary, now_ms, planner).await?,
            _ => Report::of(Outcome::Waiting, "the stream is being changed"),
        };
        let open = self.control.open_shards().await?;
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
        report.open = Some(count);
        report.alarms_changed = self.keep_alarms(Some((count, &summary))).await?;
        Ok(report)
    }

    /// Makes the alarms those of so many open shards, or none.
    async fn keep_alarms(&self, of: Option<(u32, &Summary)>) -> Result<usize, RemoteError> {
        let Some(alarms) = &self.alarms_of else { return Ok(0) };
        let wanted = match of {
            None => Vec::new(),
            Some((open, summary)) => {
                let capacity = Capacity::of(&self.readers.consumers(summary));
                let definitions = alarms.definitions(open, &capacity, &self.policy);
                definitions.map_err(|error| RemoteError::new("define alarms", Remedy::GiveUp, error))?
            }
        };
        keep(&self.alarms, &alarms.prefix, wanted).await
    }

    /// The next thing for a stream that can be changed.
    async fn advance(
        &self,
        held: &mut Versioned,
        summary: &Summary,
        now_ms: i64,
        planner: &impl Planner,
    ) -> Result<Report, RemoteError> {
        let shards = self.control.open_shards().await?;
        let keyspace = match Keyspace::new(shards) {
            Ok(keyspace) => keyspace,
            // It has become active between the two calls.
            Err(error) => return Ok(Report::of(Outcome::Waiting, error.to_string())),
        };
        let entry = &mut held.entry;
        settle(entry, &keyspace, now_ms);
        let mut wanted = None;
        if entry.work.is_none() {
            let observation = self.observe(summary, entry, now_ms).await?;
            let plan = planner.plan(&observation, now_ms);
            wanted = Some(plan.wanted);
            let Plan { steps, direction, reason, .. } = plan;
            let Some(direction) = direction.filter(|_| !steps.is_empty()) else {
                return Ok(Report { wanted, ..Report::of(Outcome::Nothing, reason) });
            };
            entry.work = Some(Work { steps: steps.into(), sent: false, direction, reason, since_ms: now_ms });
        }
        let report = self.step(held, now_ms).await?;
        Ok(Report { wanted, ..report })
    }

    /// Begins the first step of the plan in progress, which is noted before.
    async fn step(&self, held: &mut Versioned, now_ms: i64) -> Result<Report, RemoteError> {
        let entry = &mut held.entry;
        let Some(work) = &mut entry.work else { return Ok(Report::default()) };
        let reason = work.reason.clone();
        let Some(step) = work.steps.front().cloned() else { return Ok(Report::default()) };
        let counts = matches!(step, Step::UpdateShardCount { .. });
        // A call that may have been sent is counted, and is the same call when it is sent again.
        if counts && !work.sent {
            entry.calls.push(now_ms);
        }
        work.sent = true;
        if !self.commit(held).await? {
            return Ok(Report::of(Outcome::Held, "this invocation's time is over"));
        }
        let answer = self.control.begin(&step).await?;
        let entry = &mut held.entry;
        if answer != Answer::Begun {
            // It was refused, and so does not count.
            if counts {
                entry.calls.pop();
            }
            if let Some(work) = &mut entry.work {
                work.sent = false;
            }
        }
        match answer {
            Answer::Begun => Ok(Report { begun: Some(step), ..Report::of(Outcome::Begun, reason) }),
            Answer::Busy => Ok(Report::of(Outcome::Waiting, "the stream is being changed")),
            Answer::Limited(words) => {
                entry.work = None;
                if counts {
                    entry.limited_at_ms = Some(now_ms);
                }
                Ok(Report::of(Outcome::Refused, format!("{reason}; refused: {words}")))
            }
            Answer::Obsolete(words) => {
                entry.work = None;
                Ok(Report::of(Outcome::Refused, format!("{reason}; refused: {words}")))
            }
        }
    }
}

impl Report {
    fn of(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), ..Self::default() }
    }
}

/// Brings the entry to what the open shards show: steps that are done, a plan that is finished or no longer fits, and
/// changes that nobody planned.
fn settle(entry: &mut Entry, keyspace: &Keyspace, now_ms: i64) {
    let open = keyspace.count();
    let known = entry.shards.replace(open);
    let Some(work) = &mut entry.work else {
        // Somebody's hand, or a deployment.
        if let Some(direction) = known.and_then(|known| direction(known, open)) {
            entry.changes.push(Change { at_ms: now_ms, direction });
        }
        return;
    };
    let mut finished = false;
    while let Some(step) = work.steps.front() {
        match standing(step, keyspace) {
            Standing::Done => {
                finished = true;
                work.steps.pop_front();
                work.sent = false;
            }
            Standing::ToDo => break,
            Standing::Obsolete => {
                tracing::info!(?step, "the shards are not those of the plan any more");
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

fn standing(step: &Step, keyspace: &Keyspace) -> Standing {
    let is_open = |shard: &str| keyspace.shards().iter().any(|range| range.shard == shard);
    let done = match step {
        Step::UpdateShardCount { target } => keyspace.count() == *target,
        Step::Split { shard, at } => !is_open(shard) && keyspace.shards().iter().any(|range| range.start == *at),
        Step::Merge { shard, adjacent } => !is_open(shard) && !is_open(adjacent),
    };
    match keyspace.after(step) {
        _ if done => Standing::Done,
        Ok(_) => Standing::ToDo,
        Err(_) => Standing::Obsolete,
    }
}
