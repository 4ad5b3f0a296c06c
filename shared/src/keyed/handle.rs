//! One batch, from its records to the commit of its states.
//!
//! A device's update depends on no other device, so devices advance in groups: while the stores work on some groups,
//! another is computed, and what a group needs in memory is close together.

use super::device::DeviceUpdate;
use super::input::{NumberRecord, ParsedBatch};
use super::rule::{Origin, Rule};
use super::settings::SettingsSource;
use super::states::{Commit, Committed, States, Version};
use crate::lake::dead_letter::{DeadLetter, DeadLetterStore, put_all};
use crate::platform::clock::Now;
use crate::platform::deadline::{Deadline, out_of_time};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::telemetry::{Metric, count, observe};
use crate::results::Results;
use crate::stream::answer::Answer;
use crate::stream::batch::Batch;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often the rows of a batch are written: once; once more where an earlier try left a row, or where a loss was found;
/// and again if another invocation wrote in between each time. After that the batch is better delivered again.
const ROUNDS: usize = 4;
/// How many devices advance together when deployed: enough that a call's own cost matters little, and few enough that the
/// first call goes out soon.
pub const GROUP: usize = 100;
/// How many groups are in progress at the same time.
const GROUPS: usize = 8;

/// The rule of a stateful function, and the ports that it works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The rule.
    type Rule: Rule;
    /// The settings of each device.
    type Settings: SettingsSource<Settings = <Self::Rule as Rule>::Settings>;
    /// The state of each device.
    type States: States<State = <Self::Rule as Rule>::State>;
    /// Where the results go.
    type Results: Results;
    /// Where the dead letters go.
    type Letters: DeadLetterStore;
    /// The wall clock.
    type Clock: Now;
}

/// What a stateful function works with, made once.
pub struct Context<P: Ports> {
    /// The settings of each device.
    pub settings: P::Settings,
    /// The state of each device.
    pub states: P::States,
    /// Where the results go.
    pub results: P::Results,
    /// Where the dead letters go.
    pub letters: P::Letters,
    /// The wall clock, for the invocation's deadline and for latencies; no result depends on it.
    pub clock: P::Clock,
    /// How long rows of history are kept.
    pub history_ttl: Duration,
    /// How many devices advance together, at least one: [`GROUP`] when deployed.
    pub group: usize,
}

type Settings<P> = <<P as Ports>::Rule as Rule>::Settings;
type Update<'a, P> = DeviceUpdate<'a, <P as Ports>::Rule>;

/// Processes one batch. The answer says whether it must be delivered again.
///
/// All of a batch is done or none of it counts as done: the states know what they have seen within it. `deadline_ms` is
/// when Lambda ends the invocation, in milliseconds since the epoch.
pub async fn handle<P: Ports>(context: &Context<P>, batch: &Batch, deadline_ms: i64) -> Answer {
    let deadline = Deadline::at(deadline_ms);
    // Cancellation is safe here: it looks like a crash. But no work begins without time for it.
    let processed = match deadline.left(&context.clock) {
        Duration::ZERO => None,
        _ => deadline.limit(&context.clock, Box::pin(process(context, batch))).await,
    };
    match processed.unwrap_or_else(|| Err(out_of_time("process the batch"))) {
        Ok(()) => Answer::DONE,
        Err(error) => Answer::retry_from_record(batch, 0, &error),
    }
}

