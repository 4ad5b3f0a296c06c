//! The command line `myaku`: for operators of a deployed stack, and for everything on one machine.
//!
//! This file is wiring: arguments, the log, the exit code. The commands are in [`commands`]; the crates
//! `myaku-operator`, `myaku-local` and `myaku-demo` do their work.

mod commands;

use clap::Parser;
use commands::Cli;
use mimalloc::MiMalloc;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

// The local servers allocate small values by the million, on many threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("MYAKU_LOG").unwrap_or_else(|_| EnvFilter::new(commands::DEFAULT_LOG));
    // The log goes to standard error, because standard output is for results.
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!(
                "error: cannot start the async runtime: {error}; are threads and file descriptors limited (ulimit -a)?"
            );
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
