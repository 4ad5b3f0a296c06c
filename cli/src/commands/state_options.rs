//! The arguments that name the stores of the moving average, for `myaku state` and `myaku results`.

use anyhow::Result;
use aws_config::SdkConfig;
use myaku::platform::env::Env;
use myaku::platform::redis;

/// The arguments that name the stores of the moving average. Redis is found by the same environment variables as in the
/// function.
#[derive(Debug, clap::Args)]
pub(super) struct StateOptions {
    #[arg(
        long,
        env = "REGISTRY_TABLE",
        value_name = "NAME",
        help = "The table of master data (the stack's output RegistryTableName)"
    )]
    pub(super) registry: String,
    #[arg(
        long,
        env = "RESULTS_TABLE",
        value_name = "NAME",
        help = "The table of results (the stack's output ResultsTableName)"
    )]
    pub(super) results: String,
    #[arg(
        long,
        env = "PROGRESS_TABLE",
        value_name = "NAME",
        help = "The table of what stateful functions have acknowledged (the stack's output ProgressTableName)"
    )]
    pub(super) progress: String,
    #[arg(
        long,
        env = "READINGS_STREAM",
        value_name = "NAME",
        help = "The stream of readings (the stack's output ReadingsStreamName)"
    )]
    pub(super) readings: String,
}

impl StateOptions {
    /// Connects to the Redis server that the environment names.
    pub(super) async fn redis(sdk: &SdkConfig) -> Result<redis::Connection> {
        let settings = redis::Settings::required(&Env::new(|name: &str| std::env::var(name).ok()))?;
        Ok(redis::Connection::connect(&settings, sdk).await?)
    }
}
