//! The keyspace: all 2¹²⁸ hash keys, divided into the ranges of the open shards without a gap or an overlap.

use super::Step;
use crate::stream::shard_map::HashKeyRange;

/// What is wrong with a keyspace, or with a step that changes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyspaceError {
    /// No shard is open.
    #[error("the stream has no open shard")]
    Empty,
    /// A range ends before it begins.
    #[error("the range of {0} ends before it begins")]
    Backwards(String),
    /// No shard has the hash keys below the range of this one.
    #[error("no shard has the hash keys below the range of {0}")]
    GapBefore(String),
    /// No shard has the hash keys above the range of the last one.
    #[error("no shard has the hash keys above the range of {0}")]
    GapAfter(String),
    /// Two shards have the same hash keys.
    #[error("the ranges of {0} and {1} overlap")]
    Overlap(String, String),
    /// A step names a shard that is not open.
    #[error("{0} is not an open shard")]
    NotOpen(String),
    /// The split point is not inside the shard's range.
    #[error("{0} cannot be split at {1}")]
    SplitPoint(String, u128),
    /// The shards to merge are not neighbours.
    #[error("{0} and {1} are not neighbours")]
    NotAdjacent(String, String),
    /// UpdateShardCount refuses the count.
    #[error("UpdateShardCount refuses to go from {0} shards to {1}")]
    Count(u32, u32),
}

/// Open shards that together have every hash key exactly once, in the order of their ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace(Vec<HashKeyRange>);

impl Keyspace {
    /// The keyspace of `ranges`, which may be in any order; an error if they leave a gap or overlap.
    pub fn new(mut ranges: Vec<HashKeyRange>) -> Result<Self, KeyspaceError> {
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        if let Some(range) = ranges.iter().find(|range| range.end < range.start) {
            return Err(KeyspaceError::Backwards(range.shard.clone()));
        }
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Err(KeyspaceError::Empty) };
        if first.start != 0 {
            return Err(KeyspaceError::GapBefore(first.shard.clone()));
        }
        for pair in ranges.windows(2) {
            if pair[1].start <= pair[0].end {
                return Err(KeyspaceError::Overlap(pair[0].shard.clone(), pair[1].shard.clone()));
            }
            if pair[1].start - pair[0].end > 1 {
                return Err(KeyspaceError::GapBefore(pair[1].shard.clone()));
            }
        }
        if last.end != u128::MAX {
            return Err(KeyspaceError::GapAfter(last.shard.clone()));
        }
        Ok(Self(ranges))
    }

    /// `count` shards of the same width, at least one, named by `name`: the result of UpdateShardCount.
    pub fn uniform(count: u32, name: impl Fn(u32) -> String) -> Self {
        let count = count.max(1);
        let start = |index: u32| uniform_start(index, count);
        let range = |index: u32| HashKeyRange {
            shard: name(index),
            start: start(index),
            end: if index + 1 == count { u128::MAX } else { start(index + 1) - 1 },
        };
        Self((0..count).map(range).collect())
    }

    /// The shards in the order of their ranges.
    pub fn shards(&self) -> &[HashKeyRange] {
        &self.0
    }

    /// The number of shards.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The keyspace after `step`, with new shards named after their parents. An error if Kinesis would refuse the step.
    /// Daily budgets and cool-downs are not checked here; the plan respects them.
    pub fn after(&self, step: &Step) -> Result<Self, KeyspaceError> {
        match step {
            Step::UpdateShardCount { target } => {
                let count = self.count();
                if *target == 0 || *target > super::SHARDS_MAX || *target > 2 * count || *target < count.div_ceil(2) {
                    return Err(KeyspaceError::Count(count, *target));
                }
                Ok(Self::uniform(*target, |index| format!("{index}of{target}")))
            }
            Step::Split { shard, at } => {
                let index = self.index_of(shard)?;
                let HashKeyRange { start, end, .. } = self.0[index];
                if *at <= start || *at > end {
                    return Err(KeyspaceError::SplitPoint(shard.clone(), *at));
                }
                let halves = [
                    HashKeyRange { shard: format!("{shard}.0"), start, end: at - 1 },
                    HashKeyRange { shard: format!("{shard}.1"), start: *at, end },
                ];
                let mut ranges = self.0.clone();
                ranges.splice(index..=index, halves);
                Ok(Self(ranges))
            }
            Step::Merge { shard, adjacent } => {
                let (a, b) = (self.index_of(shard)?, self.index_of(adjacent)?);
                if a.abs_diff(b) != 1 {
                    return Err(KeyspaceError::NotAdjacent(shard.clone(), adjacent.clone()));
                }
                let first = a.min(b);
                let merged = HashKeyRange {
                    shard: format!("{shard}+{adjacent}"),
                    start: self.0[first].start,
                    end: self.0[first + 1].end,
                };
                let mut ranges = self.0.clone();
                ranges.splice(first..=first + 1, [merged]);
                Ok(Self(ranges))
            }
        }
    }

    fn index_of(&self, shard: &str) -> Result<usize, KeyspaceError> {
        let index = self.0.iter().position(|range| range.shard == shard);
        index.ok_or_else(|| KeyspaceError::NotOpen(shard.to_owned()))
    }
}

