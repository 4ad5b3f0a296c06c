//! A stream and its load as they are now. What cannot be learned is missing, and fails nothing but what needs it.

use super::control::{StreamControl, Summary};
use super::ledger::{Entry, Learned};
use super::metrics::{Metrics, Span, Wanted};
use crate::platform::errors::{RemoteError, chain};
use crate::scaling::alarms::Statistic::{Maximum, SampleCount, Sum};
use crate::scaling::shards::{
    Capacity, Consumer, DAILY_CALLS_MAX, FanOut, Habits, Load, Mode, Observation, OpenShard, Policy, Series,
};
use crate::stream::shard_map::HashKeyRange;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// The newest minute that is looked at ended so long ago: data points may still be on their way before.
const DELAY_MS: i64 = MINUTE_MS;
/// A consumer's age is the greatest of so many minutes.
const AGE_MINUTES: usize = 5;
/// Throttling within so many minutes is reason enough to look for a hot key.
const THROTTLED_MINUTES: usize = 5;
/// Habits are learned from a week, by periods of five minutes, once an hour.
const HABIT_PERIOD_MS: i64 = 300_000;
const HABIT_PERIODS: u32 = 7 * 288;
/// How long a refusal for too many calls is believed before another is tried.
const LIMITED_MS: i64 = HOUR_MS;

/// Who reads the stream by polling, and so shares its read capacity; those with a capacity of their own are registered
/// with the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// The functions' names.
    pub functions: Vec<String>,
}

impl Readers {
    /// All consumers of the stream, of unknown age.
    pub(super) fn consumers(&self, summary: &Summary) -> Vec<Consumer> {
        let consumer = |name: &String, fan_out| Consumer { name: name.clone(), fan_out, iterator_age_ms: None };
        let plain = self.functions.iter().map(|function| consumer(function, FanOut::Plain));
        let enhanced = summary.enhanced_consumers.iter().map(|name| consumer(name, FanOut::Enhanced));
        plain.chain(enhanced).collect()
    }
}

/// The stream with its load and its consumers' ages, at `now_ms`; what the ledger's entry knows of calls, changes and
/// habits. Habits that are older than an hour are learned anew, into the entry.
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
    let mut wanted = vec![
        Wanted::of_stream(stream, "IncomingRecords", Sum),
        Wanted::of_stream(stream, "IncomingBytes", Sum),
        Wanted::of_stream(stream, "WriteProvisionedThroughputExceeded", Sum),
        Wanted::of_stream(stream, "GetRecords.Success", SampleCount),
        Wanted::of_stream(stream, "SubscribeToShardEvent.Success", SampleCount),
        Wanted::of_stream(stream, "GetRecords.IteratorAgeMilliseconds", Maximum),
    ];
    let behind = "SubscribeToShardEvent.MillisBehindLatest";
    wanted.extend(readers.functions.iter().map(|function| Wanted::of_function(function, "IteratorAge", Maximum)));
    wanted.extend(
        summary
            .enhanced_consumers
            .iter()
            .map(|consumer| Wanted::within_stream(stream, ("ConsumerName", consumer), behind, Maximum)),
    );
    if summary.shard_metrics {
        for shard in shards {
            let of_shard = |name| Wanted::within_stream(stream, ("ShardId", &shard.shard), name, Sum);
            wanted.extend(["IncomingRecords", "IncomingBytes"].map(of_shard));
        }
    }
    let mut series = metrics.read(&wanted, span).await?.into_iter();
    let mut next = || series.next().unwrap_or_default();
    let load = Load { records: next(), bytes: next() };
    let throttled = next();
    let pulse = either(&next(), &next());
    let of_all = next();
    let consumers = aged(readers.consumers(summary), &of_all, &mut next);
    let open = shards.iter().map(|range| {
        let load = summary.shard_metrics.then(|| Load { records: next(), bytes: next() });
        OpenShard { range: range.clone(), load }
    });
    let shards_open: Vec<OpenShard> = open.collect();

    learn(metrics, stream, &Capacity::of(&consumers), entry, now_ms).await;
    let refused = throttled.newest(THROTTLED_MINUTES).iter().flatten().any(|records| *records > 0.0);
    let sample = if policy.mode == Mode::Shard || refused { or_none(control.sample(shards).await) } else { Vec::new() };
    Ok(Observation {
        stream: stream.to_owned(),
        mode: summary.mode,
        status: summary.status,
        shards: shards_open,
        load,
        throttled,
        pulse,
        habits: entry.habits.map(Learned::habits),
        consumers,
        calls: calls(entry, now_ms),
        changes: entry.changes.clone(),
        limits: or_none(control.limits().await),
        sample,
    })
}

/// A consumer's age is its function's; where that was not invoked, whoever read the stream has read as far as it is.
fn aged(mut consumers: Vec<Consumer>, of_all: &Series, mut next: impl FnMut() -> Series) -> Vec<Consumer> {
    let age = |series: &Series| series.newest(AGE_MINUTES).iter().flatten().copied().reduce(f64::max);
    for consumer in &mut consumers {
        consumer.iterator_age_ms = match consumer.fan_out {
            FanOut::Plain => age(&next()).or_else(|| age(of_all)),
            FanOut::Enhanced => age(&next()),
        };
    }
    if consumers.is_empty() {
        let name = "whoever reads the stream".to_owned();
        consumers.push(Consumer { name, fan_out: FanOut::Plain, iterator_age_ms: age(of_all) });
    }
    consumers
}

/// The one, where it has a value, else the other.
fn either(one: &Series, other: &Series) -> Series {
    let values = one.values.iter().zip(&other.values).map(|(one, other)| one.or(*other)).collect();
    Series { values, ..one.clone() }
}

/// The calls that were made; all of them while Kinesis has just refused one, whoever made the others.
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
    let wanted = ["IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"]
        .map(|name| Wanted::of_stream(stream, name, Sum));
    match metrics.read(&wanted, span).await {
        Ok(series) => {
            if let Ok([records, bytes, throttled]) = <[Series; 3]>::try_from(series)
                && let Some(habits) = Habits::of(&Load { records, bytes }, &throttled, capacity)
            {
                entry.habits = Some(Learned::at(now_ms, habits));
            }
        }
        Err(error) => tracing::warn!(stream, error = chain(&error), "the load's habits could not be learned"),
    }
}

/// What a plan can do without.
fn or_none<T: Default>(result: Result<T, RemoteError>) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "something could not be observed");
        T::default()
    })
}
