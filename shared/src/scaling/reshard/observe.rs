//! Observes a stream and its load. A value that cannot be read is missing in the observation, unless a plan needs it:
//! then the observation fails.

use super::control::{StreamControl, Summary};
use super::ledger::{Entry, StoredHabits};
use super::metrics::{Metrics, SeriesId, Span};
use crate::platform::errors::{RemoteError, chain};
use crate::scaling::alarms::Statistic::{Maximum, SampleCount, Sum};
use crate::scaling::shards::{
    Capacity, Consumer, DAILY_CALLS_MAX, FanOut, Habits, Load, Mode, Observation, OpenShard, Policy, Series,
};
use crate::stream::shard_map::HashKeyRange;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// The newest minute that counts ended at least this long ago: before that, its data points may still arrive.
const DELAY_MS: i64 = MINUTE_MS;
/// A consumer's iterator age is the greatest of this many minutes.
const AGE_MINUTES: usize = 5;
/// Throttling within this many minutes is a reason to take a sample, which shows hot keys.
const THROTTLED_MINUTES: usize = 5;
/// Habits are learned from a week in periods of five minutes, once an hour.
const HABIT_PERIOD_MS: i64 = 300_000;
const HABIT_PERIODS: u32 = 7 * 288;
/// How long after a refusal for too many calls no further call is tried.
const LIMITED_MS: i64 = HOUR_MS;

/// The consumers that read the stream by polling, and so share its read capacity. Consumers with a capacity of their
/// own are registered with the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// The functions' names.
    pub functions: Vec<String>,
}

impl Readers {
    /// All consumers of the stream, with unknown iterator ages.
    pub(super) fn consumers(&self, summary: &Summary) -> Vec<Consumer> {
        let consumer = |name: &String, fan_out| Consumer { name: name.clone(), fan_out, iterator_age_ms: None };
        let plain = self.functions.iter().map(|function| consumer(function, FanOut::Plain));
        let enhanced = summary.enhanced_consumers.iter().map(|name| consumer(name, FanOut::Enhanced));
        plain.chain(enhanced).collect()
    }
}

/// Observes the stream at `now_ms`, in milliseconds since the epoch: its load and its consumers' iterator ages, with
/// the calls, changes and habits of the ledger's entry. Habits older than an hour are learned again and put into the
/// entry.
pub async fn observe<C: StreamControl, M: Metrics>(
    (control, metrics): (&C, &M),
    (summary, shards): (&Summary, &[HashKeyRange]),
    readers: &Readers,
    policy: &Policy,
    entry: &mut Entry,
    now_ms: i64,
) -> Result<Observation, RemoteError> {
    let stream = control.name();
    let end_ms = (now_ms - DELAY_MS).div_euclid(MINUTE_MS) * MINUTE_MS;
    let span = Span { end_ms, period_ms: MINUTE_MS, periods: policy.minutes_observed() };
    let mut ids = vec![
        SeriesId::of_stream(stream, "IncomingRecords", Sum),
        SeriesId::of_stream(stream, "IncomingBytes", Sum),
        SeriesId::of_stream(stream, "WriteProvisionedThroughputExceeded", Sum),
        SeriesId::of_stream(stream, "GetRecords.Success", SampleCount),
        SeriesId::of_stream(stream, "SubscribeToShardEvent.Success", SampleCount),
        SeriesId::of_stream(stream, "GetRecords.IteratorAgeMilliseconds", Maximum),
    ];
    let enhanced_age = "SubscribeToShardEvent.MillisBehindLatest";
    ids.extend(readers.functions.iter().map(|function| SeriesId::of_function(function, "IteratorAge", Maximum)));
    ids.extend(
        summary
            .enhanced_consumers
            .iter()
            .map(|consumer| SeriesId::within_stream(stream, ("ConsumerName", consumer), enhanced_age, Maximum)),
    );
    if summary.shard_metrics {
        for shard in shards {
            let of_shard = |name| SeriesId::within_stream(stream, ("ShardId", &shard.shard), name, Sum);
            ids.extend(["IncomingRecords", "IncomingBytes"].map(of_shard));
        }
    }
    let mut series = metrics.read(&ids, span).await?.into_iter();
    let mut next = || series.next().unwrap_or_default();
    let load = Load { records: next(), bytes: next() };
    let throttled = next();
    let pulse = first_known(&next(), &next());
    let stream_age = next();
    let consumers = with_ages(readers.consumers(summary), &stream_age, &mut next);
    let open = shards.iter().map(|range| {
        let load = summary.shard_metrics.then(|| Load { records: next(), bytes: next() });
        OpenShard { range: range.clone(), load }
    });
    let shards_open: Vec<OpenShard> = open.collect();

    learn(metrics, stream, &Capacity::of(&consumers), entry, now_ms).await;
    let refused = throttled.newest(THROTTLED_MINUTES).iter().flatten().any(|records| *records > 0.0);
    let sample =
        if policy.mode == Mode::Shard || refused { optional(control.sample(shards).await) } else { Vec::new() };
    Ok(Observation {
        stream: stream.to_owned(),
        mode: summary.mode,
        status: summary.status,
        shards: shards_open,
        load,
        throttled,
        pulse,
        habits: entry.habits.map(StoredHabits::habits),
        consumers,
        calls: calls(entry, now_ms),
        changes: entry.changes.clone(),
        limits: optional(control.limits().await),
        sample,
    })
}

