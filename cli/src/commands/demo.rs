//! `myaku demo`: brings the template up, runs the demo on it, prints what came of it.

use super::running_stack::State;
use super::stack_options::StackOptions;
use super::{bar::Bar, interrupted};
use anyhow::{Result, anyhow, bail};
use myaku_demo::burst::{self, Burst};
use myaku_demo::report::Report;
use myaku_demo::run::{self, Options, Progress as _};
use myaku_local::stack::Stack;
use std::process::ExitCode;
use std::time::Duration;

/// Devices, at least: fewer, and some model would not be among them.
const FEWEST_DEVICES: usize = 20;

/// Arguments of `myaku demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Messages sent in a second.
    #[arg(long, default_value_t = 300.0, value_name = "MESSAGES")]
    rate: f64,
    /// Devices that send.
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// For how long messages are sent.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Decides what is sent and what befalls it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave everything running afterwards, to look around, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Leave out the burst before the rest, under which a stream of one shard grows.
    #[arg(long)]
    without_burst: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: StackOptions,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    if args.devices < FEWEST_DEVICES {
        bail!("--devices is {}: it must be at least {FEWEST_DEVICES}", args.devices);
    }
    if !(args.rate > 0.0 && args.rate.is_finite()) || args.seconds == 0 {
        bail!("--rate and --seconds must be above zero");
    }
    let bar = Bar::new();
    let burst = tokio::select! {
        burst = burst(&args, &bar) => burst?,
        () = interrupted() => bail!("interrupted"),
    };
    let stack = tokio::select! {
        stack = args.place.up(&bar) => stack?,
        () = interrupted() => bail!("interrupted"),
    };
    let report = tokio::select! {
        report = on(&stack, &args, burst, &bar) => report,
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    bar.finish();
    if let Ok(report) = &report {
        print(report, args.json)?;
        if args.stay {
            stay(&stack, &args).await?;
        }
    }
    bar.stage("stopping");
    args.place.forget();
    stack.down().await;
    Ok(if report?.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The burst, on a stack that is gone afterwards.
async fn burst(args: &Args, bar: &Bar) -> Result<Option<Burst>> {
    if args.without_burst {
        return Ok(None);
    }
    let stack = args.place.for_burst().up(bar).await?;
    let burst = Box::pin(burst::run(&stack, bar)).await;
    stack.down().await;
    burst.map(Some)
}

async fn on(stack: &Stack, args: &Args, burst: Option<Burst>, bar: &Bar) -> Result<Report> {
    let options = Options {
        rate: args.rate,
        devices: args.devices,
        duration: Duration::from_secs(args.seconds),
        seed: args.seed,
    };
    let report = Box::pin(run::run(stack, &options, bar)).await?;
    let mut report = match burst {
        Some(burst) => report.with(burst),
        None => report,
    };
    report.where_next = args.place.where_next(stack, args.stay)?;
    Ok(report)
}

async fn stay(stack: &Stack, args: &Args) -> Result<()> {
    args.place.note(stack)?;
    eprintln!("\nEverything stays up until Ctrl-C. In another terminal:\n\n{}", State::of(stack)?.exports());
    interrupted().await;
    Ok(())
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("\n{}", report.to_text());
    }
    Ok(())
}
