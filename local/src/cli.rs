//! The command line `myaku`: one module for each command. Commands print; what they do is in the library's modules.

pub mod command;
pub mod demo;
pub mod device;
pub mod env;
pub mod invoke;
pub mod local;
mod place;
pub mod profile;
mod progress;
mod registry;
pub mod reshard;
mod state;
pub mod token;

use place::Place;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What is logged where `MYAKU_LOG` says nothing else: the servers' own chatter is of no use to a user.
pub const DEFAULT_LOG: &str = "warn,myaku_local::mail=info,rumqttd=off,rumqttc=off,dynoxide=error";

/// Myaku on one machine, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "myaku", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole template on this machine, send real traffic through it, and check every promise.
    Demo(demo::Args),
    /// Bring the template up on this machine and keep it running.
    Local(local::Args),
    /// Invoke one function against the servers of a running `myaku local`.
    Invoke(invoke::Args),
    /// Print the variables with which tools, or one function, find a running `myaku local`.
    Env(env::Args),
    /// Print a token for the HTTP API of a running `myaku local`.
    Token(token::Args),
    /// Check, put, list and show device profiles.
    Profile(profile::Args),
    /// Put, import and list devices.
    Device(device::Args),
    /// Look at a stream's shards, plan for them, change them.
    Reshard(reshard::Args),
    /// Put, list and cancel what waits for devices that only call in.
    #[command(name = "command")]
    Pending(command::Args),
}

/// Runs one command; the exit code is its verdict, an error is its failure to reach one.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Local(args) => local::run(args).await,
        Command::Invoke(args) => invoke::run(args).await,
        Command::Env(args) => env::run(&args),
        Command::Token(args) => token::run(args).await,
        Command::Profile(args) => profile::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Device(args) => device::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Reshard(args) => Box::pin(reshard::run(args)).await.map(|()| ExitCode::SUCCESS),
        Command::Pending(args) => command::run(args).await.map(|()| ExitCode::SUCCESS),
    }
}

/// Waits until the user, or the system, wants this process to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        super::Cli::command().debug_assert();
    }
}
