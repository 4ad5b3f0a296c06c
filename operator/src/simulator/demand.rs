//! The demand of a run: what producers want to put, step by step.

use super::{Assumptions, Keys, MINUTE_STEPS, STEP_S, Trace};
use myaku::scaling::shards::{Capacity, Consumer, FanOut};

/// A trace in steps, with its keys.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Records of each step.
    pub(super) steps: Vec<f64>,
    /// Where they lie.
    pub(super) keys: Keys,
    /// When the first step begins.
    pub(super) start_ms: i64,
    /// What a shard takes.
    pub(super) capacity: Capacity,
    record_bytes: f64,
}

impl Demand {
    pub(super) fn of(trace: &Trace, assumptions: &Assumptions) -> Self {
        let minutes = (trace.seconds() / 60.0).floor() as usize;
        let steps = trace.sampled(minutes * MINUTE_STEPS as usize, f64::from(STEP_S));
        let plain =
            |index| Consumer { name: format!("consumer {index}"), fan_out: FanOut::Plain, iterator_age_ms: None };
        let consumers: Vec<Consumer> = (1..=assumptions.consumers).map(plain).collect();
        // On a whole minute, as CloudWatch's periods are.
        Self {
            steps: steps.into_iter().map(|per_s| per_s * f64::from(STEP_S)).collect(),
            keys: Keys::hot(trace.hot_key, assumptions.seed),
            start_ms: trace.start_ms.div_euclid(60_000) * 60_000,
            capacity: Capacity::of(&consumers),
            record_bytes: assumptions.record_bytes,
        }
    }

    pub(super) fn hours(&self) -> f64 {
        self.steps.len() as f64 * f64::from(STEP_S) / 3_600.0
    }

    pub(super) fn records(&self) -> f64 {
        self.steps.iter().sum()
    }

    /// Shards that each minute would need, not rounded.
    pub(super) fn worth_by_minute(&self) -> Vec<f64> {
        let minutes = self.steps.chunks(MINUTE_STEPS as usize);
        minutes.map(|minute| self.shards_for(minute.iter().sum::<f64>() / minute.len() as f64)).collect()
    }

    /// Records that a shard takes in a step: by whichever limit is nearer.
    pub(super) fn shard_step(&self) -> f64 {
        let write_bytes_per_s = Capacity::of(&[]).bytes_per_s;
        let per_s = self.capacity.records_per_s.min(write_bytes_per_s / self.record_bytes);
        per_s * f64::from(STEP_S)
    }

    /// Shards that carry `records_per_step`, not rounded, as one would size them: readers considered.
    pub(super) fn shards_for(&self, records_per_step: f64) -> f64 {
        let per_s = records_per_step / f64::from(STEP_S);
        self.capacity.shards_for(per_s, per_s * self.record_bytes)
    }

    /// The fewest shards that carry the whole trace, if keys are spread evenly.
    pub(super) fn shards_at_peak(&self) -> u32 {
        let peak = self.steps.iter().copied().fold(0.0, f64::max);
        ((self.shards_for(peak) - 1e-9).ceil() as u32).max(1)
    }
}
