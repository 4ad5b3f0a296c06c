//! Observes a stream and plans for it, without changing anything.

use anyhow::{Context as _, Result};
use myaku::platform::clock::Now;
use myaku::scaling::reshard::{AlarmStore, Autoscaler, Ledger, Metrics, StreamControl};
use myaku::scaling::shards::{Observation, Plan};

/// Observes the stream, and plans for it by the autoscaler's policy. Fails if the stream does not exist.
pub async fn observe<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger>(
    autoscaler: &Autoscaler<C, M, A, L>,
    clock: &impl Now,
) -> Result<(Observation, Plan)> {
    let observed = Box::pin(autoscaler.look(clock)).await?;
    observed.with_context(|| no_stream(autoscaler.control.name()))
}

/// Returns the error message for a stream that does not exist.
pub(super) fn no_stream(name: &str) -> String {
    format!("there is no stream {name} in this account and region; check --stream")
}
