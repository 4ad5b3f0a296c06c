//! The functions as they are deployed, on ports that cost nothing: what is left is their own work.

pub(crate) mod average;
pub(crate) mod transform;

use anyhow::{Result, bail};
use myaku::stream::answer::Answer;

/// What the wall clock says: within a minute of the events' arrivals.
const NOW_MS: i64 = 1_795_218_910_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;

/// Nothing is measured that fails.
fn succeeded(answer: Answer) -> Result<()> {
    match answer.retry_from() {
        Some(record) => bail!("the batch is to be delivered again from {record} on"),
        None => Ok(()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}
