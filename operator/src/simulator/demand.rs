//! The demand of a run: how many records producers want to put in each step.

use super::assumptions::{Assumptions, MINUTE_STEPS, STEP_S};
use super::keys::Keys;
use super::trace::Trace;
use myaku::scaling::shards::{Capacity, Consumer, FanOut};

/// A trace, divided into steps, with its keys.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Records of each step.
    pub(super) steps: Vec<f64>,
    /// How their keys are spread.
    pub(super) keys: Keys,
    /// When the first step begins.
    pub(super) start_ms: i64,
    /// The capacity of a shard.
    pub(super) capacity: Capacity,
    record_bytes: f64,
}

/// Returns so many consumers of a stream, all without enhanced fan-out.
pub(super) fn plain_consumers(count: u32) -> Vec<Consumer> {
    let plain = |index| Consumer { name: format!("consumer {index}"), fan_out: FanOut::Plain, iterator_age_ms: None };
    (1..=count).map(plain).collect()
}

impl Demand {
    pub(super) fn of(trace: &Trace, assumptions: &Assumptions) -> Self {
        let minutes = (trace.seconds() / 60.0).floor() as usize;
        let steps = trace.sampled(minutes * MINUTE_STEPS as usize, f64::from(STEP_S));
        Self {
            steps: steps.into_iter().map(|per_s| per_s * f64::from(STEP_S)).collect(),
            keys: Keys::one_hot(trace.hot_key, assumptions.seed),
            // CloudWatch's periods begin with whole minutes.
            start_ms: trace.start_ms.div_euclid(60_000) * 60_000,
            capacity: Capacity::of(&plain_consumers(assumptions.consumers)),
            record_bytes: assumptions.record_bytes,
        }
    }

    pub(super) fn hours(&self) -> f64 {
        self.steps.len() as f64 * f64::from(STEP_S) / 3_600.0
    }

    pub(super) fn records(&self) -> f64 {
        self.steps.iter().sum()
    }

    /// Returns how many shards each minute needs, not rounded.
    pub(super) fn shards_by_minute(&self) -> Vec<f64> {
        let minutes = self.steps.chunks(MINUTE_STEPS as usize);
        minutes.map(|minute| self.shards_for(minute.iter().sum::<f64>() / minute.len() as f64)).collect()
    }

    /// Returns how many records a shard accepts in a step, by the limit that is reached first.
    pub(super) fn shard_limit(&self) -> f64 {
        let write_bytes_per_s = Capacity::of(&[]).bytes_per_s;
        let per_s = self.capacity.records_per_s.min(write_bytes_per_s / self.record_bytes);
        per_s * f64::from(STEP_S)
    }

    /// Returns how many shards carry `records_per_step`, not rounded, with the limits on reading considered.
    pub(super) fn shards_for(&self, records_per_step: f64) -> f64 {
        let per_s = records_per_step / f64::from(STEP_S);
        self.capacity.shards_for(per_s, per_s * self.record_bytes)
    }

    /// Returns the fewest shards that carry the whole trace if keys are spread evenly.
    pub(super) fn shards_at_peak(&self) -> u32 {
        let peak = self.steps.iter().copied().fold(0.0, f64::max);
        ((self.shards_for(peak) - 1e-9).ceil() as u32).max(1)
    }
}