/// Adds iterator ages. A plain consumer has the age of its function or, if that was not invoked, the age of all reads
/// of the stream. Without known consumers, the reads of the stream count as one.
fn with_ages(mut consumers: Vec<Consumer>, stream_age: &Series, mut next: impl FnMut() -> Series) -> Vec<Consumer> {
    let age = |series: &Series| series.newest(AGE_MINUTES).iter().flatten().copied().reduce(f64::max);
    for consumer in &mut consumers {
        consumer.iterator_age_ms = match consumer.fan_out {
            FanOut::Plain => age(&next()).or_else(|| age(stream_age)),
            FanOut::Enhanced => age(&next()),
        };
    }
    if consumers.is_empty() {
        let name = "the stream's reader".to_owned();
        consumers.push(Consumer { name, fan_out: FanOut::Plain, iterator_age_ms: age(stream_age) });
    }
    consumers
}

/// For each period, the value of `one`, or else that of `other`.
fn first_known(one: &Series, other: &Series) -> Series {
    let values = one.values.iter().zip(&other.values).map(|(one, other)| one.or(*other)).collect();
    Series { values, ..one.clone() }
}

/// The calls of UpdateShardCount. If Kinesis has refused one within the last hour, all calls count as used, because
/// another program or an operator made the ones that the entry does not have.
fn calls(entry: &Entry, now_ms: i64) -> Vec<i64> {
    let mut calls = entry.calls.clone();
    if let Some(limited_at_ms) = entry.limited_at_ms.filter(|at_ms| now_ms - at_ms < LIMITED_MS) {
        let missing = (DAILY_CALLS_MAX as usize).saturating_sub(calls.len());
        calls.extend(std::iter::repeat_n(limited_at_ms, missing));
    }
    calls
}

async fn learn<M: Metrics>(metrics: &M, stream: &str, capacity: &Capacity, entry: &mut Entry, now_ms: i64) {
    if entry.habits.is_some_and(|learned| now_ms - learned.at_ms < HOUR_MS) {
        return;
    }
    let end_ms = (now_ms - DELAY_MS).div_euclid(HABIT_PERIOD_MS) * HABIT_PERIOD_MS;
    let span = Span { end_ms, period_ms: HABIT_PERIOD_MS, periods: HABIT_PERIODS };
    let ids = ["IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"]
        .map(|name| SeriesId::of_stream(stream, name, Sum));
    match metrics.read(&ids, span).await {
        Ok(series) => {
            if let Ok([records, bytes, throttled]) = <[Series; 3]>::try_from(series)
                && let Some(habits) = Habits::of(&Load { records, bytes }, &throttled, capacity)
            {
                entry.habits = Some(StoredHabits::at(now_ms, habits));
            }
        }
        Err(error) => {
            tracing::warn!(stream, error = chain(&error), "cannot learn the load's habits; the next tick tries again");
        }
    }
}

/// The result or, after an error, the default: a plan does not need this value.
fn optional<T: Default>(result: Result<T, RemoteError>) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "an observation failed; the plan goes on without this value");
        T::default()
    })
}
