//! The programs that cases start as processes, and how they are built.
//!
//! They are not part of this program. A run of selected cases builds the programs of these cases, and no others. A run
//! of all cases only checks that they exist, because `make bench` builds them before, together with this program.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// The package that has this program and the example `nothing`.
const PACKAGE: &str = env!("CARGO_PKG_NAME");

/// A program of this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(all(not(test), not(feature = "functions")), expect(dead_code, reason = "cases of functions start them"))]
pub(crate) enum Program {
    /// A function, by the name of its package.
    Function(&'static str),
    /// A function that does nothing.
    Nothing,
    /// `myaku`, with all functions, which `myaku local` starts.
    Stack,
}

impl Program {
    /// Its path in the directory of this program.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Function(name) => name,
            Self::Nothing => "examples/nothing",
            Self::Stack => "myaku",
        }
    }

    /// Its file. An error if it does not exist.
    pub(crate) fn file(self) -> Result<PathBuf> {
        let file = std::env::current_exe()?.with_file_name(self.name());
        ensure!(
            file.exists(),
            "{} does not exist; build it with `cargo build --locked --release --workspace --bins --example nothing`",
            file.display()
        );
        Ok(file)
    }
}

/// Checks that all programs exist, so that a long run does not fail halfway.
pub(crate) fn check(programs: &[Program]) -> Result<()> {
    programs.iter().try_for_each(|program| program.file().map(drop))
}

/// Builds programs with the profile of this program, beside it.
pub(crate) fn build(programs: &[Program]) -> Result<()> {
    let this = std::env::current_exe()?;
    let directory = this.parent().context("this program has no directory")?;
    let target = directory.parent().context("this program is not in a target directory")?;
    let profile = match directory.file_name().and_then(|name| name.to_str()).context("the directory has no name")? {
        "debug" => "dev",
        profile => profile,
    };
    for targets in cargo_targets(programs) {
        let status = Command::new("cargo")
            .args(["build", "--locked", "--profile", profile, "--target-dir"])
            .arg(target)
            .args(&targets)
            .current_dir(crate::results::repository())
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "`cargo build {}` failed: see its output above", targets.join(" "));
    }
    Ok(())
}

/// The arguments that select the programs' targets, for each call of cargo. This program is never among them, because
/// it is running.
fn cargo_targets(programs: &[Program]) -> Vec<Vec<&'static str>> {
    let programs: BTreeSet<Program> = programs.iter().copied().collect();
    let has_stack = programs.contains(&Program::Stack);
    let mut single = Vec::new();
    for program in programs {
        match program {
            Program::Function(name) if !has_stack => single.extend(["--package", name, "--bin", name]),
            Program::Nothing => single.extend(["--package", PACKAGE, "--example", "nothing"]),
            Program::Function(_) | Program::Stack => {}
        }
    }
    let stack = if has_stack { vec!["--workspace", "--exclude", PACKAGE, "--bins"] } else { Vec::new() };
    [stack, single].into_iter().filter(|targets| !targets.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_needs_no_build() {
        assert!(cargo_targets(&[]).is_empty());
    }

    #[test]
    fn each_function_and_the_example_are_built_once_in_one_call() {
        let function = Program::Function("archiver");
        let calls = cargo_targets(&[function, Program::Nothing, function]);
        assert_eq!(
            calls,
            [["--package", "archiver", "--bin", "archiver", "--package", PACKAGE, "--example", "nothing"]]
        );
    }

    #[test]
    fn the_stack_includes_all_functions() {
        let calls = cargo_targets(&[Program::Function("archiver"), Program::Stack]);
        assert_eq!(calls, [["--workspace", "--exclude", PACKAGE, "--bins"]]);
    }
}
