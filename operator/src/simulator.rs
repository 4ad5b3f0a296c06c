//! Simulates how a policy would have sized a stream for a given demand, beside the ways in which people size theirs.
//!
//! A policy can so be tried on months of demand in seconds, before it sizes a real stream. The stream is a model of
//! Kinesis; what sizes it, minute by minute, is the same code that sizes real streams.
//!
//! The model has what decides about throttling and cost: limits per shard on records and bytes, keys that are not
//! spread evenly, metrics that arrive late, resharding that takes time, quotas, and prices. Its time passes in steps of
//! ten seconds. It leaves out bursts within a step, and producers that retry.
//!
//! In reading order: a [`Trace`] is the demand, a [`Contender`] sizes the stream, [`compare`] runs several contenders
//! on one trace, and [`table`] and [`plot()`] show the [`Comparison`].

mod assumptions;
mod contender;
mod demand;
mod keys;
mod ledger;
mod metrics;
mod on_demand;
mod plot;
mod report;
mod stream;
mod synthetic;
mod trace;

pub use assumptions::Assumptions;
pub use contender::{Contender, PEERS};
pub use keys::Keys;
pub use ledger::RunOutcome;
pub use plot::{PlotError, plot};
pub use report::{Comparison, table};
pub use synthetic::SYNTHETIC;
pub use trace::{Trace, TraceError};

use contender::Sizing;
use demand::Demand;
use on_demand::OnDemand;
use stream::Stream;

/// Runs every contender on the trace.
pub fn compare(trace: &Trace, contenders: &[Contender], assumptions: &Assumptions) -> Comparison {
    let demand = Demand::of(trace, assumptions);
    let outcomes = std::thread::scope(|scope| {
        let runs: Vec<_> =
            contenders.iter().map(|contender| scope.spawn(|| run(&demand, contender, assumptions))).collect();
        let outcomes = runs.into_iter().map(std::thread::ScopedJoinHandle::join);
        outcomes.filter_map(Result::ok).collect()
    });
    Comparison {
        trace: trace.name.clone(),
        hours: demand.hours(),
        records: demand.records(),
        demand: demand.shards_by_minute(),
        outcomes,
    }
}

/// Runs one contender on the demand.
fn run(demand: &Demand, contender: &Contender, assumptions: &Assumptions) -> RunOutcome {
    match contender.sizing(demand) {
        Sizing::OnDemand => OnDemand::new(demand, assumptions).run(contender.name()),
        Sizing::Provisioned { first_shards, scaler } => {
            Stream::new(demand, assumptions, first_shards, scaler).run(contender.name())
        }
    }
}

#[cfg(test)]
mod tests;
