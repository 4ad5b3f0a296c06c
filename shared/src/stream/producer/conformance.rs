//! The conformance suite for the port [`PutRecords`].

use super::{Entry, PutOutcome, PutRecords};
use crate::stream::kpl;
use crate::stream::shard_map::{ShardMap, hash_key};

/// Runs the suite against an empty stream of at least two open shards.
///
/// # Panics
///
/// If the stream breaks the contract.
pub async fn suite(stream: &impl PutRecords) {
    let map = keyspace_is_whole(stream).await;
    lands_where_its_hash_key_says(stream, &map).await;
    answers_every_entry_of_a_full_call(stream).await;
}

/// The partition key and the hash key of each item in `entry`. Consumers drop an item of an aggregate whose hash key is
/// outside of the range of its shard.
///
/// # Panics
///
/// If an explicit hash key is not a number.
pub fn hash_keys(entry: &Entry) -> Vec<(String, u128)> {
    let Some(aggregate) = kpl::decode(&entry.data) else {
        return vec![(entry.partition_key.clone(), entry.hash_key())];
    };
    let hash =
        |explicit: Option<&str>, key| explicit.map_or_else(|| hash_key(key), |hash| hash.parse().expect("a number"));
    aggregate.records().map(|(key, explicit, _)| (key.to_owned(), hash(explicit, key))).collect()
}

async fn keyspace_is_whole(stream: &impl PutRecords) -> ShardMap {
    let mut ranges = stream.open_shards().await.expect("open shards");
    ranges.sort_unstable_by_key(|range| range.start);
    assert!(ranges.len() >= 2, "the suite needs two shards");
    assert_eq!(ranges[0].start, 0);
    assert_eq!(ranges[ranges.len() - 1].end, u128::MAX);
    for pair in ranges.windows(2) {
        assert_eq!(pair[0].end + 1, pair[1].start, "a gap or an overlap in the keyspace");
    }
    ShardMap::new(ranges)
}

async fn lands_where_its_hash_key_says(stream: &impl PutRecords, map: &ShardMap) {
    let entry = |key: &str, hash| Entry { partition_key: key.to_owned(), explicit_hash_key: hash, data: b"x".to_vec() };
    let entries = [entry("bed-17", None), entry("bed-17", Some(0)), entry("bed-17", Some(u128::MAX))];
    let outcomes = stream.put_records(&entries).await.expect("put");
    let expected =
        [hash_key("bed-17"), 0, u128::MAX].map(|hash| map.shard_of(hash).expect("whole keyspace").to_owned());
    assert_eq!(outcomes, expected.map(|shard| PutOutcome::Put { shard }));
}

async fn answers_every_entry_of_a_full_call(stream: &impl PutRecords) {
    let entries: Vec<Entry> = (0..500)
        .map(|n| Entry { partition_key: format!("key-{n}"), explicit_hash_key: None, data: vec![b'y'; 10] })
        .collect();
    let outcomes = stream.put_records(&entries).await.expect("put");
    assert_eq!(outcomes.len(), 500);
}
