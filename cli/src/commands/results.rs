//! `myaku results`: shows the present results of a device.

use super::interrupt::interrupted;
use super::state_options::StateOptions;
use anyhow::Result;
use clap::Parser;
use myaku::device::registry::{DynamoDb, LONGEST_USE, Registry};
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::results::dynamodb::DynamoDbResults;
use myaku::window::DeviceState;
use myaku::window::tumbling::MetricTimelines;
use myaku_operator::results::{Stores, present};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Moves the cursor to the top left and clears what follows.
const CLEAR: &str = "\x1b[H\x1b[J";

#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The id of the device.
    device: String,
    /// Show them again each second, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Print them as JSON, on one line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stores: StateOptions,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<()> {
    let sdk = myaku::platform::aws::config().await;
    // The time to live matters only to what is written, and nothing is.
    let redis = StateOptions::redis(&sdk).await?;
    let states = RedisStates::<DeviceState>::new(redis.clone(), Duration::ZERO);
    let windows = RedisStates::<MetricTimelines>::new(redis, Duration::ZERO);
    let registry = Registry::new(DynamoDb::new(&sdk, &args.stores.registry), SystemClock, LONGEST_USE);
    let progress = DynamoDbProgress::new(&sdk, &args.stores.progress);
    let results = DynamoDbResults::new(&sdk, &args.stores.results);
    let clears = args.watch && !args.json && std::io::stdout().is_terminal();
    loop {
        let (states, windows, progress, results) = (&states, &windows, &progress, &results);
        let stores = Stores { states, windows, progress, results, readings_stream: &args.stores.readings };
        let present = present(&registry, stores, &args.device).await?;
        let text = if args.json { serde_json::to_string(&present)? } else { present.to_text(SystemClock.now_ms()) };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}{text}", if clears { CLEAR } else { "" })?;
        drop(out);
        if !args.watch {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = interrupted() => return Ok(()),
        }
    }
}
