//! The command line `myaku`: one module for each command. Commands print; what they do is in the library's modules.

mod device;
mod profile;
mod registry;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What is logged where `MYAKU_LOG` says nothing else: the servers' own chatter is of no use to a user.
pub const DEFAULT_LOG: &str = "warn,rumqttd=error,rumqttc=error";

/// Myaku on one machine, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "myaku", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, put, list and show device profiles.
    Profile(profile::Args),
    /// Put, import and list devices.
    Device(device::Args),
}

/// Runs one command; the exit code is its verdict, an error is its failure to reach one.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Profile(args) => profile::run(args).await?,
        Command::Device(args) => device::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}
