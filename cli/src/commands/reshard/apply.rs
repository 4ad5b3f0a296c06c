//! `myaku reshard apply`: the plan of now, carried out; `even`: shards of the same width.

use super::target::Target;
use anyhow::{Context as _, Result, bail};
use myaku::scaling::reshard::{Planner, TickOutcome};
use myaku::scaling::shards::{self, Observation};
use std::time::Duration;
use uuid::Uuid;

/// Between two looks at a stream that is being changed.
const POLL: Duration = Duration::from_secs(2);

/// Carries out the policy's plan, until there is nothing to do.
pub(super) async fn apply(target: &Target) -> Result<()> {
    let policy = target.connect().await?.policy;
    drive(target, &|observation: &Observation, now_ms| shards::plan(observation, &policy, now_ms)).await
}

/// Cuts the keyspace evenly, into as many shards as there are or `count`.
pub(super) async fn even(target: &Target, count: Option<u32>) -> Result<()> {
    let autoscaler = target.connect().await?;
    let looked = Box::pin(autoscaler.look(&target.clock())).await?;
    let count = count.unwrap_or(looked.context("there is no such stream")?.0.open());
    drive(target, &|observation: &Observation, _| shards::even(observation, count)).await
}

async fn drive(target: &Target, planner: &impl Planner) -> Result<()> {
    let autoscaler = target.connect().await?;
    loop {
        let holder = Uuid::new_v4().to_string();
        let report = Box::pin(autoscaler.tick_by(&holder, &target.clock(), planner)).await?;
        match report.outcome {
            TickOutcome::Gone => bail!("there is no such stream"),
            TickOutcome::Nothing | TickOutcome::OnDemand => {
                println!("{}", report.reason);
                return Ok(());
            }
            TickOutcome::Begun => {
                let step = report.begun.as_ref().map(serde_json::to_string).transpose()?.unwrap_or_default();
                println!("{}\n  {step}", report.reason);
            }
            TickOutcome::Waiting | TickOutcome::Held => {}
            TickOutcome::Refused => println!("{}", report.reason),
        }
        tokio::time::sleep(POLL).await;
    }
}
