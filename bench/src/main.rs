//! Measures the record path against its limits.
//!
//! Each module of cases has a function `cases` that returns rows of the table. Most rows compare two pieces of work
//! that run alternately ([`pair`]), in CPU time ([`clock`]). Results are kept in `bench/results` ([`results`]) and
//! written to `BENCHMARKS.md` ([`report`]). Some cases start other programs, which [`programs`] builds.

mod anomaly;
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
mod programs;
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

/// The directory of events and of criterion's files.
const FILES: &str = "target/bench";

#[derive(Parser)]
#[command(about = "Measures the record path against its limits, as ratios of work that runs alternately.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and write BENCHMARKS.md if nothing is selected. Builds the programs that selected cases start.
    Run {
        /// Parts of the names of cases; without any, everything is measured.
        select: Vec<String>,
        /// Pairs of runs for each ratio.
        #[arg(long, default_value_t = 31)]
        rounds: usize,
        /// Keep the results of the selected cases in place of earlier ones, and write BENCHMARKS.md.
        #[arg(long)]
        keep: bool,
        /// A directory with the series of the Numenta Anomaly Benchmark and their `windows.json`. Without it, their case is skipped.
        #[arg(long, value_name = "DIRECTORY", env = "MYAKU_NAB")]
        nab: Option<PathBuf>,
    },
    /// Measure Python and Node, installed in a directory, and add them to BENCHMARKS.md.
    Peers {
        directory: PathBuf,
        /// Processes of each peer.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Write BENCHMARKS.md from the kept results.
    Report,
    /// Measure something in a process of its own.
    #[command(hide = true, subcommand)]
    Child(Child),
}

#[derive(Subcommand)]
enum Child {
    /// The memory that archiving an event takes beyond its body.
    Memory { event: PathBuf },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run { select, rounds, keep, nab } => run(&select, rounds, keep || select.is_empty(), nab),
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
fn cases(events: &Largest, directory: &Path, nab: Option<PathBuf>) -> Vec<Case> {
    let cases = [
        archiver::cases(events),
        checksum::cases(&events.aggregated),
        transform::cases(),
        #[cfg(feature = "functions")]
        average::cases(),
        anomaly::cases(directory, nab),
        #[cfg(feature = "functions")]
        cold_start::cases(directory),
        end_to_end::cases(directory),
    ];
    cases.into_iter().flatten().collect()
}

fn run(select: &[String], rounds: usize, keep: bool, nab: Option<PathBuf>) -> Result<()> {
    let directory = results::repository().join(FILES);
    let events = Largest::new(&directory)?;
    let on = Provenance::here()?;
    let has_nab = nab.is_some();
    let cases = cases(&events, &directory, nab);
    let mut order: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    if !has_nab {
        order.push(anomaly::NAB.to_owned());
    }
    let is_selected = |part: &str| select.is_empty() || select.iter().any(|selected| selected == part);
    let names = [order.as_slice(), &[report::GROWTH.to_owned(), report::CODECS.to_owned()]].concat();
    let missing = select.iter().find(|part| !names.iter().any(|name| name.contains(part.as_str())));
    ensure!(
        missing.is_none(),
        "no case has a name with {}; the cases are {}",
        missing.map_or("", String::as_str),
        names.join(", ")
    );
    let selected: Vec<Case> = cases.into_iter().filter(|case| case.is_selected(select)).collect();
    if !has_nab && (select.is_empty() || select.iter().any(|part| anomaly::NAB.contains(part.as_str()))) {
        eprintln!("{}: skipped, because it needs NAB's series; give their directory with --nab", anomaly::NAB);
    }
    let programs: Vec<_> = selected.iter().flat_map(|case| &case.programs).copied().collect();
    if select.is_empty() {
        programs::check(&programs)?;
    } else {
        programs::build(&programs)?;
    }
    let mut rows = Vec::new();
    for case in selected {
        let row = case.run(rounds)?;
        println!("{row}");
        rows.push(row);
    }
    if keep && !rows.is_empty() {
        results::keep(report::ROWS, &on, merge(rows, &order)?)?;
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

/// Merges new rows into the kept ones, in the order of the table.
fn merge(rows: Vec<Row>, order: &[String]) -> Result<Vec<Row>> {
    let kept = results::load::<Vec<Row>>(report::ROWS)?.map_or_else(Vec::new, |kept| kept.found);
    let mut all: Vec<Row> = kept.into_iter().filter(|old| !rows.iter().any(|row| row.name == old.name)).collect();
    all.extend(rows);
    all.sort_by_key(|row| order.iter().position(|name| *name == row.name));
    Ok(all)
}
