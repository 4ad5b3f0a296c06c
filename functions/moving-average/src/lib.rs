//! Keeps the moving average of each device's metrics.
//!
//! The rule is [`myaku::window::MovingAverage`], and [`myaku::keyed`] does what every stateful function does. This crate
//! connects the two to their stores.

mod config;

pub use config::Config;

use myaku::device::registry;
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::keyed::{Context, Ports, Shards};
use myaku::lake::dead_letter::S3DeadLetters;
use myaku::platform::clock::SystemClock;
use myaku::platform::errors::RemoteError;
use myaku::platform::{aws, redis};
use myaku::results::dynamodb::DynamoDbResults;
use myaku::stream::source::kinesis::KinesisSource;
use myaku::window::{DeviceState, MovingAverage};

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Rule = MovingAverage;
    type Settings = registry::Deployed;
    type Shards = KinesisSource;
    type Progress = DynamoDbProgress;
    type States = RedisStates<DeviceState>;
    type Results = DynamoDbResults;
    type Letters = S3DeadLetters;
    type Clock = SystemClock;
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> Result<Context<Deployed>, RemoteError> {
    let sdk = aws::config().await;
    let redis = redis::Connection::connect(&config.redis, &sdk).await?;
    Ok(Context {
        settings: registry::Deployed::connect(&sdk, &config.registry, Some(redis.clone())),
        shards: Shards::new(KinesisSource::new(&sdk, &config.readings_stream)),
        progress: DynamoDbProgress::new(&sdk, &config.progress_table),
        states: RedisStates::new(redis, config.state_ttl),
        results: DynamoDbResults::new(&sdk, &config.results_table),
        letters: S3DeadLetters::new(&sdk, &config.dead_letter_bucket),
        clock: SystemClock,
        limits: config.limits,
    })
}

#[cfg(test)]
mod tests;
