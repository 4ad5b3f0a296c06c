//! Keeps the moving average of each device's metrics.
//!
//! Promise 2, effects before state: load the state of the devices in the batch, compute purely, write the results, and
//! only then commit the new state by compare-and-set. A crash before the commit repeats the same effects; a zombie's
//! commit fails, and its rows overwrite nothing newer.
//!
//! A device's part depends on no other's, so that the devices advance in groups: while the stores are at work on some
//! groups, another is computed, and what a group needs in memory is near.

mod config;
mod intake;
mod settle;
mod windows;

pub use config::Config;
pub use windows::{Found, MetricWindows, Windows};

use aws_lambda_events::streams::KinesisEventResponse;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use intake::{Intake, Taken, letter};
use myaku::device::registry;
use myaku::lake::dead_letter::{DeadLetter, DeadLetterStore, S3DeadLetters, put_all};
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::errors::{Remedy, RemoteError, chain};
use myaku::platform::telemetry::{Metric, count, observe};
use myaku::platform::{aws, redis};
use myaku::results::Results;
use myaku::results::dynamodb::DynamoDbResults;
use myaku::stream::batch::Batch;
use myaku::window::Origin;
use myaku::window::state::redis::RedisStates;
use myaku::window::state::{Commit, Committed, States, Version};
use settle::Part;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;
use windows::without_window;

/// What is left of an invocation's time when no more work begins: enough to answer and to write the metrics.
const MARGIN: Duration = Duration::from_secs(1);
/// How often the rows of a batch are written: once; once more where a row of an earlier try stands, or where a loss
/// was found; and again if somebody else wrote in between each time. Then the batch is better begun anew.
const ROUNDS: usize = 4;
/// Devices that advance together when deployed: enough to make little of a call's own cost, and few enough that the first
/// call goes out soon.
pub const GROUP: usize = 100;
/// Groups that are under way at the same time.
const GROUPS: usize = 8;

/// What the function works with, made once.
pub struct Context<W, S, R, D, N> {
    /// Which windows a device's metrics have.
    pub windows: W,
    /// The state of each device.
    pub states: S,
    /// Where the results go.
    pub results: R,
    /// Where the dead letters go.
    pub letters: D,
    /// The wall clock, for the invocation's deadline and for latencies; no result depends on it.
    pub clock: N,
    /// How long rows of history are kept.
    pub history_ttl: Duration,
    /// How many devices advance together, at least one.
    pub group: usize,
}

/// The context of the deployed function.
pub type Deployed = Context<registry::Deployed, RedisStates, DynamoDbResults, S3DeadLetters, SystemClock>;

/// Connects to what `config` names. Nothing is asked yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> Result<Deployed, RemoteError> {
    let sdk = aws::config().await;
    let redis = redis::Connection::connect(&config.redis, &sdk).await?;
    Ok(Context {
        windows: registry::Deployed::connect(&sdk, &config.registry_table, Some(redis.clone()), config.registry_ttl),
        states: RedisStates::new(redis, config.state_ttl),
        results: DynamoDbResults::new(&sdk, &config.results_table),
        letters: S3DeadLetters::new(&sdk, &config.dead_letter_bucket),
        clock: SystemClock,
        history_ttl: config.history_ttl,
        group: GROUP,
    })
}

/// Takes one batch in, and answers from which record on it must be delivered again, if it must.
///
/// All of a batch is done or none of it counts as done: the state knows what it has seen within it. `deadline_ms` is
/// the invocation's, in milliseconds since the epoch.
pub async fn handle<W, S, R, D, N>(
    context: &Context<W, S, R, D, N>,
    batch: &Batch,
    deadline_ms: i64,
) -> KinesisEventResponse
where
    W: Windows,
    S: States,
    R: Results,
    D: DeadLetterStore,
    N: Now,
{
    let left_ms = deadline_ms.saturating_sub(context.clock.now_ms());
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).saturating_sub(MARGIN);
    // To be stopped anywhere is what a crash does, and is borne in the same way.
    let taken_in = if left.is_zero() {
        Err(out_of_time())
    } else {
        tokio::time::timeout(left, Box::pin(take_in(context, batch))).await.unwrap_or_else(|_| Err(out_of_time()))
    };
    let mut response = KinesisEventResponse::default();
    if let Err(error) = taken_in {
        tracing::error!(
            stream = batch.stream,
            shard = batch.shard,
            records = batch.records.len(),
            error = chain(&error),
            "batch is to be delivered again"
        );
        count(Metric::Retries, 1);
        if let Some(first) = batch.records.first() {
            response.add_failure(first.sequence.to_string());
        }
    }
    response
}

