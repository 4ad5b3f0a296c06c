//! The machine and the versions with which figures were measured.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// Crates whose versions affect the figures.
const CRATES: &[&str] =
    &["aws_lambda_events", "criterion", "flate2", "md-5", "miniz_oxide", "prost", "serde_json", "zlib-rs", "zstd-safe"];
const LOCK: &str = include_str!("../../Cargo.lock");

/// Where and when something was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    /// `YYYY-MM-DD`, UTC.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) versions: String,
}

impl Provenance {
    /// The present date, machine and versions.
    pub(crate) fn here() -> Result<Self> {
        let now = jiff::Timestamp::now().to_string();
        let cores = std::thread::available_parallelism()?;
        let crates: Vec<String> =
            CRATES.iter().filter_map(|name| Some(format!("{name} {}", locked_version(LOCK, name)?))).collect();
        Ok(Self {
            date: now.get(..10).unwrap_or_default().to_owned(),
            machine: format!("{}, {cores} cores, {}", processor()?, std::env::consts::OS),
            versions: format!("{}, {}", first_line_of("rustc", &["--version"])?, crates.join(", ")),
        })
    }
}

fn processor() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let named = |line: &str| Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned());
    Ok(info.lines().find_map(named).unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// The first line of a program's output.
pub(crate) fn first_line_of(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().next().unwrap_or_default().trim().to_owned())
}

/// The version of a crate in `Cargo.lock`; the last one if there are several.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let entry = lock.rsplit_once(&format!("name = \"{name}\"\nversion = \""))?.1;
    entry.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_the_list_has_a_version() {
        for name in CRATES {
            assert!(
                locked_version(LOCK, name).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())),
                "{name}"
            );
        }
        assert_eq!(locked_version(LOCK, "no-such-crate"), None);
    }
}
