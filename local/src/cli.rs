//! The command line `myaku`: one module for each command. Commands print; what they do is in the library's modules.

pub mod archive;
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
pub mod replay;
pub mod reshard;
mod state;
mod times;
pub mod token;
pub mod traffic;
pub mod windows;

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
    /// Send the reference mix at a steady rate, and say what became of it.
    Traffic(traffic::Args),
    /// Invoke one function against the servers of a running `myaku local`.
    Invoke(invoke::Args),
    /// Print the variables with which tools, or one function, find a running `myaku local`.
    Env(env::Args),
    /// Print a token for the HTTP API of a running `myaku local`.
    Token(token::Args),
    /// Prove that the lake is whole, and read it.
    #[command(subcommand)]
    Archive(archive::Command),
    /// Send again what failed, or a stretch of the lake.
    Replay(replay::Args),
    /// The windows of the moving averages.
    #[command(subcommand)]
    State(windows::Command),
    /// Check, put, list and show device profiles.
    #[command(subcommand)]
    Profile(profile::Command),
    /// Put, import and list devices.
    #[command(subcommand)]
    Device(device::Command),
    /// Look at a stream's shards, plan for them, change them.
    #[command(subcommand)]
    Reshard(reshard::Command),
    /// Put, list and cancel what waits for devices that only call in.
    #[command(name = "command", subcommand)]
    Pending(command::Action),
}

/// Runs one command; the exit code is its verdict, an error is its failure to reach one.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Local(args) => local::run(args).await,
        Command::Traffic(args) => Box::pin(traffic::run(args)).await,
        Command::Invoke(args) => invoke::run(args).await,
        Command::Env(args) => env::run(&args),
        Command::Token(args) => token::run(args).await,
        Command::Archive(command) => Box::pin(archive::run(command)).await,
        Command::Replay(args) => Box::pin(replay::run(args)).await.map(|()| ExitCode::SUCCESS),
        Command::State(command) => Box::pin(windows::run(command)).await,
        Command::Profile(command) => profile::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Device(command) => device::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Reshard(command) => Box::pin(reshard::run(command)).await.map(|()| ExitCode::SUCCESS),
        Command::Pending(action) => command::run(action).await.map(|()| ExitCode::SUCCESS),
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