async fn process<P: Ports>(context: &Context<P>, batch: &Batch) -> Result<(), RemoteError> {
    let mut parsed = ParsedBatch::of(batch);
    let mut letters = std::mem::take(&mut parsed.letters);
    let mut skipped = parsed.skipped;
    let devices = parsed.devices();
    let ids: Vec<&str> = devices.iter().map(|(device_id, _)| *device_id).collect();
    let found = if ids.is_empty() { HashMap::new() } else { context.settings.resolve(&ids).await? };

    let mut known = Vec::with_capacity(devices.len());
    for (device_id, numbers) in &devices {
        match found.get(device_id) {
            Some(Ok(settings)) => {
                let unwanted =
                    count_unwanted::<P::Rule>(settings, numbers.iter().map(|number| &*number.reading.metric));
                skipped += unwanted;
                if unwanted < numbers.len() {
                    known.push((*device_id, numbers.as_slice(), settings));
                }
            }
            Some(Err(problem)) => letters.extend(
                numbers
                    .iter()
                    .map(|number| DeadLetter::of_record(batch, &number.source, Some(device_id), None, problem.clone())),
            ),
            None => return Err(RemoteError::new("resolve devices", Remedy::Retry, "the answer lacks a device")),
        }
    }
    // What cannot be processed is stored before the batch is acknowledged.
    put_all(&context.letters, &letters, std::future::pending()).await.map_err(|unwritten| unwritten.source)?;

    if !known.is_empty() {
        advance(context, batch, &mut known).await?;
    }
    count(Metric::Records, parsed.records);
    count(Metric::Bytes, parsed.bytes);
    count(Metric::DeadLetters, letters.len());
    count(Metric::Skipped, skipped);
    let now_ms = context.clock.now_ms();
    let since = |later_ms: i64, ms: i64| later_ms.saturating_sub(ms).max(0) as f64;
    let (late, end_to_end): (Vec<_>, Vec<_>) = known
        .iter()
        .flat_map(|(_, numbers, _)| numbers.iter())
        .map(|number| (since(number.source.arrived_ms, number.reading.at), since(now_ms, number.reading.received_at)))
        .unzip();
    observe(Metric::LatenessMs, late);
    observe(Metric::EndToEndMs, end_to_end);
    Ok(())
}

/// How many of `metrics` the settings ask nothing of. Neighbours are often the same metric, which is looked up once.
fn count_unwanted<'m, R: Rule>(settings: &R::Settings, metrics: impl Iterator<Item = &'m str>) -> usize {
    let mut last: Option<(&str, bool)> = None;
    let is_unwanted = |metric: &&'m str| {
        let (_, wanted) = *last.insert(match last {
            Some(known) if known.0 == *metric => known,
            _ => (metric, R::wants(settings, metric)),
        });
        !wanted
    };
    metrics.filter(is_unwanted).count()
}

/// A known device, with its numbers and its settings.
type Known<'a, S> = (&'a str, &'a [&'a NumberRecord<'a>], &'a S);

