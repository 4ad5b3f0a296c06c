//! What a policy would have made of a demand: a model of a Kinesis stream, sized minute by minute by the very functions
//! that size real ones, beside the ways in which people size theirs.
//!
//! The model has what decides about throttling and cost: limits per shard on records and bytes, keys that are not
//! spread evenly, metrics that arrive late, resharding that takes its time, quotas, and prices. Its time goes in steps of
//! ten seconds. What it leaves out is said in the README: bursts within a step, and producers that send again.

mod contender;
mod demand;
mod keys;
mod ledger;
mod made;
mod metrics;
mod on_demand;
mod plot;
mod report;
mod stream;
mod trace;

pub use contender::{Contender, PEERS};
pub use keys::Keys;
pub use ledger::Outcome;
pub use made::MADE;

pub use plot::{PlotError, plot};
pub use report::{Comparison, table};
pub use trace::{Trace, TraceError};

use contender::Sizer;
use demand::Demand;
use on_demand::OnDemand;
use stream::Stream;

/// Length of a step, in seconds.
const STEP_S: u32 = 10;
/// Steps of a minute.
const MINUTE_STEPS: u32 = 60 / STEP_S;

/// What the model takes as given. The durations are observations, not promises of AWS.
#[derive(Clone, Debug)]
pub struct Assumptions {
    /// Bytes of a record, its partition key included.
    pub record_bytes: f64,
    /// Consumers, all of them plain.
    pub consumers: u32,
    /// From the end of a minute until its metrics are there, in seconds.
    pub metrics_delay_s: u32,
    /// For a split or a merge, and for UpdateShardCount without its part for each shard, in seconds.
    pub reshard_s: u32,
    /// Decides the keys that are drawn.
    pub seed: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { record_bytes: 1_024.0, consumers: 2, metrics_delay_s: 60, reshard_s: 30, seed: 1 }
    }
}

/// Runs every contender over the trace.
pub fn compare(trace: &Trace, contenders: &[Contender], assumptions: &Assumptions) -> Comparison {
    let demand = Demand::of(trace, assumptions);
    let outcomes = std::thread::scope(|scope| {
        let runs: Vec<_> =
            contenders.iter().map(|contender| scope.spawn(|| run(&demand, contender, assumptions))).collect();
        let done = runs.into_iter().map(std::thread::ScopedJoinHandle::join);
        done.filter_map(Result::ok).collect()
    });
    Comparison {
        trace: trace.name.clone(),
        hours: demand.hours(),
        records: demand.records(),
        demand: demand.worth_by_minute(),
        outcomes,
    }
}

/// Runs one contender over the demand.
fn run(demand: &Demand, contender: &Contender, assumptions: &Assumptions) -> Outcome {
    match contender.sizer(demand) {
        Sizer::OnDemand => OnDemand::new(demand, assumptions).run(contender.name()),
        Sizer::Shards { first, pilot } => Stream::new(demand, assumptions, first, pilot).run(contender.name()),
    }
}

#[cfg(test)]
mod tests;
