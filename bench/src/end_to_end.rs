//! All of it: `myaku local` under `myaku traffic`, up to the rate at which something is lost or left behind.
//!
//! The traffic, the embedded servers that stand for AWS and the functions share the machine, so this is no measure of AWS:
//! it says how far one machine carries the whole, and who takes its time. Both programs are those beside this one.

use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Enough shards that no quota is the limit, and nobody who changes their number.
const PARAMETERS: &[&str] = &["IngestShards=16", "ReadingsShards=8", "ReshardMode=off"];
/// The first rate, in messages a second, and the seconds of each step.
const FIRST_RATE: &str = "400";
const STEP_SECONDS: &str = "20";
/// For the stack to come up.
const START: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);
/// Ticks of `/proc/<pid>/stat` in a second, which Linux has fixed for programs.
const TICKS: f64 = 100.0;

/// The one case.
pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    let directory = directory.join("local");
    let case = Case::new(
        "end-to-end",
        (
            "all of it: `myaku local` under `myaku traffic`",
            "messages/s that reach lake and averages, all processes on this machine",
        ),
        (Unit::PerSecond, Bar::Open),
        "",
        move |_| measure(&directory),
    );
    vec![case]
}

/// What `myaku traffic --find-limit --json` says.
#[derive(Deserialize)]
struct Limit {
    sustained: Option<f64>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    rate: f64,
    busy: Option<f64>,
}

fn measure(directory: &Path) -> Result<Measured> {
    let myaku = program()?;
    let stack = Stack::up(&myaku, directory)?;
    let before = seconds_by_program(stack.0.id())?;
    let output = Command::new(&myaku)
        .args(["traffic", "--find-limit", "--json", "--rate", FIRST_RATE, "--seconds", STEP_SECONDS, "--directory"])
        .arg(directory)
        .stderr(Stdio::null())
        .output()?;
    let spent = seconds_by_program(stack.0.id())?;
    let limit: Limit = serde_json::from_slice(&output.stdout).context("the traffic ended without a result")?;
    let sustained =
        limit.sustained.with_context(|| format!("not even {FIRST_RATE} messages a second are sustained"))?;
    let shares = shares(&spent, &before);
    let last = limit.steps.last().map_or_else(String::new, |step| {
        let busy = step.busy.map_or_else(String::new, |busy| format!(", the machine {:.0} % busy", busy * 100.0));
        format!("not sustained at {:.0}{busy}", step.rate)
    });
    Ok(Measured {
        value: Spread::of(vec![sustained]),
        detail: format!("{last}; CPU beside the traffic's own: {shares}"),
    })
}

/// `myaku`, beside this program.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let myaku = this.with_file_name("myaku");
    ensure!(myaku.exists(), "there is no {}: `cargo build --release --workspace --bins` makes it", myaku.display());
    Ok(myaku)
}

/// A running `myaku local`, which is interrupted in the end, so that it stops what it has started.
struct Stack(Child);

impl Stack {
    fn up(myaku: &Path, directory: &Path) -> Result<Self> {
        // Of an earlier run: it would be taken for this one's.
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let log = fs::File::create(directory.with_extension("log"))?;
        let parameters = PARAMETERS.iter().flat_map(|parameter| ["--parameter", parameter]);
        let child = Command::new(myaku)
            .args(["local", "--seed-registry", "0"])
            .args(parameters)
            .arg("--directory")
            .arg(directory)
            .current_dir(crate::results::repository())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut stack = Self(child);
        let begun = Instant::now();
        while !directory.join("state.json").exists() {
            if let Some(status) = stack.0.try_wait()? {
                bail!("`myaku local` ended with {status}; see {}", directory.with_extension("log").display());
            }
            ensure!(begun.elapsed() < START, "`myaku local` is not up after {START:?}");
            std::thread::sleep(POLL);
        }
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// CPU seconds of a process and its children, by program.
fn seconds_by_program(parent: u32) -> Result<BTreeMap<String, f64>> {
    let mut seconds = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end at any time.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        if let Some((_, program, ticks)) = process(&stat).filter(|(ids, ..)| ids.contains(&parent)) {
            *seconds.entry(program.to_owned()).or_default() += ticks / TICKS;
        }
    }
    Ok(seconds)
}

/// `<pid> (<program>) <state> <parent> …`; the user's and the system's ticks are the 14th and the 15th.
fn process(stat: &str) -> Option<([u32; 2], &str, f64)> {
    let (id, rest) = stat.split_once(" (")?;
    let (program, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some(([id.parse().ok()?, fields.get(1)?.parse().ok()?], program, ticks(11)? + ticks(12)?))
}

/// Each program's part of what was spent since `before`, the largest first.
fn shares(spent: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> String {
    let since = |(program, spent): (&String, &f64)| (program.clone(), spent - before.get(program).unwrap_or(&0.0));
    let mut parts: Vec<(String, f64)> = spent.iter().map(since).filter(|(_, seconds)| *seconds > 0.0).collect();
    parts.sort_by(|one, other| other.1.total_cmp(&one.1));
    let all: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let named = |(program, seconds): &(String, f64)| match program.as_str() {
        "myaku" => format!("servers and event sources {:.0} %", seconds / all * 100.0),
        other => format!("{other} {:.0} %", seconds / all * 100.0),
    };
    parts.iter().map(named).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let stat = "42 (a ) b) S 7 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0";
        assert_eq!(process(stat), Some(([42, 7], "a ) b", 200.0)));
        assert_eq!(process("42 (short) S 7"), None);
    }

    #[test]
    fn shares_are_of_what_was_spent_since() {
        let seconds =
            |myaku, archiver| BTreeMap::from([("myaku".to_owned(), myaku), ("archiver".to_owned(), archiver)]);
        assert_eq!(shares(&seconds(4.0, 2.0), &seconds(1.0, 1.0)), "servers and event sources 75 %, archiver 25 %");
    }
}
