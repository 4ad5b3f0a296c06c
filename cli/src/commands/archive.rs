//! `myaku archive`: the lake, proved and read.

mod audit;
mod cat;

use super::times::Times;
use clap::Subcommand;
use std::process::ExitCode;

/// The commands of `myaku archive`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that every record of a stream is in the lake, once and unharmed, or name what is not: exit code 0 for a lake
    /// that is whole, 1 for findings, 2 if it could not be looked at.
    Audit(audit::Args),
    /// Print the records of the lake, as they were sent.
    Cat(cat::Args),
}

/// Which lake.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "which_lake")]
pub(super) struct Lake {
    // No doc comments: their markup would show in the help.
    #[arg(
        long,
        env = "LAKE_BUCKET",
        value_name = "NAME",
        help = "The lake's bucket, as the stack names it; AWS_ENDPOINT_URL_S3 leads to a local stack"
    )]
    pub(super) bucket: String,
    #[arg(
        long,
        env = "INGEST_STREAM",
        value_name = "NAME",
        help = "The stream that was archived, as the stack names it"
    )]
    pub(super) stream: String,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Audit(args) => Ok(audit::run(args).await),
        Command::Cat(args) => cat::run(args).await.map(|()| ExitCode::SUCCESS),
    }
}
