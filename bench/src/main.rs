//! The record path beside its limits.
//!
//! Each case is a small module with a `cases` that gives rows of the table. A row is a pair of pieces of work that run in turn
//! ([`pair`]), measured in CPU time ([`clock`]). What is measured is kept in `bench/results` and written to `BENCHMARKS.md`
//! ([`report`]).

mod archiver;
#[cfg(feature = "functions")]
mod average;
mod checksum;
mod clock;
mod codecs;
#[cfg(feature = "functions")]
mod cold_start;
mod end_to_end;
mod events;
#[cfg(feature = "functions")]
mod functions;
mod growth;
mod largest;
mod machine;
mod pair;
mod peers;
mod report;
mod results;
mod row;
mod transform;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use largest::Largest;
use machine::Provenance;
use row::{Case, Row};
use std::path::{Path, PathBuf};

/// Where events and criterion's files go.
const FILES: &str = "target/bench";

#[derive(Parser)]
#[command(about = "The record path beside its limits, as ratios measured side by side.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and write BENCHMARKS.md if nothing was selected.
    Run {
        /// Parts of the names of cases; without any, all are measured.
        select: Vec<String>,
        /// Pairs of runs for each ratio.
        #[arg(long, default_value_t = 31)]
        rounds: usize,
        /// Keep what was selected, in place of what was measured of it before.
        #[arg(long)]
        keep: bool,
    },
    /// Measure Python and Node, which are installed in a directory, and add them to BENCHMARKS.md.
    Peers {
        directory: PathBuf,
        /// Processes of each.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Write BENCHMARKS.md from what was measured before.
    Report,
    /// What is measured in a process of its own.
    #[command(hide = true, subcommand)]
    Child(Child),
}

#[derive(Subcommand)]
enum Child {
    /// Memory that archiving an event takes beyond its body.
    Memory { event: PathBuf },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run { select, rounds, keep } => run(&select, rounds, keep || select.is_empty()),
        Command::Peers { directory, rounds } => {
            let events = Largest::new(&results::repository().join(FILES))?;
            results::keep(report::PEERS, &Provenance::here()?, peers::measure(&directory, &events, rounds)?)?;
            report::write()
        }
        Command::Report => report::write(),
        Command::Child(Child::Memory { event }) => {
            println!("{}", archiver::peak_beyond_body(&event)?);
            Ok(())
        }
    }
}

/// All rows of the table, in its order.
fn cases(events: &Largest, directory: &Path) -> Vec<Case> {
    let cases = [
        archiver::cases(events),
        checksum::cases(&events.aggregated),
        transform::cases(),
        #[cfg(feature = "functions")]
        average::cases(),
        #[cfg(feature = "functions")]
        cold_start::cases(directory),
        end_to_end::cases(directory),
    ];
    cases.into_iter().flatten().collect()
}

fn run(select: &[String], rounds: usize, keep: bool) -> Result<()> {
    let directory = results::repository().join(FILES);
    let events = Largest::new(&directory)?;
    let on = Provenance::here()?;
    let cases = cases(&events, &directory);
    let order: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let is_selected = |part: &str| select.is_empty() || select.iter().any(|selected| selected == part);
    let names = [order.as_slice(), &[report::GROWTH.to_owned(), report::CODECS.to_owned()]].concat();
    let missing = select.iter().find(|part| !names.iter().any(|name| name.contains(part.as_str())));
    ensure!(missing.is_none(), "nothing is called {}; there are {}", select.join(", "), names.join(", "));
    let mut rows = Vec::new();
    for case in cases.into_iter().filter(|case| case.is_selected(select)) {
        let row = case.run(rounds)?;
        println!("{row}");
        rows.push(row);
    }
    if keep && !rows.is_empty() {
        results::keep(report::ROWS, &on, merged(rows, &order)?)?;
    }
    if is_selected(report::CODECS) {
        let codecs = codecs::measure(rounds)?;
        print!("{}", report::codecs(&codecs)?);
        if keep {
            results::keep(report::CODECS, &on, codecs)?;
        }
    }
    if is_selected(report::GROWTH) {
        let curves = growth::curves(&directory.join("criterion"))?;
        print!("{}", report::growth(&curves)?);
        if keep {
            results::keep(report::GROWTH, &on, curves)?;
        }
    }
    if keep { report::write() } else { Ok(()) }
}

/// The rows that were measured now among those that were kept, in the table's order.
fn merged(rows: Vec<Row>, order: &[String]) -> Result<Vec<Row>> {
    let kept = results::kept::<Vec<Row>>(report::ROWS)?.map_or_else(Vec::new, |kept| kept.found);
    let mut all: Vec<Row> = kept.into_iter().filter(|old| !rows.iter().any(|row| row.name == old.name)).collect();
    all.extend(rows);
    all.sort_by_key(|row| order.iter().position(|name| *name == row.name));
    Ok(all)
}
