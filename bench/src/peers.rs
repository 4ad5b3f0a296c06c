//! Python and Node doing the archiver's work on the same files, in turn with ours, each in a process of its own.
//!
//! A peer measures its own CPU time over the work alone, once it is warm: how long it takes to start is another question.
//! Its lines must be ours.

use crate::archiver::{Archive, lines};
use crate::largest::{Event, Largest};
use crate::machine::said_by;
use crate::row::{Bar, Measured, Row, Spread, Unit};
use anyhow::{Context as _, Result, ensure};
use myaku::lake::archive::{Compression, Format};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Runs of a peer in one process, and of ours beside it.
const RUNS: usize = 3;
const GZIP_LEVEL: u32 = 6;

/// What they came to, and their versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peers {
    pub(crate) versions: String,
    pub(crate) rows: Vec<Row>,
}

/// Who does it, and how.
struct Peer {
    name: &'static str,
    /// The interpreter and the program, in the directory that the peers are installed into.
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

/// What a peer says of its runs.
#[derive(Deserialize)]
struct Said {
    seconds: Vec<f64>,
    sha256: String,
}

/// Measures all peers that are installed in `directory`, in so many rounds.
pub(crate) fn measure(directory: &Path, events: &Largest, rounds: usize) -> Result<Peers> {
    let mut rows = Vec::new();
    for peer in PEERS {
        let event = if peer.is_aggregated { &events.aggregated } else { &events.single };
        let row = beside(peer, directory, event, rounds)?;
        println!("{row}");
        rows.push(row);
    }
    Ok(Peers { versions: versions(directory)?, rows })
}

fn beside(peer: &Peer, directory: &Path, event: &Event, rounds: usize) -> Result<Row> {
    let ours = [Compression::new(Format::Gzip, Some(GZIP_LEVEL))?, Compression::default()].map(Archive::new);
    let [gzip, default] = ours;
    let (gzip, default) = (gzip?, default?);
    let wanted = hex(&Sha256::digest(lines(&gzip.object(event.body.clone())?)?));
    let (mut ratios, mut by_default, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let said = peer.run(directory, &event.file)?;
        ensure!(said.sha256 == wanted, "{} writes other lines than ours", peer.name);
        let theirs = Spread::of(said.seconds).median;
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
            detail: format!("{ms:.0} ms; {by_default} times ours at the default"),
        },
    })
}

/// The median of as many runs as a peer makes.
fn seconds(run: impl FnMut() -> Duration) -> f64 {
    Spread::of(std::iter::repeat_with(run).take(RUNS).map(|time| time.as_secs_f64()).collect()).median
}

impl Peer {
    fn run(&self, directory: &Path, event: &Path) -> Result<Said> {
        let [interpreter, program] = self.program;
        let output = Command::new(interpreter_in(directory, interpreter))
            .arg(directory.join(program))
            .args([self.way.as_ref(), event.as_os_str(), RUNS.to_string().as_ref()])
            .output()
            .with_context(|| format!("{interpreter} cannot be run; `make bench-peers` installs it"))?;
        ensure!(output.status.success(), "{} failed: {}", self.name, String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| format!("{} says what it should not", self.name))
    }
}

/// An interpreter of the peers' directory, or else of the system.
fn interpreter_in(directory: &Path, name: &str) -> std::path::PathBuf {
    let own = directory.join(name);
    if own.exists() { own } else { name.into() }
}

fn versions(directory: &Path) -> Result<String> {
    let python = interpreter_in(directory, PYTHON[0]);
    let python = python.to_str().context("the peers' directory has no name in UTF-8")?;
    let node = said_by(NODE[0], &["--version"])?;
    let mut versions = format!("{}, Node {node}", said_by(python, &["--version"])?);
    for package in ["aws-lambda-powertools", "aws-kinesis-agg"] {
        let version = format!("import importlib.metadata as m; print(m.version('{package}'))");
        write!(versions, ", {package} {} (PyPI)", said_by(python, &["-c", &version])?)?;
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.join("node_modules/aws-kinesis-agg/package.json"))?)?;
    let version = manifest["version"].as_str().context("aws-kinesis-agg has no version")?;
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
