//! Which shard a key belongs to: the open shards divide the keyspace of 128-bit hash keys into ranges.

use crate::stream::kpl::md5_all;
use md5::{Digest as _, Md5};

/// An open shard and the range of its hash keys, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashKeyRange {
    /// The shard's id.
    pub shard: String,
    /// The first hash key.
    pub start: u128,
    /// The last hash key.
    pub end: u128,
}

/// The open shards, sorted by hash key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardMap(Vec<HashKeyRange>);

/// The hash key of a partition key: its MD5 as a big-endian number, as Kinesis computes it.
///
/// ```
/// assert_eq!(myaku::stream::shard_map::hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
/// ```
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The [`hash_key`] of each of `partition_keys`. They are computed together, which is faster.
pub(super) fn hash_keys(partition_keys: &[&str]) -> Vec<u128> {
    let keys: Vec<&[u8]> = partition_keys.iter().map(|key| key.as_bytes()).collect();
    md5_all(&keys).into_iter().map(u128::from_be_bytes).collect()
}

impl ShardMap {
    /// A map of `ranges`, in any order.
    pub fn new(mut ranges: Vec<HashKeyRange>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        Self(ranges)
    }

    /// The index of the shard that `hash` belongs to; `None` if the keyspace has a gap there, as it can for a moment
    /// during a reshard.
    pub fn index_of(&self, hash: u128) -> Option<usize> {
        let index = self.0.partition_point(|range| range.start <= hash).checked_sub(1)?;
        (hash <= self.0[index].end).then_some(index)
    }

    /// The shard that `hash` belongs to.
    pub fn shard_of(&self, hash: u128) -> Option<&str> {
        self.index_of(hash).map(|index| self.0[index].shard.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(shard: &str, start: u128, end: u128) -> HashKeyRange {
        HashKeyRange { shard: shard.to_owned(), start, end }
    }

    #[test]
    fn both_ends_of_a_range_belong_to_its_shard_and_a_gap_to_none() {
        let map = ShardMap::new(vec![range("b", 100, 199), range("a", 0, 99), range("d", 300, u128::MAX)]);
        for (hash, shard) in
            [(0, Some("a")), (99, Some("a")), (100, Some("b")), (199, Some("b")), (200, None), (u128::MAX, Some("d"))]
        {
            assert_eq!(map.shard_of(hash), shard, "{hash}");
        }
        assert_eq!(ShardMap::default().shard_of(5), None);
    }
}
