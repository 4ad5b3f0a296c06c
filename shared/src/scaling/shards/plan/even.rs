//! Evens out a keyspace that was divided unevenly by hand. It uses splits and merges, which keep the lineage of shards
//! and cost no daily call of UpdateShardCount.

use super::{Plan, resizable_keyspace};
use crate::scaling::shards::keyspace::uniform_start;
use crate::scaling::shards::{Direction, Keyspace, Observation, Step};
use std::collections::BTreeSet;

/// A boundary stays where it is if it is off by less than a shard's width divided by this.
const TOLERANCE: u128 = 64;

/// Plans steps towards `count` shards of about the same width; `count` is usually the number that was open at first.
///
/// A plan splits or merges each shard once at most. Execute it and plan again with the same `count`: after a few rounds
/// there is nothing left to do. In between, the stream has more shards than `count`.
pub fn even(observation: &Observation, count: u32) -> Plan {
    let count = count.max(1);
    let keyspace = match resizable_keyspace(observation) {
        Ok(keyspace) => keyspace,
        Err(reason) => return Plan::nothing(count, reason),
    };
    let steps = steps(&keyspace, &boundaries(&keyspace, count));
    if steps.is_empty() {
        return Plan::nothing(count, format!("the {count} shards have about the same width"));
    }
    let reason = format!("{} shards of uneven width become {count} even ones", keyspace.count());
    Plan { steps, direction: Some(Direction::Even), wanted: count, reason }
}

/// Where even shards begin. A present boundary is kept if it is near enough.
fn boundaries(keyspace: &Keyspace, count: u32) -> BTreeSet<u128> {
    let tolerance = uniform_start(1, count.max(2)) / TOLERANCE;
    let ideal = (1..count).map(|index| uniform_start(index, count));
    let present = |ideal: u128| {
        let near = keyspace.shards().iter().skip(1).map(|range| range.start).min_by_key(|start| start.abs_diff(ideal));
        near.filter(|start| start.abs_diff(ideal) <= tolerance)
    };
    ideal.map(|ideal| present(ideal).unwrap_or(ideal)).collect()
}

fn steps(keyspace: &Keyspace, boundaries: &BTreeSet<u128>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left: Option<&str> = None;
    for range in keyspace.shards() {
        let inside: Vec<u128> =
            boundaries.range(range.start..=range.end).copied().filter(|&at| at != range.start).collect();
        if let Some(&at) = inside.get(inside.len() / 2) {
            steps.push(Step::Split { shard: range.shard.clone(), at });
            left = None;
        } else if let Some(shard) = left.filter(|_| !boundaries.contains(&range.start)) {
            steps.push(Step::Merge { shard: shard.to_owned(), adjacent: range.shard.clone() });
            left = None;
        } else {
            left = Some(&range.shard);
        }
    }
    steps
}
