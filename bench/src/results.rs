//! Keeps results in files beside the code, one for each part of `BENCHMARKS.md`. So a part can be measured again
//! without the others.

use crate::machine::Provenance;
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A result, with the place and time of its measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResultFile<T> {
    pub(crate) on: Provenance,
    pub(crate) found: T,
}

fn file(part: &str) -> PathBuf {
    repository().join("bench/results").join(format!("{part}.json"))
}

/// Keeps a part.
pub(crate) fn keep<T: Serialize>(part: &str, on: &Provenance, found: T) -> Result<()> {
    let file = file(part);
    let text = serde_json::to_string_pretty(&ResultFile { on: on.clone(), found })?;
    fs::create_dir_all(file.parent().context("the file has no directory")?)?;
    fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// Loads a kept part; `None` if it has never been kept.
pub(crate) fn load<T: DeserializeOwned>(part: &str) -> Result<Option<ResultFile<T>>> {
    let file = file(part);
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file)?;
    serde_json::from_str(&text).map(Some).with_context(|| format!("cannot parse {}", file.display()))
}