fn out_of_time() -> RemoteError {
    RemoteError::new("take the batch in", Remedy::Retry, "the invocation's time is nearly over")
}

async fn take_in<W, S, R, D, N>(context: &Context<W, S, R, D, N>, batch: &Batch) -> Result<(), RemoteError>
where
    W: Windows,
    S: States,
    R: Results,
    D: DeadLetterStore,
    N: Now,
{
    let mut intake = Intake::parse(batch);
    let mut letters = std::mem::take(&mut intake.letters);
    let mut skipped = intake.skipped;
    let devices = intake.devices();
    let ids: Vec<&str> = devices.iter().map(|(device_id, _)| *device_id).collect();
    let found = if ids.is_empty() { HashMap::new() } else { context.windows.resolve(&ids).await? };

    let mut known = Vec::with_capacity(devices.len());
    for (device_id, taken) in &devices {
        match found.get(device_id) {
            Some(Found::Windows(windows)) => {
                let without = without_window(windows, taken.iter().map(|taken| &*taken.reading.metric));
                skipped += without;
                if without < taken.len() {
                    known.push((*device_id, taken.as_slice(), windows));
                }
            }
            Some(Found::Nothing(reason, detail)) => letters.extend(
                taken.iter().map(|taken| letter(batch, &taken.source, Some(device_id), *reason, detail.clone())),
            ),
            None => {
                return Err(RemoteError::new("resolve devices", Remedy::Retry, "the answer lacks a device"));
            }
        }
    }
    put_letters(context, &letters).await?;

    if !known.is_empty() {
        advance(context, batch, &mut known).await?;
    }
    count(Metric::Records, intake.records);
    count(Metric::Bytes, intake.bytes);
    count(Metric::DeadLetters, letters.len());
    count(Metric::Skipped, skipped);
    let now_ms = context.clock.now_ms();
    let counted = known.iter().flat_map(|(_, taken, _)| taken.iter());
    let since = |later_ms: i64, ms: i64| later_ms.saturating_sub(ms).max(0) as f64;
    let (late, end_to_end): (Vec<_>, Vec<_>) = counted
        .map(|taken| (since(taken.source.arrived_ms, taken.reading.at), since(now_ms, taken.reading.received_at)))
        .unzip();
    observe(Metric::LatenessMs, late);
    observe(Metric::EndToEndMs, end_to_end);
    Ok(())
}

/// A known device, with its numbers and its windows.
type Known<'a, W> = (&'a str, &'a [&'a Taken<'a>], &'a W);

/// Advances the known devices, in groups.
async fn advance<W, S, R, D, N>(
    context: &Context<W, S, R, D, N>,
    batch: &Batch,
    known: &mut [Known<'_, W::Device>],
) -> Result<(), RemoteError>
where
    W: Windows,
    S: States,
    R: Results,
    N: Now,
{
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
        let what = format!("{conflicts} of {} devices were advanced by another invocation", known.len());
        return Err(RemoteError::new("commit states", Remedy::Retry, what));
    }
    Ok(())
}

