//! The load of each shard: by its own metrics, by a sample of hash keys, or by the width of its range.

use super::View;
use crate::scaling::shards::keyspace::{share, uniform_start};
use crate::scaling::shards::{Demand, Load, Observation, Step};
use crate::stream::shard_map::HashKeyRange;

/// The fewest sampled hash keys from which shares of the load are estimated.
const SAMPLE_MIN: usize = 100;
/// A sampled share counts only if it differs from the width's by more standard deviations than this.
const CHANCE: f64 = 4.0;
/// From this ratio on, keys count as skewed: the load of the busiest of equal shards, divided by an even share.
const SKEWED: f64 = 1.5;
/// A split that leaves more than this share of the load on one side gains nothing.
const LOPSIDED: f64 = 0.97;

/// The load of each shard, in the order of the keyspace.
pub(super) struct Heat<'v> {
    view: &'v View<'v>,
    /// The sample in ascending order; empty if it is too small for an estimate.
    sample: Vec<u128>,
    shards: Vec<Shard<'v>>,
}

struct Shard<'v> {
    range: &'v HashKeyRange,
    /// The least load over the minutes that make a shard hot, as a share of its capacity; `None` if unknown.
    sustained: Option<f64>,
    /// The greatest load over the minutes that make a shard cold, as a share of its capacity; `None` if unknown.
    peak: Option<f64>,
}

impl<'v> Heat<'v> {
    /// The load of each shard. `expected` is the demand, in shards' worth, that the stream must be able to carry, if
    /// the mode makes a forecast.
    pub(super) fn of(view: &'v View<'v>, expected: Option<f64>) -> Self {
        let mut sample = view.observation.sample.clone();
        sample.sort_unstable();
        if sample.len() < SAMPLE_MIN {
            sample.clear();
        }
        let rule = &view.policy.shard;
        let (sustained, peak) = (view.demand.floor(rule.split_minutes), view.demand.max(rule.merge_minutes));
        let (sustained, peak) = (expected.or(sustained), peak.map(|peak| peak.max(expected.unwrap_or(0.0))));
        let ranges = view.keyspace.shards().iter();
        let shards = ranges.zip(own_demands(view.observation)).map(|(range, own)| {
            if let Some(own) = own {
                return Shard { range, sustained: own.floor(rule.split_minutes), peak: own.max(rule.merge_minutes) };
            }
            let share = load_share(&sample, range);
            Shard { range, sustained: sustained.map(|total| total * share), peak: peak.map(|total| total * share) }
        });
        let shards = shards.collect();
        Self { view, sample, shards }
    }

    /// Whether single keys carry so much of the load that `count` equal shards would not share it evenly.
    pub(super) fn is_skewed(&self, count: u32) -> bool {
        self.skew(count) >= SKEWED
    }

    pub(super) fn name(&self, index: usize) -> &str {
        &self.shards[index].range.shard
    }

    /// The indices of the hot shards, the hottest first.
    pub(super) fn hot(&self) -> Vec<usize> {
        let mark = self.view.policy.shard.split_above;
        let mut hot: Vec<usize> = (0..self.shards.len())
            .filter(|&index| self.shards[index].sustained.is_some_and(|load| load > mark))
            .collect();
        hot.sort_by(|&a, &b| self.load(b).total_cmp(&self.load(a)));
        hot
    }

