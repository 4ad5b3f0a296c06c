//! Counts what happens in a run, and what it would have cost.

use super::assumptions::{Assumptions, STEP_S};
use serde::Serialize;

/// Prices in US dollars in us-east-1, by the price list of 2023.
mod price {
    /// An hour of a shard.
    pub(super) const SHARD_HOUR: f64 = 0.015;
    /// A PUT payload unit of 25 KB.
    pub(super) const PUT_UNIT: f64 = 0.014 / 1e6;
    /// An hour of an on-demand stream.
    pub(super) const STREAM_HOUR: f64 = 0.04;
    /// A gigabyte written on demand; each record is rounded up to whole kilobytes.
    pub(super) const GB_IN: f64 = 0.08;
    /// A gigabyte read by one consumer, on demand.
    pub(super) const GB_OUT: f64 = 0.04;
}

/// Bytes of a PUT payload unit.
const PUT_UNIT_BYTES: f64 = 25.0 * 1_024.0;

/// The result of one contender on a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOutcome {
    /// The contender's name.
    pub name: String,
    /// Records that the stream refused.
    pub throttled: f64,
    /// Their share of all records.
    pub throttled_share: f64,
    /// For how many seconds some records were refused.
    pub throttled_s: f64,
    /// Shards times hours; for an on-demand stream, the number of shards with the same capacity.
    pub shard_hours: f64,
    /// The most shards at any time.
    pub shards_max: f64,
    /// The cost in US dollars.
    pub cost: f64,
    /// Calls of `UpdateShardCount`.
    pub calls: u32,
    /// Splits and merges.
    pub splits_and_merges: u32,
    /// The greatest lag of the slowest consumer, in seconds.
    pub lag_s_max: f64,
    /// The number of shards, minute by minute.
    #[serde(skip)]
    pub shards: Vec<f64>,
    /// Whether records were refused, minute by minute.
    #[serde(skip)]
    pub refusing: Vec<bool>,
}

/// The counts of a run in progress.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accepted: f64,
    refused: f64,
    refused_steps: u32,
    shard_steps: f64,
    pub(super) calls: u32,
    pub(super) splits_and_merges: u32,
    pub(super) lag_s_max: f64,
    shards: Vec<f64>,
    refusing: Vec<bool>,
    /// Steps with refused records before the current minute.
    refused_steps_before: u32,
}

impl Ledger {
    /// Counts the end of a minute.
    pub(super) fn minute(&mut self, shards: f64) {
        self.shards.push(shards);
        self.refusing.push(self.refused_steps > self.refused_steps_before);
        self.refused_steps_before = self.refused_steps;
    }

    /// Returns how many minutes are over.
    pub(super) const fn minutes(&self) -> usize {
        self.shards.len()
    }

    /// Counts one step, with so many shards.
    pub(super) fn step(&mut self, accepted: f64, refused: f64, shards: f64) {
        self.accepted += accepted;
        self.shard_steps += shards;
        // Less than a thousandth of a record is a rounding error.
        if refused > 1e-3 {
            self.refused += refused;
            self.refused_steps += 1;
        }
    }

    /// Returns the result of a stream with shards.
    pub(super) fn provisioned(self, name: &str, assumptions: &Assumptions) -> RunOutcome {
        let units = (assumptions.record_bytes / PUT_UNIT_BYTES).ceil().max(1.0);
        let cost = self.shard_hours() * price::SHARD_HOUR + self.accepted * units * price::PUT_UNIT;
        self.outcome(name, cost)
    }

    /// Returns the result of an on-demand stream after `hours`.
    pub(super) fn on_demand(self, name: &str, assumptions: &Assumptions, hours: f64) -> RunOutcome {
        let kilobytes = (assumptions.record_bytes / 1_024.0).ceil().max(1.0);
        let gb = self.accepted * kilobytes / 1_024.0 / 1_024.0;
        let per_gb = price::GB_IN + price::GB_OUT * f64::from(assumptions.consumers);
        self.outcome(name, hours * price::STREAM_HOUR + gb * per_gb)
    }

    fn shard_hours(&self) -> f64 {
        self.shard_steps * f64::from(STEP_S) / 3_600.0
    }

    fn outcome(self, name: &str, cost: f64) -> RunOutcome {
        RunOutcome {
            name: name.to_owned(),
            throttled: self.refused,
            throttled_share: self.refused / (self.accepted + self.refused).max(1.0),
            throttled_s: f64::from(self.refused_steps * STEP_S),
            shard_hours: self.shard_hours(),
            shards_max: self.shards.iter().copied().fold(0.0, f64::max),
            cost,
            calls: self.calls,
            splits_and_merges: self.splits_and_merges,
            lag_s_max: self.lag_s_max,
            shards: self.shards,
            refusing: self.refusing,
        }
    }
}
