//! `myaku env`: prints the variables with which tools find a running `myaku local`.

use super::running_stack::RunningStack;
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku env`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the environment of this function, as a file for --env-file. Name it by its logical id or its binary. If
    /// not given, the variables for SDKs and tools are printed as lines for a shell.
    function: Option<String>,
    /// The directory in which myaku local keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let running = RunningStack::read(&args.directory)?;
    match &args.function {
        None => println!("{}", running.exports()),
        Some(name) => {
            for (name, value) in &running.function(name)?.1.environment {
                println!("{name}={value}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
