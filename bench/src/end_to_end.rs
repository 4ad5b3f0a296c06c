//! The whole pipeline: `myaku local` under `myaku traffic`, up to the rate at which messages are lost or delayed.
//!
//! The traffic, the embedded servers that replace AWS and the functions share the machine, so this does not measure
//! AWS. It shows which rate one machine sustains, and which program takes its time.

use crate::programs::Program;
use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Enough shards that no quota is the limit, and no autoscaler that changes their number.
const PARAMETERS: &[&str] = &["IngestShards=16", "ReadingsShards=8", "ReshardMode=off"];
/// The first rate, in messages per second, and the length of each step.
const FIRST_RATE: &str = "400";
const STEP_SECONDS: &str = "20";
/// The time limit for the stack to start.
const START_MAX: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);
/// Ticks of `/proc/<pid>/stat` per second, which Linux has fixed for programs.
const TICKS: f64 = 100.0;

/// The one case.
pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    let directory = directory.join("local");
    let case = Case::new(
        "end-to-end",
        (
            "the whole pipeline: `myaku local` under `myaku traffic`",
            "messages/s that reach lake and averages, all processes on this machine",
        ),
        (Unit::PerSecond, Bar::Open),
        "",
        move |_| measure(&directory),
    );
    vec![case.starting([Program::Stack])]
}

/// The output of `myaku traffic --find-limit --json`.
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
    let myaku = Program::Stack.file()?;
    let stack = Stack::start(&myaku, directory)?;
    let before = seconds_by_program(stack.0.id())?;
    let output = Command::new(&myaku)
        .args(["traffic", "--find-limit", "--json", "--rate", FIRST_RATE, "--seconds", STEP_SECONDS, "--directory"])
        .arg(directory)
        .stderr(Stdio::null())
        .output()?;
    let spent = seconds_by_program(stack.0.id())?;
    let limit: Limit =
        serde_json::from_slice(&output.stdout).context("`myaku traffic` ended without a result in JSON")?;
    let sustained =
        limit.sustained.with_context(|| format!("not even {FIRST_RATE} messages per second are sustained"))?;
    let shares = shares(&spent, &before);
    let last = limit.steps.last().map_or_else(String::new, |step| {
        let busy = step.busy.map_or_else(String::new, |busy| format!(", with the machine {:.0} % busy", busy * 100.0));
        format!("not sustained at {:.0}/s{busy}", step.rate)
    });
    Ok(Measured {
        value: Spread::of(vec![sustained]),
        detail: format!("{last}; CPU without the traffic's own: {shares}"),
    })
}

/// A running `myaku local`. It is interrupted when it is dropped, so that it stops the processes that it started.
struct Stack(Child);

impl Stack {
    fn start(myaku: &Path, directory: &Path) -> Result<Self> {
        // Files of an earlier run would look like those of this one.
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
        let started = Instant::now();
        while !directory.join("state.json").exists() {
            if let Some(status) = stack.0.try_wait()? {
                bail!("`myaku local` ended with {status}; see {}", directory.with_extension("log").display());
            }
            ensure!(started.elapsed() < START_MAX, "`myaku local` has not started after {START_MAX:?}");
            std::thread::sleep(POLL);
        }
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// The CPU time of a process and its children, in seconds, by program.
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

/// Each program's share of the CPU time since `before`, the largest first.
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
    fn a_process_with_any_name_is_parsed() {
        let stat = "42 (a ) b) S 7 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0";
        assert_eq!(process(stat), Some(([42, 7], "a ) b", 200.0)));
        assert_eq!(process("42 (short) S 7"), None);
    }

    #[test]
    fn shares_are_of_the_time_since_the_first_reading() {
        let seconds =
            |myaku, archiver| BTreeMap::from([("myaku".to_owned(), myaku), ("archiver".to_owned(), archiver)]);
        assert_eq!(shares(&seconds(4.0, 2.0), &seconds(1.0, 1.0)), "servers and event sources 75 %, archiver 25 %");
    }
}
