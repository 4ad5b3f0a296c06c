//! Turns messages into readings: decodes each message by its device's profile, puts the readings on their stream, and
//! writes a dead letter for everything that it could not process.
//!
//! Readings are put per slot ([`Placement::Slots`]), so a device is in one shard of their stream at any time.
//!
//! Promise 3: readings and letters of a record are durable before the record is acknowledged. If they could not be made
//! durable, the answer is "retry from this record". A redelivered record gives the same readings with the same ids, and
//! the same letters at the same keys.
//!
//! It also reports to the watch which devices were heard. That helps to detect silent devices, and never fails a batch.

mod config;
mod counts;
mod decode;
mod records;

pub use config::Config;

use counts::Counts;
use decode::Work;
use myaku::device::presence::watch::redis::PatientWatch;
use myaku::device::presence::watch::{Expected, Hears, expected_by};
use myaku::device::registry::{self, MasterData, Registry, Resolved};
use myaku::lake::dead_letter::{DeadLetterStore, DeployedGuard, Letters, S3DeadLetters, put_all};
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::deadline::{Deadline, out_of_time};
use myaku::platform::errors::{RemoteError, chain};
use myaku::platform::{aws, redis};
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Limits, Placement, Producer, PutRecords};
use records::ParsedRecord;
use std::collections::{BTreeMap, HashMap};

/// The most user records that are decoded, put and written together. Each Kinesis record that is done stays done, so a
/// large batch that runs out of time does not start again from its beginning. It also bounds memory: an aggregate can have
/// 174,000 user records, and a batch several such aggregates.
const CHUNK: usize = 2_000;

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// Devices and profiles.
    type MasterData: MasterData;
    /// The stream of readings.
    type Stream: PutRecords;
    /// The store of dead letters.
    type Letters: DeadLetterStore;
    /// The watch, which stores by when each device is expected again.
    type Watch: Hears;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// Devices and their profiles.
    pub registry: Registry<P::MasterData, P::Clock>,
    /// The stream of readings.
    pub readings: Producer<P::Stream>,
    /// The store of dead letters.
    pub letters: P::Letters,
    /// The watch, which stores by when each device is expected again.
    pub watch: P::Watch,
    /// The wall clock, for an invocation's deadline.
    pub clock: P::Clock,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type MasterData = registry::Shared<registry::DynamoDb>;
    type Stream = KinesisStream;
    type Letters = S3DeadLetters;
    type Watch = Option<PatientWatch>;
    type Clock = SystemClock;
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> Result<(Context<Deployed>, DeployedGuard), RemoteError> {
    let sdk = aws::config().await;
    let redis = match &config.redis {
        Some(settings) => Some(redis::Connection::connect(settings, &sdk).await?),
        None => None,
    };
    let context = Context {
        watch: redis.clone().map(PatientWatch::new),
        registry: Registry::connect(&sdk, &config.registry, redis),
        readings: Producer::new(KinesisStream::new(&sdk, &config.readings_stream), Placement::Slots, Limits::default()),
        letters: S3DeadLetters::new(&sdk, &config.guard.dead_letter_bucket),
        clock: SystemClock,
    };
    Ok((context, config.guard.guard("transform", &sdk)))
}

/// Transforms one batch. The answer says whether, and from which record, it must be delivered again.
///
/// `deadline_ms` is when Lambda ends the invocation, in milliseconds since the epoch. The work stops shortly before,
/// and the answer covers what is durable by then.
pub async fn handle<P: Ports>(context: &Context<P>, batch: &Batch, deadline_ms: i64) -> Answer {
    match transform(context, batch, Deadline::at(deadline_ms)).await {
        Ok(()) => Answer::DONE,
        Err(stop) => Answer::retry_from_record(batch, stop.record, &stop.source),
    }
}

/// Where a batch's work stopped: everything before this record is done.
struct Stop {
    record: usize,
    source: RemoteError,
}

async fn transform<P: Ports>(context: &Context<P>, batch: &Batch, deadline: Deadline) -> Result<(), Stop> {
    let mut waiting = Waiting::default();
    let mut records = batch.user_records().peekable();
    while records.peek().is_some() {
        let chunk: Vec<_> = records.by_ref().take(CHUNK).map(ParsedRecord::of).collect();
        let next = records.peek().map_or(batch.records.len(), |next| next.record as usize);
        let chunk = Chunk { batch, records: &chunk, next };
        transform_chunk(context, &chunk, &mut waiting, deadline).await?;
    }
    Ok(())
}

