//! `myaku reshard`: what is made of a stream's shards.

mod apply;
mod simulate;
mod status;
mod target;

use clap::Subcommand;
use target::Target;

/// The commands of `myaku reshard`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Draw a stream's keyspace and load.
    Status(Target),
    /// Say what would be done to a stream now, and why; nothing is changed.
    Plan {
        #[command(flatten)]
        target: Target,
        /// Print the plan as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Do it, until there is nothing to do.
    Apply(Target),
    /// Cut the keyspace evenly.
    Even {
        #[command(flatten)]
        target: Target,
        /// Shards afterwards; as many as there are without it.
        #[arg(long, value_name = "SHARDS")]
        count: Option<u32>,
    },
    /// Run a policy over a demand, beside those that people use, against a model of Kinesis.
    Simulate(simulate::Args),
}

/// Runs the command.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Status(target) => status::status(&target).await,
        Command::Plan { target, json } => status::plan(&target, json).await,
        Command::Apply(target) => apply::apply(&target).await,
        Command::Even { target, count } => apply::even(&target, count).await,
        Command::Simulate(args) => simulate::run(&args, &mut std::io::stdout().lock()),
    }
}
