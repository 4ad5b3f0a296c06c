//! A stream in Kinesis.

use super::{Answer, StreamControl, Summary};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::clock::{Now as _, SystemClock};
use crate::platform::errors::RemoteError;
use crate::scaling::shards::{Limits, Step, StreamMode, StreamStatus};
use crate::stream::producer::PutRecords as _;
use crate::stream::producer::kinesis::KinesisStream;
use crate::stream::shard_map::{HashKeyRange, hash_key};
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{self, MetricsName, ScalingType, ShardIteratorType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Records to read of each shard for a sample: as many as a full shard accepts in a second.
const SAMPLE_OF_SHARD: i32 = 1_000;
/// The age of the sampled second, in milliseconds.
const SAMPLE_AGE_MS: i64 = 10_000;

/// One stream, by its name.
#[derive(Clone, Debug)]
pub struct KinesisControl {
    client: Lazy<Client>,
    shards: KinesisStream,
}

impl KinesisControl {
    /// The stream `name`.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), shards: KinesisStream::new(config, name) }
    }

    fn operation(&self, call: &str) -> String {
        format!("{call} of {}", self.name())
    }

    async fn enhanced_consumers(&self, arn: &str) -> Result<Vec<String>, RemoteError> {
        let answer = self.client.list_stream_consumers().stream_arn(arn).send().await;
        let answer = answer.map_err(|error| remote_error(self.operation("ListStreamConsumers"), error))?;
        Ok(answer.consumers.unwrap_or_default().into_iter().map(|consumer| consumer.consumer_name).collect())
    }

    async fn sample_of(&self, shard: &HashKeyRange) -> Result<Vec<u128>, RemoteError> {
        // By the system's clock, as the stream's arrival times are, even if the caller's clock runs at another speed.
        let since_ms = (SystemClock.now_ms() - SAMPLE_AGE_MS) / 1_000 * 1_000;
        let iterator = self.client.get_shard_iterator().stream_name(self.name()).shard_id(&shard.shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::AtTimestamp);
        let iterator = iterator.timestamp(DateTime::from_millis(since_ms)).send().await;
        let iterator = iterator.map_err(|error| remote_error(self.operation("GetShardIterator"), error))?;
        let Some(iterator) = iterator.shard_iterator else { return Ok(Vec::new()) };
        let records = self.client.get_records().shard_iterator(iterator).limit(SAMPLE_OF_SHARD).send().await;
        let records = records.map_err(|error| remote_error(self.operation("GetRecords"), error))?.records;
        let within = |record: &&types::Record| {
            let arrived = record.approximate_arrival_timestamp().and_then(|time| time.to_millis().ok());
            arrived.is_some_and(|arrived_ms| arrived_ms < since_ms + 1_000)
        };
        // An explicit hash key is not in the record. A partition key that hashes outside of the shard shows that there
        // was one, and the record is left out.
        let hashes = records.iter().filter(within).filter_map(|record| record.partition_key()).map(hash_key);
        Ok(hashes.filter(|hash| (shard.start..=shard.end).contains(hash)).collect())
    }
}

impl StreamControl for KinesisControl {
    fn name(&self) -> &str {
        self.shards.name()
    }

    async fn summary(&self) -> Result<Option<Summary>, RemoteError> {
        let operation = || self.operation("DescribeStreamSummary");
        let answer = match self.client.describe_stream_summary().stream_name(self.name()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(remote_error(operation(), error)),
        };
        let summary =
            answer.stream_description_summary.ok_or_else(|| incomplete(&operation(), "StreamDescriptionSummary"))?;
        let has_metric = |name: MetricsName| {
            let mut all = summary.enhanced_monitoring.iter().flat_map(types::EnhancedMetrics::shard_level_metrics);
            all.any(|metric| *metric == name || *metric == MetricsName::All)
        };
        let shard_metrics = has_metric(MetricsName::IncomingBytes) && has_metric(MetricsName::IncomingRecords);
        let status = match summary.stream_status {
            types::StreamStatus::Active => StreamStatus::Active,
            types::StreamStatus::Creating => StreamStatus::Creating,
            types::StreamStatus::Deleting => StreamStatus::Deleting,
            // Also any status of a later API: the autoscaler waits until the stream is active.
            _ => StreamStatus::Updating,
        };
        let mode = summary.stream_mode_details.as_ref().map(|details| &details.stream_mode);
        let mode =
            if mode == Some(&types::StreamMode::OnDemand) { StreamMode::OnDemand } else { StreamMode::Provisioned };
        let enhanced_consumers = match summary.consumer_count {
            Some(0) => Vec::new(),
            _ => self.enhanced_consumers(&summary.stream_arn).await?,
        };
        Ok(Some(Summary { status, mode, shard_metrics, enhanced_consumers }))
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        self.shards.open_shards().await
    }

    async fn limits(&self) -> Result<Limits, RemoteError> {
        let answer = self.client.describe_limits().send().await;
        let answer = answer.map_err(|error| remote_error("DescribeLimits", error))?;
        let count = |count: i32| u32::try_from(count).ok();
        Ok(Limits {
            account_shards_max: count(answer.shard_limit),
            account_shards_open: count(answer.open_shard_count),
        })
    }

    async fn sample(&self, shards: &[HashKeyRange]) -> Result<Vec<u128>, RemoteError> {
        let mut sample = Vec::new();
        for shard in shards {
            sample.extend(self.sample_of(shard).await?);
        }
        Ok(sample)
    }

    async fn begin(&self, step: &Step) -> Result<Answer, RemoteError> {
        match step {
            Step::UpdateShardCount { target } => {
                let call = self.client.update_shard_count().stream_name(self.name());
                let count = i32::try_from(*target).unwrap_or(i32::MAX);
                let call = call.target_shard_count(count).scaling_type(ScalingType::UniformScaling);
                answer(self.operation("UpdateShardCount"), call.send().await)
            }
            Step::Split { shard, at } => {
                let call = self.client.split_shard().stream_name(self.name());
                let call = call.shard_to_split(shard).new_starting_hash_key(at.to_string());
                answer(self.operation("SplitShard"), call.send().await)
            }
            Step::Merge { shard, adjacent } => {
                let call = self.client.merge_shards().stream_name(self.name());
                let call = call.shard_to_merge(shard).adjacent_shard_to_merge(adjacent);
                answer(self.operation("MergeShards"), call.send().await)
            }
        }
    }
}

fn answer<T, E>(operation: String, result: Result<T, SdkError<E, HttpResponse>>) -> Result<Answer, RemoteError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Err(error) = result else { return Ok(Answer::Begun) };
    let message = || error.message().unwrap_or_default().to_owned();
    match error.code() {
        Some("ResourceInUseException") => Ok(Answer::Busy),
        Some("LimitExceededException") => Ok(Answer::Limited(message())),
        Some("InvalidArgumentException" | "ValidationException" | "ResourceNotFoundException") => {
            Ok(Answer::Obsolete(message()))
        }
        _ => Err(remote_error(operation, error)),
    }
}
