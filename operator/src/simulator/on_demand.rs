//! The model of an on-demand stream.
//!
//! Kinesis scales it to double the peak of writes of the last 30 days, which takes a quarter of an hour. A single key
//! gets the capacity of one shard.

use super::assumptions::{Assumptions, MINUTE_STEPS};
use super::demand::Demand;
use super::ledger::{Ledger, RunOutcome};
use std::collections::VecDeque;

/// The capacity of a new stream, in shards.
const FIRST_SHARDS: f64 = 4.0;
/// After how many minutes a new peak counts.
const NOTICE_MINUTES: usize = 15;
/// For how many minutes a peak counts: 30 days.
const MEMORY_MINUTES: usize = 30 * 1_440;

/// An on-demand stream in a run.
pub(super) struct OnDemand<'a> {
    demand: &'a Demand,
    assumptions: &'a Assumptions,
}

impl<'a> OnDemand<'a> {
    pub(super) const fn new(demand: &'a Demand, assumptions: &'a Assumptions) -> Self {
        Self { demand, assumptions }
    }

    pub(super) fn run(&self, name: &str) -> RunOutcome {
        let mut ledger = Ledger::default();
        let limit = self.demand.shard_limit();
        let minute_steps = MINUTE_STEPS as usize;
        // What each minute wrote, in shards; and the indices of the minutes that may still become the peak, highest
        // first.
        let mut written: Vec<f64> = Vec::new();
        let mut peaks: VecDeque<usize> = VecDeque::new();
        let mut capacity = FIRST_SHARDS.max(2.0 * self.demand.steps.first().map_or(0.0, |first| first / limit));
        let floor = capacity;
        for minute in self.demand.steps.chunks(minute_steps) {
            let mut accepted_in_minute = 0.0;
            for &wanted in minute {
                let over: f64 = self.demand.keys.hot_shares().map(|share| (wanted * share - limit).max(0.0)).sum();
                let accepted = (wanted - over).min(capacity * limit);
                accepted_in_minute += accepted;
                ledger.step(accepted, wanted - accepted, capacity);
            }
            ledger.minute(capacity);
            written.push(accepted_in_minute / minute.len() as f64 / limit);
            if let Some(noticed) = written.len().checked_sub(NOTICE_MINUTES + 1) {
                while peaks.back().is_some_and(|&before| written[before] <= written[noticed]) {
                    peaks.pop_back();
                }
                peaks.push_back(noticed);
                while peaks.front().is_some_and(|&peak| peak + MEMORY_MINUTES < written.len()) {
                    peaks.pop_front();
                }
                capacity = floor.max(peaks.front().map_or(0.0, |&peak| 2.0 * written[peak]));
            }
        }
        ledger.on_demand(name, self.assumptions, self.demand.hours())
    }
}
