//! Items into records, records into waves and calls. Pure.

use super::{Entry, Item, Limits, ShardMap, hash_key};
use crate::kpl::Builder;
use std::collections::HashMap;

/// A record to put, and which items it carries.
pub(super) struct Packet {
    pub(super) entry: Entry,
    pub(super) items: Vec<usize>,
}

/// A record being filled for one shard.
struct Open {
    builder: Builder,
    hash: u128,
    items: Vec<usize>,
}

/// Packs items into waves of records: no key appears twice in a wave, and a key's items go through the waves in their
/// order. Also answers the indices of items that no record can hold.
pub(super) fn pack(items: Vec<Item>, shards: &ShardMap, limits: &Limits) -> (Vec<Vec<Packet>>, Vec<usize>) {
    let mut open: HashMap<Option<usize>, Open> = HashMap::new();
    let mut closed: Vec<Open> = Vec::new();
    let mut too_large = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if item.key.is_empty()
            || item.key.chars().count() > 256
            || item.key.len() + item.data.len() > limits.record_bytes_max
        {
            too_large.push(index);
            continue;
        }
        let hash = hash_key(&item.key);
        let shard = shards.index_of(hash);
        let full = |open: &Open| !open.builder.fits(&item.key, &item.data, limits.aggregate_bytes_max);
        if let Some(filled) =
            open.get(&shard).filter(|open| full(open)).map(|_| shard).and_then(|shard| open.remove(&shard))
        {
            closed.push(filled);
        }
        let record = open.entry(shard).or_insert_with(|| Open { builder: Builder::new(), hash, items: Vec::new() });
        record.builder.push(&item.key, None, &item.data);
        record.items.push(index);
    }
    let mut last: Vec<Open> = open.into_values().collect();
    last.sort_unstable_by_key(|record| record.items[0]);
    closed.append(&mut last);
    (into_waves(closed, items), too_large)
}

/// A record's wave is behind those of the earlier records that share a key with it.
fn into_waves(mut records: Vec<Open>, mut items: Vec<Item>) -> Vec<Vec<Packet>> {
    let several = records.iter_mut().filter(|record| record.items.len() > 1);
    let mut sealed = Builder::finish_all(several.map(|record| std::mem::take(&mut record.builder))).into_iter();
    let mut next_wave: HashMap<String, usize> = HashMap::new();
    let mut waves: Vec<Vec<Packet>> = Vec::new();
    for record in records {
        let wave =
            record.items.iter().filter_map(|&index| next_wave.get(&items[index].key)).max().copied().unwrap_or(0);
        for &index in &record.items {
            next_wave.insert(items[index].key.clone(), wave + 1);
        }
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        let entry = match record.items[..] {
            // An aggregate of one costs bytes and a checksum for nothing.
            [only] => {
                let item = &mut items[only];
                Entry { partition_key: item.key.clone(), explicit_hash_key: None, data: std::mem::take(&mut item.data) }
            }
            _ => Entry {
                partition_key: items[record.items[0]].key.clone(),
                explicit_hash_key: Some(record.hash),
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
