//! From messages to readings: decodes each message by its device's profile, puts the readings on their stream, and
//! writes a dead letter for whatever could not be processed.
//!
//! Promise 3: readings and letters of a record are durable before the record is acknowledged. What could not be made
//! durable is answered as "retry from this record"; a redelivered record makes the same readings, with the same ids,
//! and the same letters, at the same keys.
//!
//! It also tells the watch which devices were heard. That is a help to those who look for silence, and fails no batch.

mod config;
mod decode;
mod intake;

pub use config::Config;

use aws_lambda_events::streams::KinesisEventResponse;
use decode::Work;
use intake::Intake;
use myaku::device::decoding::Content;
use myaku::device::presence::watch::redis::PatientWatch;
use myaku::device::presence::watch::{Expected, Hears, expected_by};
use myaku::device::registry::{self, MasterData, Registry, Resolved};
use myaku::lake::dead_letter::{DeadLetterStore, S3DeadLetters, put_all};
use myaku::platform::clock::Now;
use myaku::platform::errors::{Remedy, RemoteError, chain};
use myaku::platform::telemetry::{Metric, count};
use myaku::platform::{aws, redis};
use myaku::stream::batch::Batch;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Limits, Producer, PutRecords};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What is left of an invocation's time when no more work begins: enough to answer and to write the metrics.
const MARGIN: Duration = Duration::from_secs(1);
/// User records that are decoded, put and written together. Behind each such stretch progress is certain, so that a
/// large batch that runs out of time is not begun from the start again; and memory is bounded by it.
const STRETCH: usize = 2_000;

/// What the function works with, made once.
pub struct Context<M, P, D, W, N> {
    /// Devices and their profiles.
    pub registry: Registry<M, N>,
    /// The stream of readings.
    pub readings: Producer<P>,
    /// Where the dead letters go.
    pub letters: D,
    /// Who is told of the devices that were heard.
    pub watch: W,
    /// The wall clock, by which an invocation's deadline is told.
    pub clock: N,
}

/// The context of the deployed function.
pub type Deployed = Context<
    registry::Shared<registry::DynamoDb>,
    KinesisStream,
    S3DeadLetters,
    Option<PatientWatch>,
    myaku::platform::clock::SystemClock,
>;

/// Connects to what `config` names. Nothing is asked yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> Result<Deployed, RemoteError> {
    let sdk = aws::config().await;
    let redis = match &config.redis {
        Some(settings) => Some(redis::Connection::connect(settings, &sdk).await?),
        None => None,
    };
    Ok(Context {
        watch: redis.clone().map(PatientWatch::new),
        registry: Registry::connect(&sdk, &config.registry_table, redis, config.registry_ttl),
        readings: Producer::new(KinesisStream::new(&sdk, &config.readings_stream), Limits::default()),
        letters: S3DeadLetters::new(&sdk, &config.dead_letter_bucket),
        clock: myaku::platform::clock::SystemClock,
    })
}

/// Transforms one batch, and answers from which record on it must be delivered again, if it must.
///
/// `deadline_ms` is the invocation's, in milliseconds since the epoch. Shortly before it, the work stops with what is
/// certain by then.
pub async fn handle<M, P, D, W, N>(
    context: &Context<M, P, D, W, N>,
    batch: &Batch,
    deadline_ms: i64,
) -> KinesisEventResponse
where
    M: MasterData,
    P: PutRecords,
    D: DeadLetterStore,
    W: Hears,
    N: Now,
{
    let mut response = KinesisEventResponse::default();
    if let Err(stop) = transform(context, batch, deadline_ms).await {
        tracing::error!(
            stream = batch.stream,
            shard = batch.shard,
            record = stop.record,
            records = batch.records.len(),
            error = chain(&stop.source),
            "batch is to be delivered again from this record on"
        );
        count(Metric::Retries, 1);
        if let Some(record) = batch.records.get(stop.record) {
            response.add_failure(record.sequence.to_string());
        }
    }
    response
}

/// Where a batch's work stopped: everything before this record is done.
struct Stop {
    record: usize,
    source: RemoteError,
}

async fn transform<M, P, D, W, N>(context: &Context<M, P, D, W, N>, batch: &Batch, deadline_ms: i64) -> Result<(), Stop>
where
    M: MasterData,
    P: PutRecords,
    D: DeadLetterStore,
    W: Hears,
    N: Now,
{
    let intake = Intake::parse(batch);
    let devices = intake.devices();
    let left = time_left(context, deadline_ms);
    let resolved = match tokio::time::timeout(left, context.registry.resolve(&devices)).await {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(source)) => return Err(Stop { record: 0, source }),
        Err(_) => return Err(Stop { record: 0, source: out_of_time("resolve devices") }),
    };
    hear(context, &intake, &resolved).await;
    for stretch in intake.stretches(STRETCH) {
        let begins = stretch[0].record;
        if time_left(context, deadline_ms).is_zero() {
            return Err(Stop { record: begins, source: out_of_time("transform") });
        }
        let work = decode::decode(batch, stretch, &resolved);
        work.report(batch);
        make_durable(context, &work, deadline_ms).await?;
    }
    Ok(())
}

/// Tells the watch by when each device of the batch is expected again, whatever its messages say, in one round trip.
async fn hear<M, P, D, W: Hears, N: Now>(
    context: &Context<M, P, D, W, N>,
    intake: &Intake<'_>,
    resolved: &HashMap<&str, Resolved>,
) {
    let now_ms = context.clock.now_ms();
    let mut expected = BTreeMap::new();
    for content in intake.contents() {
        let (Content::Message(message) | Content::Foreign(message, _)) = content else { continue };
        let Some(Resolved::Known(_, profile)) = resolved.get(message.device_id.as_ref()) else { continue };
        let Some(interval) = profile.expected_interval() else { continue };
        if let Some(by_ms) = expected_by(message.received_at, now_ms, interval) {
            expected.insert(message.device_id.as_ref(), by_ms);
        }
    }
    let expected: Vec<Expected> =
        expected.into_iter().map(|(id, by_ms)| Expected { device_id: id.to_owned(), by_ms }).collect();
    if !expected.is_empty()
        && let Err(error) = context.watch.heard(&expected).await
    {
        tracing::warn!(devices = expected.len(), error = chain(&error), "the watch was not told who was heard");
    }
}

/// Puts the readings and writes the letters of one stretch, side by side.
async fn make_durable<M, P, D, W, N>(
    context: &Context<M, P, D, W, N>,
    work: &Work<'_>,
    deadline_ms: i64,
) -> Result<(), Stop>
where
    P: PutRecords,
    D: DeadLetterStore,
    N: Now,
{
    let left = time_left(context, deadline_ms);
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
        // What was put by then is not known; it is put again, and known by its ids.
        Err(_) => work.item_records.first().map(|&record| Stop { record, source: out_of_time("PutRecords") }),
    };
    let stop = [letters, readings].into_iter().flatten().min_by_key(|stop| stop.record);
    work.count(stop.as_ref().map_or(usize::MAX, |stop| stop.record));
    stop.map_or(Ok(()), Err)
}

fn time_left<M, P, D, W, N: Now>(context: &Context<M, P, D, W, N>, deadline_ms: i64) -> Duration {
    let left_ms = deadline_ms.saturating_sub(context.clock.now_ms());
    Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).saturating_sub(MARGIN)
}

fn out_of_time(operation: &str) -> RemoteError {
    RemoteError::new(operation, Remedy::Retry, "the invocation's time is nearly over")
}

#[cfg(test)]
mod tests;
