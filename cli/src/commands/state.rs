//! `myaku state`: restores the windows of the moving averages.

use super::lake_options::LakeOptions;
use super::progress::counting;
use super::state_options::StateOptions;
use super::times::Times;
use anyhow::Result;
use clap::Subcommand;
use myaku::device::registry::{DynamoDb, LONGEST_USE, Registry};
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::lake::archive::S3Lake;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::results::dynamodb::DynamoDbResults;
use myaku_operator::rebuild::{self, Options, Stores};
use myaku_operator::selection::Selection;
use std::process::ExitCode;
use std::time::Duration;

/// The commands of `myaku state`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Rebuild windows from the lake after Redis lost its memory. Wait a quarter of an hour after the loss, until the
    /// last messages from before it are archived. Redis is found by the same environment variables as in the function.
    /// Exit code 1: some devices remain, run the command again. A window of the last N readings can reach
    /// further back than --since.
    Rebuild(RebuildArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    lake: LakeOptions,
    #[command(flatten)]
    stores: StateOptions,
    /// Rebuild only this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    // Twice the longest window by time.
    #[command(flatten)]
    times: Times<48>,
    /// Read the whole lake, from its beginning.
    #[arg(long, conflicts_with_all = ["since", "until"])]
    everything: bool,
    /// Leave devices alone that lost readings younger than this, which may not be archived yet.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    settled: u32,
    /// How long the state of a silent device is kept, as set in the stack.
    #[arg(long, env = "STATE_TTL_SECONDS", default_value_t = 604_800, value_name = "SECONDS")]
    ttl: u32,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<ExitCode> {
    let Command::Rebuild(args) = command;
    let sdk = myaku::platform::aws::config().await;
    let redis = StateOptions::redis(&sdk).await?;
    let now_ms = SystemClock.now_ms();
    let arrived_ms = if args.everything { 0..now_ms } else { args.times.range()? };
    let options = Options {
        selection: Selection { stream: args.lake.stream, arrived_ms, shard: None, device: args.device },
        is_everything: args.everything,
        settled_ms: now_ms - i64::from(args.settled) * 1_000,
        readings_stream: args.stores.readings,
    };
    let progress = counting("objects and devices");
    let lake = S3Lake::new(&sdk, args.lake.bucket);
    let registry = Registry::new(DynamoDb::new(&sdk, args.stores.registry), SystemClock, LONGEST_USE);
    let stores = Stores {
        states: &RedisStates::new(redis, Duration::from_secs(args.ttl.into())),
        progress: &DynamoDbProgress::new(&sdk, args.stores.progress),
        results: &DynamoDbResults::new(&sdk, args.stores.results),
    };
    let report = Box::pin(rebuild::rebuild(&lake, &registry, stores, &SystemClock, &options, &progress)).await;
    progress.finish_and_clear();
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.to_text());
    }
    Ok(if report.busy + report.overtaken > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
