//! A stream on demand: Kinesis scales it up to double the peak of writes that it saw in the 30 days before, which it needs
//! a quarter of an hour for; a single key gets what a shard gets.

use super::demand::Demand;
use super::ledger::{Ledger, Outcome};
use super::{Assumptions, MINUTE_STEPS};
use std::collections::VecDeque;

/// What a new stream takes: four shards' worth.
const FIRST_SHARDS: f64 = 4.0;
/// Minutes until a new peak counts.
const NOTICE_MINUTES: usize = 15;
/// Minutes that a peak counts for: 30 days.
const MEMORY_MINUTES: usize = 30 * 1_440;

/// A stream on demand in the course of a run.
pub(super) struct OnDemand<'a> {
    demand: &'a Demand,
    assumptions: &'a Assumptions,
}

impl<'a> OnDemand<'a> {
    pub(super) const fn new(demand: &'a Demand, assumptions: &'a Assumptions) -> Self {
        Self { demand, assumptions }
    }

    pub(super) fn run(&self, name: &str) -> Outcome {
        let mut ledger = Ledger::default();
        let limit = self.demand.shard_step();
        let minute_steps = MINUTE_STEPS as usize;
        // Shards' worth by the minute; the indices of those that may yet be the peak, in descending order of their worth.
        let mut worth: Vec<f64> = Vec::new();
        let mut peaks: VecDeque<usize> = VecDeque::new();
        let mut capacity = FIRST_SHARDS.max(2.0 * self.demand.steps.first().map_or(0.0, |first| first / limit));
        let floor = capacity;
        for minute in self.demand.steps.chunks(minute_steps) {
            let mut taken_in_minute = 0.0;
            for &wanted in minute {
                let over: f64 = self.demand.keys.heavy().map(|share| (wanted * share - limit).max(0.0)).sum();
                let taken = (wanted - over).min(capacity * limit);
                taken_in_minute += taken;
                ledger.step(taken, wanted - taken, capacity);
            }
            ledger.minute(capacity);
            worth.push(taken_in_minute / minute.len() as f64 / limit);
            if let Some(noticed) = worth.len().checked_sub(NOTICE_MINUTES + 1) {
                while peaks.back().is_some_and(|&before| worth[before] <= worth[noticed]) {
                    peaks.pop_back();
                }
                peaks.push_back(noticed);
                while peaks.front().is_some_and(|&peak| peak + MEMORY_MINUTES < worth.len()) {
                    peaks.pop_front();
                }
                capacity = floor.max(peaks.front().map_or(0.0, |&peak| 2.0 * worth[peak]));
            }
        }
        ledger.on_demand(name, self.assumptions, self.demand.hours())
    }
}
