//! What a run came to, and what it would have cost.

use super::{Assumptions, STEP_S};
use serde::Serialize;

/// US dollars in us-east-1, by the price list of 2023.
mod price {
    /// A shard, for an hour.
    pub(super) const SHARD_HOUR: f64 = 0.015;
    /// A PUT payload unit of 25 KB.
    pub(super) const PUT_UNIT: f64 = 0.014 / 1e6;
    /// A stream on demand, for an hour.
    pub(super) const STREAM_HOUR: f64 = 0.04;
    /// A gigabyte in, on demand; each record counts as a whole number of kilobytes.
    pub(super) const GB_IN: f64 = 0.08;
    /// A gigabyte out to one consumer, on demand.
    pub(super) const GB_OUT: f64 = 0.04;
}

/// Bytes of a PUT payload unit.
const PUT_UNIT_BYTES: f64 = 25.0 * 1_024.0;

/// What one contender made of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The contender.
    pub name: String,
    /// Records that were refused.
    pub throttled: f64,
    /// Their share of all.
    pub throttled_share: f64,
    /// For how long some were refused, in seconds.
    pub throttled_s: f64,
    /// Shards, times hours; of a stream on demand, the shards that its capacity is worth.
    pub shard_hours: f64,
    /// The most shards at a time.
    pub shards_max: f64,
    /// US dollars.
    pub cost: f64,
    /// UpdateShardCount calls.
    pub calls: u32,
    /// Splits and merges.
    pub splits_and_merges: u32,
    /// How far the slowest consumer was behind at most, in seconds.
    pub lag_s_max: f64,
    /// Shards by the minute.
    #[serde(skip)]
    pub shards: Vec<f64>,
    /// Whether records were refused, by the minute.
    #[serde(skip)]
    pub refusing: Vec<bool>,
}

/// Counts while a run goes on.
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
    /// Steps in which records were refused, before the minute began.
    refused_steps_before: u32,
}

impl Ledger {
    /// The end of a minute.
    pub(super) fn minute(&mut self, shards: f64) {
        self.shards.push(shards);
        self.refusing.push(self.refused_steps > self.refused_steps_before);
        self.refused_steps_before = self.refused_steps;
    }

    /// Minutes that are over.
    pub(super) const fn minutes(&self) -> usize {
        self.shards.len()
    }

    /// One step with so many shards.
    pub(super) fn step(&mut self, accepted: f64, refused: f64, shards: f64) {
        self.accepted += accepted;
        self.shard_steps += shards;
        // Less than a thousandth of a record is arithmetic.
        if refused > 1e-3 {
            self.refused += refused;
            self.refused_steps += 1;
        }
    }

    /// What a stream with shards came to.
    pub(super) fn provisioned(self, name: &str, assumptions: &Assumptions) -> Outcome {
        let units = (assumptions.record_bytes / PUT_UNIT_BYTES).ceil().max(1.0);
        let cost = self.shard_hours() * price::SHARD_HOUR + self.accepted * units * price::PUT_UNIT;
        self.outcome(name, cost)
    }

    /// What a stream on demand came to, over `hours`.
    pub(super) fn on_demand(self, name: &str, assumptions: &Assumptions, hours: f64) -> Outcome {
        let kilobytes = (assumptions.record_bytes / 1_024.0).ceil().max(1.0);
        let gb = self.accepted * kilobytes / 1_024.0 / 1_024.0;
        let per_gb = price::GB_IN + price::GB_OUT * f64::from(assumptions.consumers);
        self.outcome(name, hours * price::STREAM_HOUR + gb * per_gb)
    }

    fn shard_hours(&self) -> f64 {
        self.shard_steps * f64::from(STEP_S) / 3_600.0
    }

    fn outcome(self, name: &str, cost: f64) -> Outcome {
        Outcome {
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
