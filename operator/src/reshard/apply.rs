//! Carries out plans: begins the next step whenever the stream is ready for it.

use super::observe::{no_stream, observe};
use anyhow::{Result, bail};
use myaku::platform::clock::Now;
use myaku::scaling::reshard::{AlarmStore, Autoscaler, Ledger, Metrics, Planner, StreamControl, TickOutcome};
use myaku::scaling::shards::{self, Observation};
use std::io::Write;
use std::time::Duration;
use uuid::Uuid;

/// The pause between two observations of a stream that is being changed.
const POLL: Duration = Duration::from_secs(2);

/// Carries out what the autoscaler's policy plans, until there is nothing to do. Writes each step to `out`.
pub async fn apply<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger>(
    autoscaler: &Autoscaler<C, M, A, L>,
    clock: &impl Now,
    out: &mut impl Write,
) -> Result<()> {
    let planner = |observation: &Observation, now_ms: i64| shards::plan(observation, &autoscaler.policy, now_ms);
    drive(autoscaler, clock, &planner, out).await
}

/// Cuts the keyspace into `count` shards of the same width; without a count, into as many as there are.
pub async fn even<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger>(
    autoscaler: &Autoscaler<C, M, A, L>,
    clock: &impl Now,
    count: Option<u32>,
    out: &mut impl Write,
) -> Result<()> {
    let (observation, _) = observe(autoscaler, clock).await?;
    let count = count.unwrap_or(observation.open());
    drive(autoscaler, clock, &|observation: &Observation, _: i64| shards::even(observation, count), out).await
}

async fn drive<C: StreamControl, M: Metrics, A: AlarmStore, L: Ledger>(
    autoscaler: &Autoscaler<C, M, A, L>,
    clock: &impl Now,
    planner: &impl Planner,
    out: &mut impl Write,
) -> Result<()> {
    loop {
        let holder = Uuid::new_v4().to_string();
        let report = Box::pin(autoscaler.tick_by(&holder, clock, planner)).await?;
        match report.outcome {
            TickOutcome::Gone => bail!(no_stream(autoscaler.control.name())),
            TickOutcome::Nothing | TickOutcome::OnDemand => {
                writeln!(out, "{}", report.reason)?;
                return Ok(());
            }
            TickOutcome::Begun => {
                let step = report.begun.as_ref().map(serde_json::to_string).transpose()?.unwrap_or_default();
                writeln!(out, "{}\n  {step}", report.reason)?;
            }
            TickOutcome::Waiting | TickOutcome::Held => {}
            TickOutcome::Refused => writeln!(out, "{}", report.reason)?,
        }
        tokio::time::sleep(POLL).await;
    }
}