/// Advances a group of devices: effects before state. Gives how many of them somebody else has advanced meanwhile.
async fn advance_group<W, S, R, D, N>(
    context: &Context<W, S, R, D, N>,
    batch: &Batch,
    group: &[Known<'_, W::Device>],
    turn: &Mutex<()>,
) -> Result<usize, RemoteError>
where
    W: Windows,
    S: States,
    R: Results,
    N: Now,
{
    let ids: Vec<&str> = group.iter().map(|(device_id, ..)| *device_id).collect();
    let loaded = context.states.load(&ids).await?;
    let mut parts: Vec<_> = {
        // One group is computed at a time, after what the others ask for has gone out.
        let _turn = turn.lock().await;
        tokio::task::yield_now().await;
        let origin = Origin { stream: &batch.stream, shard: &batch.shard };
        let parts = group.iter().zip(&loaded);
        parts
            .map(|((device_id, taken, windows), loaded)| Part::new(device_id, taken, *windows, origin, loaded))
            .collect()
    };
    write_results(context, &mut parts).await?;
    let conflicts = commit(context, &parts).await?;
    if conflicts == 0 {
        report(batch, &parts);
    }
    Ok(conflicts)
}

/// What cannot be taken in is kept before the batch is acknowledged.
async fn put_letters<W, S, R, D: DeadLetterStore, N>(
    context: &Context<W, S, R, D, N>,
    letters: &[DeadLetter],
) -> Result<(), RemoteError> {
    put_all(&context.letters, letters, std::future::pending()).await.map_err(|unwritten| unwritten.source)
}

/// Writes the rows of all parts, until each is settled.
async fn write_results<W, S, R, D, N, M>(
    context: &Context<W, S, R, D, N>,
    parts: &mut [Part<'_, M>],
) -> Result<(), RemoteError>
where
    S: States,
    R: Results,
    N: Now,
    M: MetricWindows,
{
    let history_ttl_ms = context.history_ttl.as_millis() as i64;
    for _ in 0..ROUNDS {
        let now_ms = context.clock.now_ms();
        let mut writes = Vec::with_capacity(parts.len());
        let mut ranges = Vec::with_capacity(parts.len());
        for part in &*parts {
            let begin = writes.len();
            writes.extend(part.writes(now_ms, history_ttl_ms));
            ranges.push(begin..writes.len());
        }
        if writes.is_empty() {
            return Ok(());
        }
        let written = context.results.write(&writes).await?;
        let mut lossy = Vec::new();
        for (part, range) in parts.iter_mut().zip(ranges) {
            let (Some(writes), Some(written)) = (writes.get(range.clone()), written.get(range)) else {
                return Err(RemoteError::new("write results", Remedy::Retry, "the answer lacks a row"));
            };
            if part.settle(writes, written) {
                lossy.push((part.device_id(), &part.loaded().version));
            }
        }
        still_loaded(context, &lossy).await?;
    }
    Err(RemoteError::new("write results", Remedy::Retry, "somebody else writes the same rows"))
}

/// A row that is ahead of the state tells of a loss only if the state that was loaded is still the one that is kept: a
/// zombie's is not, and what it would flag as partial is whole.
async fn still_loaded<W, S: States, R, D, N>(
    context: &Context<W, S, R, D, N>,
    lossy: &[(&str, &Version)],
) -> Result<(), RemoteError> {
    if lossy.is_empty() {
        return Ok(());
    }
    let devices: Vec<&str> = lossy.iter().map(|(device_id, _)| *device_id).collect();
    let kept = context.states.load(&devices).await?;
    if kept.iter().zip(lossy).all(|(kept, (_, loaded))| kept.version == **loaded) {
        return Ok(());
    }
    count(Metric::Conflicts, lossy.len());
    Err(RemoteError::new("write results", Remedy::Retry, "another invocation has advanced a device"))
}

/// Commits the states, and gives how many of them conflict. Devices that nobody else has touched are done with, also when
/// another's commit conflicts.
async fn commit<W, S: States, R, D, N, M: MetricWindows>(
    context: &Context<W, S, R, D, N>,
    parts: &[Part<'_, M>],
) -> Result<usize, RemoteError> {
    let commits: Vec<_> = parts
        .iter()
        .filter(|part| part.is_changed())
        .map(|part| Commit {
            device_id: part.device_id(),
            replaces: &part.loaded().version,
            state: &part.advance().state,
        })
        .collect();
    let committed = context.states.commit(&commits).await?;
    let conflicts = committed.iter().filter(|committed| **committed == Committed::Conflict).count();
    count(Metric::Conflicts, conflicts);
    Ok(conflicts)
}

fn report<M: MetricWindows>(batch: &Batch, parts: &[Part<'_, M>]) {
    let sum = |of: fn(&Part<'_, M>) -> usize| parts.iter().map(of).sum::<usize>();
    count(Metric::Readings, sum(|part| part.advance().counted));
    count(Metric::Duplicates, sum(|part| part.advance().duplicates));
    count(Metric::TooLate, sum(|part| part.advance().too_late));
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the method is not general over the part's lifetime")]
    let (lost, corrupted) = (sum(|part| part.losses()), sum(|part| usize::from(part.loaded().corrupted)));
    if lost + corrupted > 0 {
        tracing::warn!(
            stream = batch.stream,
            shard = batch.shard,
            metrics = lost,
            corrupted,
            "state was lost: results are partial until their windows have filled again"
        );
    }
}

#[cfg(test)]
mod tests;