/// The first hash key of the shard `index` of `count` equal ones: ⌊index · 2¹²⁸ / count⌋, computed within 128 bits.
pub(super) fn uniform_start(index: u32, count: u32) -> u128 {
    let (index, count) = (u128::from(index), u128::from(count));
    // 2¹²⁸ = count · quotient + remainder + 1.
    let (quotient, remainder) = (u128::MAX / count, u128::MAX % count);
    index * quotient + index * (remainder + 1) / count
}

/// The share of all hash keys that a range has.
pub(super) fn share(range: &HashKeyRange) -> f64 {
    ((range.end - range.start) as f64 + 1.0) / 2_f64.powi(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(shard: &str, start: u128, end: u128) -> HashKeyRange {
        HashKeyRange { shard: shard.to_owned(), start, end }
    }

    #[test]
    fn an_error_names_the_shard_next_to_a_gap_an_overlap_or_a_missing_end() {
        let top = u128::MAX;
        let cases = [
            (vec![], KeyspaceError::Empty),
            (vec![range("a", 1, top)], KeyspaceError::GapBefore("a".into())),
            (vec![range("a", 0, 5), range("b", 7, top)], KeyspaceError::GapBefore("b".into())),
            (vec![range("b", 5, top), range("a", 0, 5)], KeyspaceError::Overlap("a".into(), "b".into())),
            (vec![range("a", 0, 5)], KeyspaceError::GapAfter("a".into())),
            (vec![range("a", 0, top), range("b", 5, 4)], KeyspaceError::Backwards("b".into())),
        ];
        for (ranges, error) in cases {
            assert_eq!(Keyspace::new(ranges), Err(error));
        }
    }

    #[test]
    fn equal_shards_fill_the_keyspace_and_differ_by_one_hash_key_at_most() {
        for count in [1, 2, 3, 7, 1_000, 10_000] {
            let keyspace = Keyspace::uniform(count, |index| index.to_string());
            assert_eq!(Keyspace::new(keyspace.shards().to_vec()).unwrap(), keyspace);
            let widths = keyspace.shards().iter().map(|range| range.end - range.start);
            assert!(widths.clone().max().unwrap() - widths.min().unwrap() <= 1, "{count}");
        }
    }

    #[test]
    fn the_second_half_of_a_split_begins_at_the_split_point_and_a_merge_undoes_the_split() {
        let one = Keyspace::uniform(1, |_| "s".into());
        let two = one.after(&Step::Split { shard: "s".into(), at: 9 }).unwrap();
        assert_eq!(two.shards(), [range("s.0", 0, 8), range("s.1", 9, u128::MAX)]);
        let again = two.after(&Step::Merge { shard: "s.1".into(), adjacent: "s.0".into() }).unwrap();
        assert_eq!(again.shards(), [range("s.1+s.0", 0, u128::MAX)]);
    }

    #[test]
    fn a_step_that_kinesis_refuses_is_an_error() {
        let five = Keyspace::uniform(5, |index| index.to_string());
        for target in [0, 2, 11, 10_001] {
            let refused = five.after(&Step::UpdateShardCount { target });
            assert_eq!(refused, Err(KeyspaceError::Count(5, target)), "{target}");
        }
        for target in [3, 10] {
            assert_eq!(five.after(&Step::UpdateShardCount { target }).unwrap().count(), target);
        }
        let split = |shard: &str, at| five.after(&Step::Split { shard: shard.into(), at });
        assert_eq!(split("0", 0), Err(KeyspaceError::SplitPoint("0".into(), 0)));
        assert_eq!(split("9", 1), Err(KeyspaceError::NotOpen("9".into())));
        let merge = five.after(&Step::Merge { shard: "0".into(), adjacent: "2".into() });
        assert_eq!(merge, Err(KeyspaceError::NotAdjacent("0".into(), "2".into())));
    }
}
