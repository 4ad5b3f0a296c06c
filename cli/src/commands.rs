//! One module for each command. A command reads its arguments and prints; the work is done in the libraries.

mod archive;
mod command;
mod device;
mod profile;
mod progress;
mod registry;
mod replay;
mod reshard;
mod state;
mod times;

// What runs the template on this machine, and what speaks to it.
#[cfg(feature = "local")]
mod bar;
#[cfg(feature = "local")]
mod demo;
#[cfg(feature = "local")]
mod env;
#[cfg(feature = "local")]
mod invoke;
#[cfg(feature = "local")]
mod local;
#[cfg(feature = "local")]
mod running_stack;
#[cfg(feature = "local")]
mod stack_options;
#[cfg(feature = "local")]
mod token;
#[cfg(feature = "local")]
mod traffic;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What is logged where `MYAKU_LOG` says nothing else: the servers' own chatter is of no use to a user.
pub(super) const DEFAULT_LOG: &str = "warn,myaku_local::mail=info,rumqttd=off,rumqttc=off,dynoxide=error";

/// Myaku on one machine, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "myaku", version, about, long_about = None, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole template on this machine, send real traffic through it, and check every promise.
    #[cfg(feature = "local")]
    Demo(demo::Args),
    /// Bring the template up on this machine and keep it running.
    #[cfg(feature = "local")]
    Local(local::Args),
    /// Send the reference mix at a steady rate, and say what became of it.
    #[cfg(feature = "local")]
    Traffic(traffic::Args),
    /// Invoke one function against the servers of a running `myaku local`.
    #[cfg(feature = "local")]
    Invoke(invoke::Args),
    /// Print the variables with which tools, or one function, find a running `myaku local`.
    #[cfg(feature = "local")]
    Env(env::Args),
    /// Print a token for the HTTP API of a running `myaku local`.
    #[cfg(feature = "local")]
    Token(token::Args),
    /// Prove that the lake is whole, and read it.
    #[command(subcommand)]
    Archive(archive::Command),
    /// Send again what failed, or a stretch of the lake.
    Replay(replay::Args),
    /// The windows of the moving averages.
    #[command(subcommand)]
    State(state::Command),
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
pub(super) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        #[cfg(feature = "local")]
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        #[cfg(feature = "local")]
        Command::Local(args) => local::run(args).await,
        #[cfg(feature = "local")]
        Command::Traffic(args) => Box::pin(traffic::run(args)).await,
        #[cfg(feature = "local")]
        Command::Invoke(args) => invoke::run(args).await,
        #[cfg(feature = "local")]
        Command::Env(args) => env::run(&args),
        #[cfg(feature = "local")]
        Command::Token(args) => token::run(args).await,
        Command::Archive(command) => Box::pin(archive::run(command)).await,
        Command::Replay(args) => Box::pin(replay::run(args)).await.map(|()| ExitCode::SUCCESS),
        Command::State(command) => Box::pin(state::run(command)).await,
        Command::Profile(command) => profile::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Device(command) => device::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Reshard(command) => Box::pin(reshard::run(command)).await.map(|()| ExitCode::SUCCESS),
        Command::Pending(action) => command::run(action).await.map(|()| ExitCode::SUCCESS),
    }
}

/// Waits until the user, or the system, wants this process to end.
#[cfg(feature = "local")]
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
