//! Python and Node doing the archiver's work on the same files, alternately with ours, each in a process of its own.
//!
//! A peer measures its own CPU time for the work alone, after a warm-up; its start does not count. Its lines must equal
//! ours.

use crate::archiver::{Archive, lines};
use crate::largest::{Event, Largest};
use crate::machine::first_line_of;
use crate::row::{Bar, Measured, Row, Spread, Unit};
use anyhow::{Context as _, Result, ensure};
use myaku::lake::archive::{Compression, Format};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Runs of a peer in one process, and as many of ours.
const RUNS: usize = 3;
const GZIP_LEVEL: u32 = 6;

/// The peers' results and versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peers {
    pub(crate) versions: String,
    pub(crate) rows: Vec<Row>,
}

/// A program that does the archiver's work.
struct Peer {
    name: &'static str,
    /// The interpreter and the program, in the directory of the peers.
    program: [&'static str; 2],
    way: &'static str,
    is_aggregated: bool,
}

const PYTHON: [&str; 2] = ["python/bin/python", "archive.py"];
const NODE: [&str; 2] = ["node", "archive.mjs"];
const PEERS: &[Peer] = &[
    Peer { name: "Python, standard library", program: PYTHON, way: "plain", is_aggregated: false },
    Peer { name: "Python, batch processor of Powertools", program: PYTHON, way: "powertools", is_aggregated: false },
    Peer { name: "Node, standard library", program: NODE, way: "plain", is_aggregated: false },
    Peer { name: "Python, aws-kinesis-agg", program: PYTHON, way: "agg", is_aggregated: true },
    Peer { name: "Node, aws-kinesis-agg", program: NODE, way: "agg", is_aggregated: true },
];

/// The output of a peer.
#[derive(Deserialize)]
struct PeerOutput {
    seconds: Vec<f64>,
    sha256: String,
}

/// Measures all peers, which are installed in `directory`, in `rounds` rounds.
pub(crate) fn measure(directory: &Path, events: &Largest, rounds: usize) -> Result<Peers> {
    let mut rows = Vec::new();
    for peer in PEERS {
        let event = if peer.is_aggregated { &events.aggregated } else { &events.single };
        let row = compare(peer, directory, event, rounds)?;
        println!("{row}");
        rows.push(row);
    }
    Ok(Peers { versions: versions(directory)?, rows })
}

fn compare(peer: &Peer, directory: &Path, event: &Event, rounds: usize) -> Result<Row> {
    let ours = [Compression::new(Format::Gzip, Some(GZIP_LEVEL))?, Compression::default()].map(Archive::new);
    let [gzip, default] = ours;
    let (gzip, default) = (gzip?, default?);
    let our_sha256 = hex(&Sha256::digest(lines(&gzip.object(event.body.clone())?)?));
    let (mut ratios, mut by_default, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let output = peer.run(directory, &event.file)?;
        ensure!(output.sha256 == our_sha256, "{} makes other lines than ours", peer.name);
        let theirs = Spread::of(output.seconds).median;
        ratios.push(theirs / seconds(|| gzip.spent(&event.body)));
        by_default.push(theirs / seconds(|| default.spent(&event.body)));
        times.push(theirs);
    }
    let by_default = Unit::Times.show(Spread::of(by_default).median);
    let ms = Spread::of(times).median * 1e3;
    Ok(Row {
        name: format!("peers/{}/{}", peer.name, event.name),
        path: format!("{}, {}", peer.name, event.name),
        measured_as: "CPU, gzip 6 ÷ ours, gzip 6".to_owned(),
        unit: Unit::Times,
        bar: Bar::Open,
        limit: String::new(),
        measured: Measured {
            value: Spread::of(ratios),
            detail: format!("{ms:.0} ms; {by_default} times ours at the default codec and level"),
        },
    })
}

/// The median time of [`RUNS`] runs, in seconds.
fn seconds(run: impl FnMut() -> Duration) -> f64 {
    Spread::of(std::iter::repeat_with(run).take(RUNS).map(|time| time.as_secs_f64()).collect()).median
}

impl Peer {
    fn run(&self, directory: &Path, event: &Path) -> Result<PeerOutput> {
        let [interpreter, program] = self.program;
        let output = Command::new(interpreter_in(directory, interpreter))
            .arg(directory.join(program))
            .args([self.way.as_ref(), event.as_os_str(), RUNS.to_string().as_ref()])
            .output()
            .with_context(|| format!("cannot run {interpreter}; `make bench-peers` installs it"))?;
        ensure!(output.status.success(), "{} failed: {}", self.name, String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the output of {} is not the expected JSON", self.name))
    }
}

/// An interpreter in the peers' directory, or otherwise the system's.
fn interpreter_in(directory: &Path, name: &str) -> std::path::PathBuf {
    let own = directory.join(name);
    if own.exists() { own } else { name.into() }
}

fn versions(directory: &Path) -> Result<String> {
    let python = interpreter_in(directory, PYTHON[0]);
    let python = python.to_str().context("the path of the peers' directory is not UTF-8")?;
    let node = first_line_of(NODE[0], &["--version"])?;
    let mut versions = format!("{}, Node {node}", first_line_of(python, &["--version"])?);
    for package in ["aws-lambda-powertools", "aws-kinesis-agg"] {
        let version = format!("import importlib.metadata as m; print(m.version('{package}'))");
        write!(versions, ", {package} {} (PyPI)", first_line_of(python, &["-c", &version])?)?;
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.join("node_modules/aws-kinesis-agg/package.json"))?)?;
    let version = manifest["version"].as_str().context("package.json of aws-kinesis-agg has no version")?;
    write!(versions, ", aws-kinesis-agg {version} (npm)")?;
    Ok(versions)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
