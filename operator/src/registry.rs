//! Checks, writes, lists and shows master data: device profiles, devices and facilities.
//!
//! Everything is checked as the functions will read it, and nothing is written unless all of it is good. Each problem
//! is printed with the file, the line and the field, so that a person can correct all of them at once.

pub mod devices;
pub mod facilities;
pub mod profiles;

use anyhow::Context as _;
use myaku::device::profile::Problem;
use myaku::device::registry::{Key, Kind, MasterData, MasterDataWriter, NotPut};
use myaku::platform::clock::{Now as _, SystemClock};
use std::io::Write;

/// How many documents one page of a listing has.
const PAGE: usize = 500;

/// Prints one line for each problem: the place, the field, and what is wrong with it.
fn print_problems(out: &mut impl Write, place: &str, problems: &[Problem]) -> anyhow::Result<()> {
    for problem in problems {
        match problem.field.as_str() {
            "" => writeln!(out, "{place}: {}", problem.message)?,
            field => writeln!(out, "{place}: {field}: {}", problem.message)?,
        }
    }
    Ok(())
}

/// Reads the document at a key.
async fn find(store: &impl MasterData, key: &Key) -> anyhow::Result<Option<String>> {
    let mut read = store.read(std::slice::from_ref(key), SystemClock.now_ms()).await?;
    Ok(read.remove(key).and_then(|stored| stored.document))
}

/// Prints the document at a key, indented. Fails if there is none.
pub async fn show(store: &impl MasterData, key: Key, out: &mut impl Write) -> anyhow::Result<()> {
    let document = find(store, &key).await?.with_context(|| {
        format!("there is no {0} {1:?}; `myaku {0} list` shows those that are there", key.kind.name(), key.id)
    })?;
    match serde_json::from_str::<serde_json::Value>(&document) {
        Ok(value) => writeln!(out, "{value:#}")?,
        // This tool did not write it. Show it as it is.
        Err(_) => writeln!(out, "{document}")?,
    }
    Ok(())
}

/// Prints every document of a kind on a line of its own: with `json` as it is stored, else as `line` formats it.
pub async fn list(
    store: &impl MasterDataWriter,
    kind: Kind,
    json: bool,
    line: impl Fn(&Key, &str) -> String,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.list(kind, after, PAGE).await?;
        for (key, document) in &page.documents {
            if json {
                writeln!(out, "{document}")?;
            } else {
                writeln!(out, "{}", line(key, document))?;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Describes a failed put, with the ids of the documents that were not written.
fn put_error(error: NotPut) -> anyhow::Error {
    let mut ids: Vec<_> = error.keys.iter().take(10).map(|key| key.id.as_str()).collect();
    if error.keys.len() > ids.len() {
        ids.push("…");
    }
    let what = format!("{} documents were not written ({})", error.keys.len(), ids.join(", "));
    anyhow::Error::new(error.source).context(what)
}
