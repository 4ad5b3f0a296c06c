//! `myaku archive audit`.

use crate::commands::lake_options::LakeOptions;
use crate::commands::progress::counting;
use crate::commands::times::Times;
use anyhow::{Context as _, Result};
use myaku::lake::archive::{DynamoDbHeads, Hour, S3Lake};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::source::kinesis::KinesisSource;
use myaku_operator::audit::{self, Options, Report};
use std::process::ExitCode;
use std::time::Duration;

/// Records that the stream will delete within this time may be gone before they are read.
const DELETION_MARGIN: Duration = Duration::from_mins(5);
/// The exit code if the audit could not be done.
const NOT_AUDITED: u8 = 2;

/// Arguments of `myaku archive audit`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    lake: LakeOptions,
    #[arg(
        long,
        env = "HEADS_TABLE",
        value_name = "NAME",
        help = "The table of heads (the stack's output HeadsTableName)"
    )]
    heads: String,
    // To read a full stream back takes about half as long as it took to fill.
    #[command(flatten)]
    times: Times<3>,
    /// Do not compare the lake with the stream. This saves two reads a second of each shard.
    #[arg(long)]
    without_stream: bool,
    /// Records that arrived this long ago must be in the lake: the archiver's batching window, and how late it may be.
    /// The audit vouches for no later record.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    patience: u32,
    /// List all keys of the stream if it has at most so many objects, to find what the archiver did not put there: one
    /// request of S3 for a thousand. 0 leaves it out.
    #[arg(long, default_value_t = 100_000, value_name = "OBJECTS")]
    sweep: usize,
    /// Write the heads that are wrong again, from the objects of the lake.
    #[arg(long)]
    repair: bool,
    /// How many objects are fetched at a time.
    #[arg(long, default_value_t = 32, value_name = "OBJECTS", value_parser = clap::value_parser!(u16).range(1..=512))]
    concurrency: u16,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> ExitCode {
    match report(&args).await.and_then(|report| print(&report, args.json).map(|()| report.clean)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(NOT_AUDITED)
        }
    }
}

async fn report(args: &Args) -> Result<Report> {
    let config = myaku::platform::aws::config().await;
    let range = args.times.range()?;
    let now_ms = SystemClock.now_ms();
    let source = (!args.without_stream).then(|| KinesisSource::new(&config, &args.lake.stream));
    let held_since_ms = match &source {
        Some(source) => {
            let retention = source.retention().await.with_context(|| {
                format!("cannot read the stream {}; pass --without-stream if it was deleted", args.lake.stream)
            })?;
            now_ms - retention.saturating_sub(DELETION_MARGIN).as_millis() as i64
        }
        None => i64::MAX,
    };
    let options = Options {
        now_ms,
        sweep_max: args.sweep,
        stream: args.lake.stream.clone(),
        hours: Hour::of(range.start)..=Hour::of(range.end - 1),
        archived_ms: now_ms - i64::from(args.patience) * 1_000,
        held_since_ms,
        concurrency: args.concurrency.into(),
    };
    let lake = S3Lake::new(&config, &args.lake.bucket);
    let heads = DynamoDbHeads::new(&config, &args.heads);
    let progress = counting("hours and shards");
    let report = Box::pin(audit::audit(&lake, &heads, source.as_ref(), &options, &progress)).await;
    progress.finish_and_clear();
    let mut report = report?;
    if args.repair {
        audit::repair(&lake, &heads, &mut report).await?;
    }
    Ok(report)
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{}", report.to_text());
    }
    Ok(())
}
