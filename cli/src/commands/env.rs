//! `myaku env`: the variables with which tools find a running `myaku local`.

use super::running_stack::State;
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku env`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A function, by its logical id or the name of its binary: its own environment, as a file for `--env-file`.
    /// Without, the variables for SDKs and tools, as lines for a shell.
    function: Option<String>,
    /// Where `myaku local` keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let state = State::read(&args.directory)?;
    match &args.function {
        None => println!("{}", state.exports()),
        Some(name) => {
            for (name, value) in &state.function(name)?.1.environment {
                println!("{name}={value}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
