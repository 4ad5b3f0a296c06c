//! How a stream gets from one size to another: by UpdateShardCount while its calls last, else by splits and merges.

use super::{Heat, Step, View};
use crate::shards::{DAILY_CALLS_MAX, Mode, SHARDS_MAX};

/// Splits that are made one by one rather than lose the isolation of hot keys to an even cut. Each takes half a minute.
const SPLITS_MAX: u32 = 8;
/// From here on, keys count as skewed: the busiest of equal shards would carry so much more than its part.
const SKEWED: f64 = 1.5;

impl View<'_> {
    /// Steps to `target` shards, or as near as one plan gets, and how in words.
    pub(super) fn route_up(&self, target: u32, heat: &Heat<'_>) -> (Vec<Step>, String) {
        let target = target.min(self.open.saturating_mul(2)).min(SHARDS_MAX);
        let more = target - self.open;
        let skewed = more <= SPLITS_MAX && heat.skew(target) >= SKEWED;
        let used = self.observation.calls_used(self.now_ms);
        if used < DAILY_CALLS_MAX && !skewed && self.policy.mode != Mode::Shard {
            let call = format!("from {} shards to {target}, call {} of {DAILY_CALLS_MAX} today", self.open, used + 1);
            return (vec![Step::UpdateShardCount { target }], call);
        }
        let why = if skewed { "its keys are skewed" } else { "no call of UpdateShardCount is left" };
        let splits = heat.by_load().into_iter().filter_map(|index| heat.split(index)).take(more as usize);
        let splits: Vec<Step> = splits.collect();
        let how = format!("{} shards are split, since {why}", splits.len());
        (splits, how)
    }

    /// The same downwards, where no merge may be hot, and some calls are kept for growing.
    pub(super) fn route_down(&self, target: u32, heat: &Heat<'_>) -> (Vec<Step>, String) {
        let target = target.max(self.open.div_ceil(2)).max(1);
        let mark = self.policy.shard.split_above * 0.9;
        let skew = heat.skew(target);
        let used = self.observation.calls_used(self.now_ms);
        let allowed = DAILY_CALLS_MAX.saturating_sub(self.policy.calls_reserved);
        if used < allowed && skew < SKEWED && self.policy.mode != Mode::Shard {
            let call = format!("from {} shards to {target}, call {} of {DAILY_CALLS_MAX} today", self.open, used + 1);
            return (vec![Step::UpdateShardCount { target }], call);
        }
        let why = if skew < SKEWED { "the remaining calls are kept for growing" } else { "its keys are skewed" };
        let merges = heat.merges(mark, (self.open - target) as usize);
        let how = format!("{} pairs of neighbours are merged, since {why}", merges.len());
        (merges, how)
    }
}