/// What waits for the other user records of its Kinesis record, which are in the next chunk.
#[derive(Default)]
struct Waiting<'b> {
    letters: Letters<'b>,
    counts: Counts,
}

/// Some user records of a batch.
struct Chunk<'a, 'b> {
    batch: &'b Batch,
    records: &'a [ParsedRecord<'b>],
    /// The Kinesis record of the user record after them.
    next: usize,
}

async fn transform_chunk<'b, P: Ports>(
    context: &Context<P>,
    Chunk { batch, records, next }: &Chunk<'_, 'b>,
    Waiting { letters, counts }: &mut Waiting<'b>,
    deadline: Deadline,
) -> Result<(), Stop> {
    let devices: Vec<&str> = records.iter().filter_map(|parsed| parsed.content.device_id()).collect();
    let stop = |source| Stop { record: records.first().map_or(0, ParsedRecord::record), source };
    let resolved = deadline.limit(&context.clock, context.registry.resolve(&devices)).await;
    let resolved = resolved.ok_or_else(|| stop(out_of_time("resolve devices")))?.map_err(stop)?;
    report_heard(context, records, &resolved).await;
    let mut rest = *records;
    while let Some(first) = rest.first() {
        if deadline.left(&context.clock).is_zero() {
            return Err(Stop { record: first.record(), source: out_of_time("transform") });
        }
        let mut work = decode::decode(rest, &resolved, letters);
        rest = &rest[work.len()..];
        let next = rest.first().map_or(*next, ParsedRecord::record);
        work.add_letters(letters.take_before(batch, next));
        work.report(batch);
        let made = make_durable(context, &work, deadline).await;
        counts.add(&work);
        counts.take_before(made.as_ref().map_or_else(|stop| stop.record, |()| next)).count();
        made?;
    }
    Ok(())
}

/// Reports to the watch by when each device of a chunk is expected again, in one round trip. The payloads do not
/// matter.
async fn report_heard<P: Ports>(
    context: &Context<P>,
    records: &[ParsedRecord<'_>],
    resolved: &HashMap<&str, Resolved>,
) {
    let now_ms = context.clock.now_ms();
    let mut expected = BTreeMap::new();
    for ParsedRecord { content, .. } in records {
        let resolved = content.device_id().and_then(|id| resolved.get(id));
        // Whoever may not speak for a device cannot make it look alive.
        let Ok((message, profile)) = content.admit(resolved) else { continue };
        let Some(interval) = profile.expected_interval() else { continue };
        if let Some(by_ms) = expected_by(message.received_at, now_ms, interval) {
            expected.insert(message.device_id, by_ms);
        }
    }
    let expected: Vec<Expected> =
        expected.into_iter().map(|(id, by_ms)| Expected { device_id: id.to_owned(), by_ms }).collect();
    if !expected.is_empty()
        && let Err(error) = context.watch.heard(&expected).await
    {
        tracing::warn!(
            devices = expected.len(),
            error = chain(&error),
            "the watch did not learn which devices were heard"
        );
    }
}

/// Puts the readings and writes the letters of one chunk, at the same time.
async fn make_durable<P: Ports>(context: &Context<P>, work: &Work<'_>, deadline: Deadline) -> Result<(), Stop> {
    let left = deadline.left(&context.clock);
    let letters = put_all(&context.letters, &work.letters, tokio::time::sleep(left));
    let items = work.items();
    let readings = tokio::time::timeout(left, context.readings.send(&items));
    let (letters, readings) = tokio::join!(letters, readings);

    let letters = letters.err().and_then(|error| {
        let record = error.unwritten.iter().map(|&index| work.letter_records[index]).min()?;
        Some(Stop { record, source: error.source })
    });
    let readings = match readings {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let record = error.failed.iter().map(|&index| work.item_records[index]).min();
            record.map(|record| Stop { record, source: error.source })
        }
        // It is unknown what was put by then. The next delivery puts it again, with the same ids.
        Err(_) => work.item_records.first().map(|&record| Stop { record, source: out_of_time("PutRecords") }),
    };
    let stop = [letters, readings].into_iter().flatten().min_by_key(|stop| stop.record);
    stop.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
