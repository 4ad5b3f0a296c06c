//! The largest events, which many cases share: made once, and as files for other processes.

use crate::events;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Decides all events.
const SEED: u64 = 1;

/// An invocation's body.
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    /// Where it is as a file.
    pub(crate) file: PathBuf,
}

/// One of each kind, of 6 MB.
pub(crate) struct Largest {
    /// Plain records.
    pub(crate) single: Rc<Event>,
    /// KPL aggregates.
    pub(crate) aggregated: Rc<Event>,
}

impl Largest {
    /// Makes them, and writes their files to `directory`.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let event = |name: &'static str, body: Vec<u8>| {
            let file = directory.join(format!("{name}.json"));
            fs::write(&file, &body).with_context(|| format!("{} cannot be written", file.display()))?;
            anyhow::Ok(Rc::new(Event { name, body, file }))
        };
        Ok(Self {
            single: event("single", events::single(SEED))?,
            aggregated: event("aggregated", events::aggregated(SEED))?,
        })
    }
}
