//! The functions' own handlers on a simulated platform where everything goes wrong that may, from seeds.
//!
//! `make simulate SEEDS=1000` tries so many seeds; `SEED=17 make simulate` repeats one and prints its trace. A seed that
//! breaks an invariant is made shorter, and what is left of it is printed.

mod driver;
mod faults;
mod function;
mod invariants;
mod ledger;
mod mapping;
mod plan;
mod ports;
mod world;

use plan::Plan;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> anyhow::Result<ExitCode> {
    let from: u64 = std::env::args().nth(1).unwrap_or_default().parse().unwrap_or(0);
    let seeds: u64 = std::env::args().nth(2).unwrap_or_default().parse().unwrap_or(100);
    let trace = std::env::args().nth(3).is_some();
    let start = Instant::now();
    let mut events = 0;
    let mut failures = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for seed in from..from + seeds {
        let plan = Plan::new(seed);
        let outcome = driver::run(&plan, None, trace);
        events += outcome.events;
        if trace { println!("{plan:?}"); println!("{}", outcome.trace); }
        if let Some(violation) = outcome.violation {
            let entry = failures.entry(violation.invariant.name()).or_default();
            if entry.len() < 2 || trace { println!("seed {seed}: {}", &violation.to_string()[..violation.to_string().len().min(600)]); }
            entry.push(seed);
        }
    }
    println!("{seeds} seeds, {events} events in {:?}", start.elapsed());
    for (name, seeds) in failures { println!("{name}: {} {:?}", seeds.len(), &seeds[..seeds.len().min(8)]); }
    Ok(ExitCode::SUCCESS)
}
