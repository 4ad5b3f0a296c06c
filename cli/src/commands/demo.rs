//! `myaku demo`: brings the template up, runs the demo on it, and prints the report.

use super::running_stack::RunningStack;
use super::stack_options::StackOptions;
use super::{bar::Bar, interrupt::interrupted};
use anyhow::{Result, anyhow, bail};
use myaku_demo::burst::{self, Burst};
use myaku_demo::report::Report;
use myaku_demo::{Options, Progress as _, run};
use myaku_local::stack::Stack;
use std::process::ExitCode;
use std::time::Duration;

/// The fewest devices, so that each model is among them.
const FEWEST_DEVICES: usize = 20;

/// Arguments of `myaku demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many messages are sent in a second.
    #[arg(long, default_value_t = 300.0, value_name = "MESSAGES")]
    rate: f64,
    /// How many devices send.
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// For how many seconds messages are sent.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed that decides what is sent and which faults happen.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep everything running afterwards, until Ctrl-C, so that you can look around.
    #[arg(long)]
    stay: bool,
    /// Leave out the first part, in which a burst makes a stream of one shard grow.
    #[arg(long)]
    without_burst: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stack: StackOptions,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    if args.devices < FEWEST_DEVICES {
        bail!("--devices is {}, and must be at least {FEWEST_DEVICES}", args.devices);
    }
    if !(args.rate > 0.0 && args.rate.is_finite()) || args.seconds == 0 {
        bail!("--rate is {} and --seconds is {}; both must be above zero", args.rate, args.seconds);
    }
    let bar = Bar::new();
    let burst = tokio::select! {
        burst = burst(&args, &bar) => burst?,
        () = interrupted() => bail!("interrupted"),
    };
    let stack = tokio::select! {
        stack = args.stack.up(&bar) => stack?,
        () = interrupted() => bail!("interrupted"),
    };
    let report = tokio::select! {
        report = run_on(&stack, &args, burst, &bar) => report,
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
    args.stack.forget();
    stack.down().await;
    Ok(if report?.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the burst on a stack of its own.
async fn burst(args: &Args, bar: &Bar) -> Result<Option<Burst>> {
    if args.without_burst {
        return Ok(None);
    }
    let stack = args.stack.for_burst().up(bar).await?;
    let burst = Box::pin(burst::run(&stack, bar)).await;
    stack.down().await;
    burst.map(Some)
}

async fn run_on(stack: &Stack, args: &Args, burst: Option<Burst>, bar: &Bar) -> Result<Report> {
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
    report.where_next = args.stack.where_next(stack, args.stay)?;
    Ok(report)
}

async fn stay(stack: &Stack, args: &Args) -> Result<()> {
    args.stack.note(stack)?;
    eprintln!(
        "\nEverything keeps running until Ctrl-C. In another terminal:\n\n{}",
        RunningStack::of(stack)?.exports()
    );
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
