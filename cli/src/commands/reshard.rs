//! `myaku reshard`: looks at a stream's shards, plans for them, and changes them.

mod simulate;
mod target;

use anyhow::Result;
use clap::Subcommand;
use myaku::platform::clock::Now as _;
use myaku::scaling::reshard::Ledger as _;
use myaku_operator::reshard::{apply, describe, draw, even, observe};
use std::io::{self, Write as _};
use target::Target;

/// The commands of `myaku reshard`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Draw a stream's keyspace and load.
    Status(Target),
    /// Print what would be done to a stream now, and why. Changes nothing.
    Plan {
        #[command(flatten)]
        target: Target,
        /// Print the plan as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Carry out the plan, until there is nothing left to do.
    Apply(Target),
    /// Cut the keyspace into shards of the same width.
    Even {
        #[command(flatten)]
        target: Target,
        /// How many shards to make; as many as there are if not given.
        #[arg(long, value_name = "SHARDS")]
        count: Option<u32>,
    },
    /// Run a policy on a trace of demand, beside the policies that people use, against a model of Kinesis.
    Simulate(simulate::Args),
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Status(target) => {
            let autoscaler = target.connect().await?;
            let (observation, _) = observe(&autoscaler, &target.clock()).await?;
            let entry = autoscaler.ledger.load(&observation.stream).await?.entry;
            write!(out, "{}", draw(&observation, &entry, target.clock().now_ms()))?;
        }
        Command::Plan { target, json } => {
            let (_, plan) = observe(&target.connect().await?, &target.clock()).await?;
            let text = if json { serde_json::to_string_pretty(&plan)? + "\n" } else { describe(&plan) };
            write!(out, "{text}")?;
        }
        Command::Apply(target) => apply(&target.connect().await?, &target.clock(), out).await?,
        Command::Even { target, count } => even(&target.connect().await?, &target.clock(), count, out).await?,
        Command::Simulate(args) => simulate::run(&args, out)?,
    }
    Ok(())
}
