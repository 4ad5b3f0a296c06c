//! `myaku invoke`: invokes one function once, against the servers of a running `myaku local`.
//!
//! It starts an environment of its own, so that the running functions and their positions stay as they are.

use super::running_stack::RunningStack;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use myaku_local::function::Function;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku invoke`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function, by its logical id or its binary.
    function: String,
    /// The file with the event, as JSON.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Invoke it asynchronously, with Lambda's defaults: a failure is retried after one minute, and again after two
    /// more.
    #[arg(long = "async")]
    asynchronously: bool,
    /// The directory in which myaku local keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command. It prints the response, or the function's error.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let event =
        std::fs::read(&args.event).with_context(|| format!("cannot read the event {}", args.event.display()))?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&event)
        .with_context(|| format!("the event {} is not JSON", args.event.display()))?;
    let running = RunningStack::read(&args.directory)?;
    let (id, function) = running.function(&args.function)?;
    let log = args.directory.join(format!("invoke-{id}.log"));
    let function = Function::start(function.spec(id, log.clone()))?;
    if args.asynchronously {
        let code = queue(&function, Bytes::from(event)).await;
        function.stop().await;
        return code;
    }
    let answer = function.invoke(Bytes::from(event)).await;
    function.stop().await;
    match answer {
        Ok(response) => {
            println!("{}", String::from_utf8_lossy(&response));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {error}\nThe log of the function is {}.", log.display());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Queues an event, and waits until it succeeds or the runner gives it up.
async fn queue(function: &Function, event: Bytes) -> Result<ExitCode> {
    let id = function.invoke_async(event)?;
    println!("{id} is queued");
    function.asynchronous_done().await;
    let stats = function.stats();
    if stats.errors == stats.invocations {
        eprintln!("error: the function failed {} times, and the event was given up", stats.invocations);
        return Ok(ExitCode::FAILURE);
    }
    println!("{id} succeeded after {} failures", stats.errors);
    Ok(ExitCode::SUCCESS)
}
