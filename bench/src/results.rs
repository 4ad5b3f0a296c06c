//! What was measured, kept beside the code: one file for each part, from which `BENCHMARKS.md` is written. So a part that
//! is measured anew leaves the others as they are.

use crate::machine::Provenance;
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's directory.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Something measured, and where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept<T> {
    pub(crate) on: Provenance,
    pub(crate) found: T,
}

fn file(part: &str) -> PathBuf {
    repository().join("bench/results").join(format!("{part}.json"))
}

/// Keeps a part.
pub(crate) fn keep<T: Serialize>(part: &str, on: &Provenance, found: T) -> Result<()> {
    let file = file(part);
    let text = serde_json::to_string_pretty(&Kept { on: on.clone(), found })?;
    fs::create_dir_all(file.parent().context("it has no directory")?)?;
    fs::write(&file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))
}

/// A part that was kept, if it was.
pub(crate) fn kept<T: DeserializeOwned>(part: &str) -> Result<Option<Kept<T>>> {
    let file = file(part);
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file)?;
    serde_json::from_str(&text).map(Some).with_context(|| format!("{} is none of ours", file.display()))
}
