//! `myaku invoke`: one invocation of one function, against the servers of a running `myaku local`.
//!
//! An environment of its own is started for it, so that the running functions and their positions are left alone.

use super::running_stack::State;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use myaku_local::function::Function;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku invoke`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function: its logical id or the name of its binary.
    function: String,
    /// The event, as JSON.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Invoke it asynchronously, with Lambda's defaults: a failure is tried again after one minute, and after two more.
    #[arg(long = "async")]
    asynchronously: bool,
    /// Where `myaku local` keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command: prints the response, or the function's error.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let event = std::fs::read(&args.event).with_context(|| format!("{} cannot be read", args.event.display()))?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&event)
        .with_context(|| format!("{} is no JSON", args.event.display()))?;
    let state = State::read(&args.directory)?;
    let (id, function) = state.function(&args.function)?;
    let log = args.directory.join(format!("invoke-{id}.log"));
    let function = Function::start(function.spec(id, log.clone()))?;
    if args.asynchronously {
        let done = queue(&function, Bytes::from(event)).await;
        function.stop().await;
        return done;
    }
    let answer = function.invoke(Bytes::from(event)).await;
    function.stop().await;
    match answer {
        Ok(response) => {
            println!("{}", String::from_utf8_lossy(&response));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {error}\nWhat the function said is in {}.", log.display());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Queues an event, and waits until it is done or given up.
async fn queue(function: &Function, event: Bytes) -> Result<ExitCode> {
    let id = function.invoke_async(event)?;
    println!("{id} is queued");
    function.asynchronous_done().await;
    let stats = function.stats();
    if stats.errors == stats.invocations {
        eprintln!("error: it was given up after {} tries", stats.invocations);
        return Ok(ExitCode::FAILURE);
    }
    println!("{id} is done, after {} failures", stats.errors);
    Ok(ExitCode::SUCCESS)
}
