//! The commands, each in a module of its own. A command parses its arguments, connects and prints; the libraries do the
//! work.

mod archive;
mod command;
mod detect;
mod device;
mod facility;
mod interrupt;
mod lake_options;
mod master_data;
mod profile;
mod progress;
mod query;
mod replay;
mod reshard;
mod results;
mod state;
mod state_options;
mod times;

// What runs the template on this machine, and what connects to it.
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

/// The log levels, unless `MYAKU_LOG` sets others. The embedded servers' own logs do not help a user.
pub(super) const DEFAULT_LOG: &str = "warn,myaku_local::mail=info,rumqttd=off,rumqttc=off,dynoxide=error";

/// Operate a Myaku stack in AWS, or run the whole template on this machine.
#[derive(Debug, Parser)]
#[command(name = "myaku", version, about, long_about = None, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole template on this machine, send traffic with faults through it, and check every promise.
    #[cfg(feature = "local")]
    Demo(demo::Args),
    /// Bring the template up on this machine and keep it running.
    #[cfg(feature = "local")]
    Local(local::Args),
    /// Send the reference mix at a steady rate, and report what arrived.
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
    /// Prove that the lake is whole, or read it.
    #[command(subcommand)]
    Archive(archive::Command),
    /// Ask the lake in SQL: messages, readings, dead letters and results. Without SQL, opens a shell.
    Query(query::Args),
    /// Send again what failed, or a part of the lake.
    Replay(replay::Args),
    /// Show the present results of a device: its values and moving averages.
    Results(results::Args),
    /// Find what is unusual in a file of readings.
    Detect(detect::Args),
    /// Restore the windows of the moving averages.
    #[command(subcommand)]
    State(state::Command),
    /// Check, put, list and show device profiles.
    #[command(subcommand)]
    Profile(profile::Command),
    /// Put, import, list and show devices.
    #[command(subcommand)]
    Device(device::Command),
    /// Put, list and show facilities, with those who hear of their alerts.
    #[command(subcommand)]
    Facility(facility::Command),
    /// Show a stream's shards, plan for them, and change them.
    #[command(subcommand)]
    Reshard(reshard::Command),
    /// Put, list and cancel commands for devices that connect by themselves, over HTTP.
    #[command(name = "command", subcommand)]
    Pending(command::Action),
}

/// Runs one command. The exit code is its verdict; an error means that it did not reach one.
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
        Command::Query(args) => Box::pin(query::run(args)).await,
        Command::Replay(args) => Box::pin(replay::run(args)).await.map(|()| ExitCode::SUCCESS),
        Command::Results(args) => Box::pin(results::run(args)).await.map(|()| ExitCode::SUCCESS),
        Command::Detect(args) => detect::run(&args).map(|()| ExitCode::SUCCESS),
        Command::State(command) => Box::pin(state::run(command)).await,
        Command::Profile(command) => profile::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Device(command) => device::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Facility(command) => facility::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Reshard(command) => Box::pin(reshard::run(command)).await.map(|()| ExitCode::SUCCESS),
        Command::Pending(action) => command::run(action).await.map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
