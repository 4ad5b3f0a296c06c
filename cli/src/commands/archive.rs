//! `myaku archive`: proves that the lake is whole, and reads it.

mod audit;
mod cat;

use clap::Subcommand;
use std::process::ExitCode;

/// The commands of `myaku archive`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that every record of a stream is in the lake, once and undamaged, or list what is wrong. Covers whole
    /// hours of arrival. Exit code 0: the lake is whole; 1: there are findings; 2: the
    /// audit could not be done.
    Audit(audit::Args),
    /// Print records of the lake as they were sent.
    Cat(cat::Args),
}

/// Runs the command.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Audit(args) => Ok(audit::run(args).await),
        Command::Cat(args) => cat::run(args).await.map(|()| ExitCode::SUCCESS),
    }
}
