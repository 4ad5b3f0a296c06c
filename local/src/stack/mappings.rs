//! Starts the event source mappings that the functions' `Events` declare.

use super::events::{self, FunctionEvent};
use crate::clock::TokioClock;
use crate::event_source::{Filter, Handle, Mapping, S3Destination, Settings, StartingPosition};
use crate::function::Function;
use crate::template::{Resolved, flag, integer};
use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use myaku::stream::source::kinesis::KinesisSource;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How long a stack that stops waits for invocations in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an idle shard is polled. Lambda polls once a second. On one machine a person is watching, and only these
/// few consumers read the shards, so they poll more often.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A running mapping.
pub(super) struct RunningMapping {
    name: String,
    function: String,
    handle: Handle,
    task: JoinHandle<()>,
}

/// The status of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingStatus {
    /// The function's logical id and the event's name: `TransformFunction/Ingest`.
    pub name: String,
    /// The last reads found no records, and nothing is in flight.
    pub idle: bool,
    /// Records that were read and are not yet processed.
    pub lag: u64,
    /// Invocations that reached the function.
    pub invocations: u64,
    /// Of these, those that failed as a whole or in part.
    pub failures: u64,
    /// Records that were discarded, and sent to the on-failure destination.
    pub discarded: u64,
}

impl RunningMapping {
    pub(super) fn status(&self) -> MappingStatus {
        let status = self.handle.status();
        MappingStatus {
            name: self.name.clone(),
            idle: status.idle,
            lag: status.lag_records as u64,
            invocations: status.invocations,
            failures: status.failures,
            discarded: status.discarded,
        }
    }

    /// The function's name.
    pub(super) fn function(&self) -> &str {
        &self.function
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) async fn stop(mut self) {
        self.handle.stop();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for RunningMapping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn start(
    resolved: &Resolved,
    functions: &BTreeMap<String, Function>,
    config: &SdkConfig,
) -> Result<Vec<RunningMapping>> {
    let mut running = Vec::new();
    for event in events::of_kind(resolved, "Kinesis") {
        let name = event.place();
        let mapping = functions
            .get(event.function)
            .context("the function is not running")
            .and_then(|function| mapping(resolved, &event, function, config))
            .with_context(|| name.clone())?;
        let handle = mapping.handle();
        let function = functions.get(event.function).map(|it| it.name().to_owned()).unwrap_or_default();
        running.push(RunningMapping { name, function, handle, task: tokio::spawn(mapping.run()) });
    }
    Ok(running)
}

type KinesisMapping = Mapping<KinesisSource, Function, Option<S3Destination>, TokioClock>;

fn mapping(
    resolved: &Resolved,
    event: &FunctionEvent<'_>,
    function: &Function,
    config: &SdkConfig,
) -> Result<KinesisMapping> {
    let properties = event.properties;
    let stream_arn = stream_arn(resolved, event.text("Stream")?);
    let stream =
        stream_arn.rsplit_once('/').map(|(_, name)| name.to_owned()).context("Stream is not the ARN of a stream")?;
    let settings = settings(properties, &stream_arn, &resolved.arn(event.function)?)?;
    let destination = match properties["DestinationConfig"]["OnFailure"]["Destination"].as_str() {
        None => None,
        Some(arn) => {
            let bucket = arn.strip_prefix("arn:aws:s3:::");
            let bucket = bucket.with_context(|| format!("the on-failure destination {arn} is not an S3 bucket"))?;
            Some(S3Destination::new(config, bucket))
        }
    };
    let source = KinesisSource::new(config, stream);
    Ok(Mapping::new(settings, source, function.clone(), destination, TokioClock::start(), rand::random())?)
}

/// The ARN of the stream that `arn` names. `arn` is that of a stream or of one of its consumers.
fn stream_arn(resolved: &Resolved, arn: &str) -> String {
    let mut consumers = resolved.of_kind("AWS::Kinesis::StreamConsumer");
    let consumer = consumers.find(|(_, consumer)| consumer.physical_id == arn);
    consumer.and_then(|(_, consumer)| consumer.properties["StreamARN"].as_str()).unwrap_or(arn).to_owned()
}

fn settings(properties: &Value, stream_arn: &str, function_arn: &str) -> Result<Settings> {
    let position = match properties["StartingPosition"].as_str() {
        Some("TRIM_HORIZON") => StartingPosition::TrimHorizon,
        Some("LATEST") => StartingPosition::Latest,
        Some(other) => bail!("StartingPosition {other} does not run on this machine, only TRIM_HORIZON and LATEST"),
        None => bail!("StartingPosition is missing: it must be TRIM_HORIZON or LATEST"),
    };
    let number = |name: &str| integer(&properties[name]);
    // Lambda's -1 means no limit.
    let limit = |name: &str| number(name).filter(|value| *value >= 0);
    let mut settings = Settings::new(&Uuid::new_v4().to_string(), stream_arn, function_arn, position);
    if let Some(size) = number("BatchSize") {
        settings.batch_size = usize::try_from(size)?;
    }
    if let Some(seconds) = number("MaximumBatchingWindowInSeconds") {
        settings.window = Duration::from_secs(u64::try_from(seconds)?);
    }
    if let Some(factor) = number("ParallelizationFactor") {
        settings.parallelization = usize::try_from(factor)?;
    }
    settings.max_retries = limit("MaximumRetryAttempts").map(u32::try_from).transpose()?;
    settings.max_age = limit("MaximumRecordAgeInSeconds").map(|seconds| Duration::from_secs(seconds as u64));
    settings.tumbling_window = limit("TumblingWindowInSeconds").map(|seconds| Duration::from_secs(seconds as u64));
    settings.bisect = flag(&properties["BisectBatchOnFunctionError"]);
    let responses = properties["FunctionResponseTypes"].as_array();
    settings.report_batch_item_failures =
        responses.is_some_and(|types| types.iter().any(|one| one == "ReportBatchItemFailures"));
    let patterns: Vec<&str> = properties["FilterCriteria"]["Filters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|filter| filter["Pattern"].as_str())
        .collect();
    settings.filter = if patterns.is_empty() { None } else { Some(Filter::new(&patterns)?) };
    settings.enabled = properties["Enabled"].is_null() || flag(&properties["Enabled"]);
    settings.poll_interval = POLL_INTERVAL;
    Ok(settings)
}
