//! Packs items into records, and records into waves and calls. Its functions are pure.

use super::{Entry, Item, Limits};
use crate::stream::kpl::Builder;
use crate::stream::shard_map::{ShardMap, hash_keys};
use crate::stream::slot::Slot;
use std::collections::HashMap;
use std::sync::Arc;

/// The places of the keyspace whose items share a record.
pub(super) enum Places {
    Shards(Arc<ShardMap>),
    Slots,
}

impl Places {
    /// The place of an item, by the hash key of its partition key.
    fn of_hash(&self, hash: u128) -> Option<usize> {
        match self {
            Self::Shards(map) => map.index_of(hash),
            Self::Slots => Some(Slot::of_hash(hash).0.into()),
        }
    }

    /// The explicit hash key that each item has in its record. `None` leaves it where its partition key is.
    fn explicit_hash_key(&self, hash: u128) -> Option<u128> {
        match self {
            Self::Shards(_) => None,
            Self::Slots => Some(Slot::of_hash(hash).hash_key()),
        }
    }
}

/// A record to put, and the indices of the items that it carries.
pub(super) struct Packet {
    pub(super) entry: Entry,
    pub(super) items: Vec<usize>,
}

/// The distinct keys of the items, so that a key is hashed once and not for each of its items.
struct Keys<'a> {
    /// For each item, the index of its key in `distinct`.
    of_items: Vec<usize>,
    distinct: Vec<&'a str>,
    hashes: Vec<u128>,
}

/// A record that is being filled, for one place.
struct OpenRecord {
    builder: Builder,
    /// The explicit hash key of its items.
    hash_key: Option<String>,
    items: Vec<usize>,
}

/// Packs items into waves of records. No key appears twice in a wave, and the items of a key keep their order from wave
/// to wave. Also returns the indices of items that no record can hold.
pub(super) fn pack<K: AsRef<str>, D: AsRef<[u8]>>(
    items: &[Item<K, D>],
    places: &Places,
    limits: &Limits,
) -> (Vec<Vec<Packet>>, Vec<usize>) {
    let keys = Keys::of(items);
    let mut numbers: HashMap<Option<usize>, usize> = HashMap::new();
    let place_of_key: Vec<usize> = keys
        .hashes
        .iter()
        .map(|&hash| {
            let next = numbers.len();
            *numbers.entry(places.of_hash(hash)).or_insert(next)
        })
        .collect();
    let count = numbers.len();
    let mut open: Vec<Option<OpenRecord>> = Vec::new();
    open.resize_with(count, || None);
    let bytes: usize = items.iter().map(|item| item.data.as_ref().len()).sum();
    let room = limits.aggregate_bytes_max.min(2 * bytes / count.max(1));
    let mut closed: Vec<OpenRecord> = Vec::new();
    let mut too_large = Vec::new();
    for (index, (item, &key)) in items.iter().zip(&keys.of_items).enumerate() {
        let (name, data) = (keys.distinct[key], item.data.as_ref());
        let too_long = name.len() > 256 && name.chars().count() > 256;
        if name.is_empty() || too_long || name.len() + data.len() > limits.record_bytes_max {
            too_large.push(index);
            continue;
        }
        let place = &mut open[place_of_key[key]];
        if let Some(record) = place
            && record.builder.push_within(name, record.hash_key.as_deref(), data, limits.aggregate_bytes_max)
        {
            record.items.push(index);
            continue;
        }
        // A record takes its first item, whatever the size.
        let mut builder = Builder::with_capacity(room);
        let hash_key = places.explicit_hash_key(keys.hashes[key]).map(|hash_key| hash_key.to_string());
        builder.push(name, hash_key.as_deref(), data);
        closed.extend(place.replace(OpenRecord { builder, hash_key, items: vec![index] }));
    }
    let mut last: Vec<OpenRecord> = open.into_iter().flatten().collect();
    last.sort_unstable_by_key(|record| record.items[0]);
    closed.append(&mut last);
    (into_waves(closed, items, &keys, places), too_large)
}

impl<'a> Keys<'a> {
    fn of<K: AsRef<str>, D>(items: &'a [Item<K, D>]) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut distinct: Vec<&str> = Vec::new();
        let mut last = 0;
        let of_items = items.iter().map(|item| {
            let key = item.key.as_ref();
            // Items with the same key are often adjacent: the readings of a message.
            if distinct.get(last) != Some(&key) {
                last = *places.entry(key).or_insert(distinct.len());
                if last == distinct.len() {
                    distinct.push(key);
                }
            }
            last
        });
        let of_items = of_items.collect();
        let hashes = hash_keys(&distinct);
        Self { of_items, distinct, hashes }
    }
}

/// Puts each record into the wave after those of all earlier records that share a key with it.
fn into_waves<K, D: AsRef<[u8]>>(
    mut records: Vec<OpenRecord>,
    items: &[Item<K, D>],
    keys: &Keys<'_>,
    places: &Places,
) -> Vec<Vec<Packet>> {
    let aggregates = records.iter_mut().filter(|record| record.items.len() > 1);
    let mut sealed = Builder::finish_all(aggregates.map(|record| std::mem::take(&mut record.builder))).into_iter();
    let mut next_wave: Vec<usize> = vec![0; keys.distinct.len()];
    let mut waves: Vec<Vec<Packet>> = Vec::new();
    for record in records {
        let of_record = || record.items.iter().map(|&index| keys.of_items[index]);
        let wave = of_record().map(|key| next_wave[key]).max().unwrap_or(0);
        of_record().for_each(|key| next_wave[key] = wave + 1);
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        let first = keys.of_items[record.items[0]];
        let partition_key = keys.distinct[first].to_owned();
        let explicit_hash_key = places.explicit_hash_key(keys.hashes[first]);
        let entry = match record.items[..] {
            // An aggregate of one item would cost bytes and a checksum for nothing.
            [only] => Entry { partition_key, explicit_hash_key, data: items[only].data.as_ref().to_vec() },
            _ => Entry {
                partition_key,
                explicit_hash_key: explicit_hash_key.or(Some(keys.hashes[first])),
                data: sealed.next().unwrap_or_default(),
            },
        };
        waves[wave].push(Packet { entry, items: record.items });
    }
    waves
}

/// Cuts a wave into calls within the limits on records and bytes.
pub(super) fn calls(packets: Vec<Packet>, limits: &Limits) -> Vec<Vec<Packet>> {
    let mut calls: Vec<Vec<Packet>> = Vec::new();
    let mut bytes = 0;
    for packet in packets {
        let size = packet.entry.partition_key.len() + packet.entry.data.len();
        match calls.last_mut() {
            Some(call) if call.len() < limits.call_records_max && bytes + size <= limits.call_bytes_max => {
                bytes += size;
                call.push(packet);
            }
            _ => {
                bytes = size;
                calls.push(vec![packet]);
            }
        }
    }
    calls
}
