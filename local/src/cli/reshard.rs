//! `myaku reshard`: what is made of a stream's shards.

mod simulate;

use clap::Subcommand;

/// Arguments of `myaku reshard`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a policy over a demand, beside those that people use, against a model of Kinesis.
    Simulate(simulate::Args),
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Simulate(args) => simulate::run(&args, &mut std::io::stdout().lock()),
    }
}
