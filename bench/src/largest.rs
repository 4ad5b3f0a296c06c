//! The largest events, which many cases share. They are made once, and written to files for other processes.

use crate::events;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The seed of all events.
const SEED: u64 = 1;

/// An invocation's body.
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    /// The file with the body.
    pub(crate) file: PathBuf,
}

/// One event of each kind, of 6 MB.
pub(crate) struct Largest {
    /// Plain records.
    pub(crate) single: Rc<Event>,
    /// KPL aggregates.
    pub(crate) aggregated: Rc<Event>,
}

impl Largest {
    /// Makes the events, and writes their files to `directory`.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let event = |name: &'static str, body: Vec<u8>| {
            let file = directory.join(format!("{name}.json"));
            fs::write(&file, &body).with_context(|| format!("cannot write {}", file.display()))?;
            anyhow::Ok(Rc::new(Event { name, body, file }))
        };
        Ok(Self {
            single: event("single", events::single(SEED))?,
            aggregated: event("aggregated", events::aggregated(SEED))?,
        })
    }
}