/// Advances the known devices, in groups.
async fn advance<P: Ports>(
    context: &Context<P>,
    batch: &Batch,
    known: &mut [Known<'_, Settings<P>>],
) -> Result<(), RemoteError> {
    known.sort_by_cached_key(|(device_id, ..)| context.states.slot(device_id));
    let turn = Mutex::new(());
    let groups: Vec<_> =
        known.chunks(context.group.max(1)).map(|group| advance_group(context, batch, group, &turn)).collect();
    let mut advanced = stream::iter(groups).buffer_unordered(GROUPS);
    let mut conflicts = 0;
    while let Some(conflicting) = advanced.try_next().await? {
        conflicts += conflicting;
    }
    if conflicts > 0 {
        let what = format!("another invocation has advanced {conflicts} of {} devices", known.len());
        return Err(RemoteError::new("commit states", Remedy::Retry, what));
    }
    Ok(())
}

/// Advances a group of devices: effects before state. Returns how many of them another invocation has advanced meanwhile.
async fn advance_group<P: Ports>(
    context: &Context<P>,
    batch: &Batch,
    group: &[Known<'_, Settings<P>>],
    turn: &Mutex<()>,
) -> Result<usize, RemoteError> {
    let ids: Vec<&str> = group.iter().map(|(device_id, ..)| *device_id).collect();
    let loaded = context.states.load(&ids).await?;
    let mut updates: Vec<Update<'_, P>> = {
        // One group is computed at a time, after the requests of the others have gone out.
        let _turn = turn.lock().await;
        tokio::task::yield_now().await;
        let origin = Origin { stream: &batch.stream, shard: &batch.shard };
        let devices = group.iter().zip(&loaded);
        devices
            .map(|((device_id, numbers, settings), loaded)| {
                DeviceUpdate::new(device_id, numbers, *settings, origin, loaded)
            })
            .collect()
    };
    write_results(context, &mut updates).await?;
    let conflicts = commit(context, &updates).await?;
    if conflicts == 0 {
        report(batch, &updates);
    }
    Ok(conflicts)
}

/// Writes the rows of all updates, until each is settled.
async fn write_results<P: Ports>(context: &Context<P>, updates: &mut [Update<'_, P>]) -> Result<(), RemoteError> {
    let history_ttl_ms = context.history_ttl.as_millis() as i64;
    for _ in 0..ROUNDS {
        let now_ms = context.clock.now_ms();
        let mut writes = Vec::with_capacity(updates.len());
        let mut ranges = Vec::with_capacity(updates.len());
        for update in &*updates {
            let begin = writes.len();
            writes.extend(update.writes(now_ms, history_ttl_ms));
            ranges.push(begin..writes.len());
        }
        if writes.is_empty() {
            return Ok(());
        }
        let written = context.results.write(&writes).await?;
        let mut lossy = Vec::new();
        for (update, range) in updates.iter_mut().zip(ranges) {
            let (Some(writes), Some(written)) = (writes.get(range.clone()), written.get(range)) else {
                return Err(RemoteError::new("write results", Remedy::Retry, "the answer lacks a row"));
            };
            if update.settle(writes, written) {
                lossy.push((update.device_id(), &update.loaded().version));
            }
        }
        check_still_stored(context, &lossy).await?;
    }
    Err(RemoteError::new("write results", Remedy::Retry, "another invocation writes the same rows"))
}

/// Fails unless the states that were loaded are still stored. A row that is ahead of its state shows a loss only then: the
/// state of a zombie is not stored any more, and what it would flag as partial is whole.
async fn check_still_stored<P: Ports>(context: &Context<P>, lossy: &[(&str, &Version)]) -> Result<(), RemoteError> {
    if lossy.is_empty() {
        return Ok(());
    }
    let devices: Vec<&str> = lossy.iter().map(|(device_id, _)| *device_id).collect();
    let stored = context.states.load(&devices).await?;
    if stored.iter().zip(lossy).all(|(stored, (_, loaded))| stored.version == **loaded) {
        return Ok(());
    }
    count(Metric::Conflicts, lossy.len());
    Err(RemoteError::new("write results", Remedy::Retry, "another invocation has advanced a device"))
}

/// Commits the states, and returns how many of them conflict. A device without a conflict is done, also when the commit of
/// another one conflicts.
async fn commit<P: Ports>(context: &Context<P>, updates: &[Update<'_, P>]) -> Result<usize, RemoteError> {
    let commits: Vec<_> = updates
        .iter()
        .filter(|update| update.is_changed())
        .map(|update| Commit {
            device_id: update.device_id(),
            replaces: &update.loaded().version,
            state: &update.advance().state,
        })
        .collect();
    let committed = context.states.commit(&commits).await?;
    let conflicts = committed.iter().filter(|committed| **committed == Committed::Conflict).count();
    count(Metric::Conflicts, conflicts);
    Ok(conflicts)
}

/// Counts what a group came to, and logs a loss.
fn report<R: Rule>(batch: &Batch, updates: &[DeviceUpdate<'_, R>]) {
    let advances = || updates.iter().map(DeviceUpdate::advance);
    count(Metric::Readings, advances().map(|advance| advance.counted).sum());
    count(Metric::Duplicates, advances().map(|advance| advance.duplicates).sum());
    count(Metric::TooLate, advances().map(|advance| advance.too_late).sum());
    let metrics: usize = updates.iter().map(DeviceUpdate::losses).sum();
    let corrupted = updates.iter().filter(|update| update.loaded().corrupted).count();
    if metrics + corrupted > 0 {
        tracing::warn!(
            stream = batch.stream,
            shard = batch.shard,
            metrics,
            corrupted,
            "state was lost: results are partial until their windows have filled again"
        );
    }
}
