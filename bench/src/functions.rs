//! The functions as they are deployed, with ports that take no time, so that only their own work is measured.

pub(crate) mod average;
pub(crate) mod transform;

use anyhow::{Result, bail};
use myaku::stream::answer::Answer;

/// The time on the functions' clock: within a minute of the events' arrivals.
const NOW_MS: i64 = 1_795_218_910_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;

/// Fails if the batch failed, so that no failure is measured.
fn check_answer(answer: Answer) -> Result<()> {
    match answer.retry_from() {
        Some(record) => bail!("the function failed from record {record} on"),
        None => Ok(()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}
