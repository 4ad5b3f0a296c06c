//! The steps from one size to another: UpdateShardCount while calls are left, then splits and merges.

use super::{Heat, STEPS_MAX, View};
use crate::scaling::shards::{DAILY_CALLS_MAX, Mode, SHARDS_MAX, Step};

/// Neighbours are merged only if the stream has at least this many times the target's shards. Merges leave an uneven
/// keyspace, which costs a later call of UpdateShardCount.
const MERGE_FROM: f64 = 1.5;

impl View<'_> {
    /// Steps up to `target` shards, or as near as one plan gets, and a description in words.
    pub(super) fn route_up(&self, target: u32, heat: &Heat<'_>) -> (Vec<Step>, String) {
        let target = target.min(self.open.saturating_mul(2)).min(SHARDS_MAX);
        let left = self.calls_left();
        if left > 0 && self.policy.mode != Mode::Shard {
            return (vec![Step::UpdateShardCount { target }], self.call(target));
        }
        let splits = heat.by_load().into_iter().filter_map(|index| heat.split(index));
        let splits: Vec<Step> = splits.take(STEPS_MAX.min((target - self.open) as usize)).collect();
        let how = format!("{} shards are split, because no call of UpdateShardCount is left", splits.len());
        (splits, how)
    }

    /// Steps down to `target` shards. No merged shard may be hot, and some calls are reserved for growing.
    pub(super) fn route_down(&self, target: u32, heat: &Heat<'_>) -> (Vec<Step>, String) {
        let target = target.max(self.open.div_ceil(2)).max(1);
        if self.calls_left() > self.policy.calls_reserved && self.policy.mode != Mode::Shard && !heat.is_skewed(target)
        {
            return (vec![Step::UpdateShardCount { target }], self.call(target));
        }
        // Above the policy's maximum, merge in any case.
        let within = self.open <= self.policy.max_shards;
        if within && f64::from(self.open) < f64::from(target) * MERGE_FROM {
            return (Vec::new(), "but the remaining calls are reserved for growing".to_owned());
        }
        let most = STEPS_MAX.min((self.open - target) as usize);
        let merges = heat.merges(self.policy.shard.merge_below, most);
        let how = format!(
            "{} pairs of neighbours are merged, because the remaining calls are reserved for growing",
            merges.len()
        );
        (merges, how)
    }

    fn call(&self, target: u32) -> String {
        let call = self.observation.calls_used(self.now_ms) + 1;
        format!("from {} shards to {target}, call {call} of {DAILY_CALLS_MAX} in 24 hours", self.open)
    }
}