    /// The indices of all shards, the hottest first.
    pub(super) fn by_load(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.shards.len()).collect();
        all.sort_by(|&a, &b| {
            self.load(b)
                .total_cmp(&self.load(a))
                .then(share(self.shards[b].range).total_cmp(&share(self.shards[a].range)))
        });
        all
    }

    fn load(&self, index: usize) -> f64 {
        self.shards[index].sustained.unwrap_or(0.0)
    }

    /// Splits a shard where half of its observed load is on either side, or in its middle without a sample; `None` if
    /// no split relieves it.
    pub(super) fn split(&self, index: usize) -> Option<Step> {
        let range = self.shards[index].range;
        let keys = sample_in(&self.sample, range);
        let at =
            if keys.len() < 8 { range.start + (range.end - range.start) / 2 + 1 } else { halving_point(keys, range)? };
        (at > range.start && at <= range.end).then(|| Step::Split { shard: range.shard.clone(), at })
    }

    /// Merges of neighbours that together stay below `mark`, a share of a shard's capacity: at most `count`, the
    /// coldest first. No shard is in two of them.
    pub(super) fn merges(&self, mark: f64, count: usize) -> Vec<Step> {
        let pairs = self.shards.windows(2).enumerate();
        let mut pairs: Vec<(f64, usize)> = pairs
            .filter_map(|(index, pair)| Some((pair[0].peak? + pair[1].peak?, index)))
            .filter(|(load, _)| *load < mark)
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut used = vec![false; self.shards.len()];
        let mut steps = Vec::new();
        for (_, index) in pairs {
            if steps.len() == count {
                break;
            }
            if !used[index] && !used[index + 1] {
                (used[index], used[index + 1]) = (true, true);
                steps.push(Step::Merge {
                    shard: self.name(index).to_owned(),
                    adjacent: self.name(index + 1).to_owned(),
                });
            }
        }
        steps
    }

    /// The load of the busiest of `count` equal shards, divided by an even share: 1 if keys are spread evenly,
    /// or without a sample.
    fn skew(&self, count: u32) -> f64 {
        if self.sample.is_empty() {
            return 1.0;
        }
        let busiest = (0..count).map(|index| {
            let from = self.sample.partition_point(|&hash| hash < uniform_start(index, count));
            let until = if index + 1 == count {
                self.sample.len()
            } else {
                self.sample.partition_point(|&hash| hash < uniform_start(index + 1, count))
            };
            until - from
        });
        let busiest = busiest.max().unwrap_or(0) as f64;
        let expected = self.sample.len() as f64 / f64::from(count);
        if busiest <= expected + CHANCE * expected.sqrt() { 1.0 } else { busiest / expected }
    }
}

/// A range's share of the load: by the sample, or by its width if chance can explain the difference.
fn load_share(sample: &[u128], range: &HashKeyRange) -> f64 {
    let by_width = share(range);
    let (found, expected) = (sample_in(sample, range).len() as f64, by_width * sample.len() as f64);
    if (found - expected).abs() > CHANCE * expected.sqrt().max(1.0) { found / sample.len() as f64 } else { by_width }
}

/// Each shard's own demand, if its metrics are on, in the order of the keyspace. Refused records are not included:
/// Kinesis counts them for the whole stream only.
fn own_demands(observation: &Observation) -> Vec<Option<Demand>> {
    let mut shards: Vec<_> = observation.shards.iter().collect();
    shards.sort_unstable_by_key(|shard| shard.range.start);
    let own = |load: &Load| {
        let (load, pulse) = (load.clone(), observation.pulse.clone());
        Demand::of(&Observation { load, pulse, consumers: observation.consumers.clone(), ..Observation::default() })
    };
    shards.into_iter().map(|shard| shard.load.as_ref().map(own)).collect()
}

/// The sampled hash keys in a range.
fn sample_in<'s>(sample: &'s [u128], range: &HashKeyRange) -> &'s [u128] {
    let from = sample.partition_point(|&hash| hash < range.start);
    let until = sample.partition_point(|&hash| hash <= range.end);
    &sample[from..until]
}

/// The hash key that divides a range's sampled load in half: at the median or right after it, whichever balances
/// better, since the median may be a hot key. `None` if nearly all of the load would stay on one side.
fn halving_point(keys: &[u128], range: &HashKeyRange) -> Option<u128> {
    let median = keys[keys.len() / 2];
    let candidates = [Some(median), median.checked_add(1)];
    let heavier = |at: u128| {
        let left = keys.partition_point(|&hash| hash < at);
        left.max(keys.len() - left) as f64 / keys.len() as f64
    };
    let valid = candidates.into_iter().flatten().filter(|&at| at > range.start && at <= range.end);
    valid.min_by(|&a, &b| heavier(a).total_cmp(&heavier(b))).filter(|&at| heavier(at) <= LOPSIDED)
}
