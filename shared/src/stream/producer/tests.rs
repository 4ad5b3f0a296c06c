use super::memory::{Fault, MemoryStream};
use super::*;
use crate::stream::kpl;
use crate::stream::source::memory as source;
use proptest::prelude::*;
use std::collections::HashMap;

mod slots;

fn item(key: &str, data: &str) -> Item {
    Item { key: key.to_owned(), data: data.as_bytes().to_vec() }
}

fn limits() -> Limits {
    Limits { aggregate_bytes_max: 200, ..Limits::default() }
}

fn placement() -> impl Strategy<Value = Placement> {
    prop::sample::select(vec![Placement::Shards, Placement::Slots])
}

/// Runs `future` on a paused clock, so that the producer's pauses take no time.
fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// What consumers see: key and data of each item, in the order of the stream.
fn consumed(stream: &MemoryStream) -> Vec<(String, String)> {
    let mut items = Vec::new();
    for (_, entry) in stream.records() {
        match kpl::decode(&entry.data) {
            None => items.push((entry.partition_key, String::from_utf8(entry.data).unwrap())),
            Some(aggregate) => {
                for (key, _, data) in aggregate.records() {
                    items.push((key.to_owned(), String::from_utf8(data.to_vec()).unwrap()));
                }
            }
        }
    }
    items
}

/// The numbers of each key, in the order in which they first appear.
fn firsts_by_key(items: Vec<(String, String)>) -> HashMap<String, Vec<u32>> {
    let mut by_key: HashMap<String, Vec<u32>> = HashMap::new();
    for (key, data) in items {
        let numbers = by_key.entry(key).or_default();
        let number = data.parse().unwrap();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    by_key
}

#[test]
fn the_memory_stream_conforms() {
    run(conformance::suite(&MemoryStream::new(3)));
}

#[test]
fn items_of_one_shard_share_a_record_and_a_single_item_is_a_plain_record() {
    let producer = Producer::seeded(MemoryStream::new(1), Placement::Shards, Limits::default(), 1);
    run(producer.send(&[item("a", "1"), item("b", "2"), item("a", "3")])).unwrap();
    run(producer.send(&[item("c", "4")])).unwrap();
    let records = producer.port().records();
    assert_eq!(records.len(), 2);
    assert!(kpl::decode(&records[0].1.data).is_some());
    assert_eq!((&*records[1].1.data, records[1].1.explicit_hash_key), (&b"4"[..], None));
}

#[test]
fn every_item_of_an_aggregate_belongs_to_the_shard_that_it_is_put_in() {
    let producer = Producer::seeded(MemoryStream::new(4), Placement::Shards, Limits::default(), 1);
    run(producer.send(&(0..100).map(|n| item(&format!("device-{n}"), "1")).collect::<Vec<_>>())).unwrap();
    let map = ShardMap::new(run(producer.port().open_shards()).unwrap());
    let records = producer.port().records();
    assert_eq!(records.len(), 4);
    for (shard, entry) in records {
        for (key, _, _) in kpl::decode(&entry.data).unwrap().records() {
            assert_eq!(map.shard_of(hash_key(key)), Some(shard.as_str()));
        }
    }
}

#[test]
fn throttled_records_are_put_again_and_the_others_are_not() {
    let stream = MemoryStream::new(4);
    stream.inject([Fault::ThrottleHalf]);
    let producer = Producer::seeded(stream, Placement::Shards, Limits::default(), 1);
    run(producer.send(&(0..100).map(|n| item(&format!("device-{n}"), &n.to_string())).collect::<Vec<_>>())).unwrap();
    assert_eq!(producer.port().calls(), 2);
    assert_eq!(consumed(producer.port()).len(), 100);
}

#[test]
fn an_error_names_the_items_that_could_not_be_put_in_time_and_the_others_are_in_the_stream() {
    let stream = MemoryStream::new(2);
    stream.inject(std::iter::repeat_n(Fault::ThrottleHalf, 200));
    let producer = Producer::seeded(stream, Placement::Shards, Limits::default(), 1);
    let keys: Vec<String> = (0..20).map(|n| format!("device-{n}")).collect();
    let error = run(producer.send(&keys.iter().map(|key| item(key, "1")).collect::<Vec<_>>())).unwrap_err();
    assert_eq!(error.source.remedy, Remedy::SlowDown);
    let in_stream: Vec<String> = consumed(producer.port()).into_iter().map(|(key, _)| key).collect();
    for (index, key) in keys.iter().enumerate() {
        assert_ne!(error.failed.contains(&index), in_stream.contains(key), "{key}");
    }
}

#[test]
fn an_error_names_an_item_larger_than_a_record_and_the_others_are_put() {
    let producer = Producer::seeded(MemoryStream::new(1), Placement::Shards, Limits::default(), 1);
    let huge = Item { key: "a".to_owned(), data: vec![b'x'; 1024 * 1024] };
    let error = run(producer.send(&[item("a", "1"), huge, item("b", "2"), item("", "3")])).unwrap_err();
    assert_eq!((error.failed, error.source.remedy), (vec![1, 3], Remedy::GiveUp));
    assert_eq!(consumed(producer.port()).len(), 2);
}

#[test]
fn a_call_that_no_retry_can_fix_is_not_repeated() {
    let stream = MemoryStream::new(1);
    stream.inject([Fault::Denied]);
    let producer = Producer::seeded(stream, Placement::Shards, Limits::default(), 1);
    assert_eq!(run(producer.send(&[item("a", "1")])).unwrap_err().failed, [0]);
    assert_eq!(producer.port().calls(), 1);
}

#[test]
fn after_a_reshard_the_next_send_aggregates_by_the_new_shards() {
    let shards = source::MemoryStream::new(1);
    let producer = Producer::seeded(MemoryStream::over(shards.clone()), Placement::Shards, Limits::default(), 1);
    let items = || (0..50).map(|n| item(&format!("device-{n}"), "1")).collect::<Vec<_>>();
    run(producer.send(&items())).unwrap();
    shards.reshard_without_lineage(2);
    run(producer.send(&items())).unwrap();
    run(producer.send(&items())).unwrap();
    let map = ShardMap::new(run(producer.port().open_shards()).unwrap());
    let records = producer.port().records();
    assert_eq!(records.len(), 4);
    for (shard, entry) in &records[2..] {
        for (key, _, _) in kpl::decode(&entry.data).unwrap().records() {
            assert_eq!(map.shard_of(hash_key(key)), Some(shard.as_str()));
        }
    }
}

proptest! {
    #[test]
    fn a_key_appears_once_in_a_call_and_its_items_arrive_in_order(
        keys in prop::collection::vec(0_u8..6, 1..120),
        shards in 1_usize..5,
        placement in placement(),
        faults in prop::collection::vec(
            prop::sample::select(vec![Fault::Unavailable, Fault::AnswerLost, Fault::ThrottleHalf]), 0..6),
        seed in any::<u64>(),
    ) {
        let stream = MemoryStream::new(shards);
        stream.inject(faults);
        let producer = Producer::seeded(stream, placement, limits(), seed);
        let items: Vec<Item> =
            keys.iter().enumerate().map(|(n, key)| item(&format!("device-{key}"), &n.to_string())).collect();
        run(producer.send(&items)).unwrap();
        for (key, numbers) in firsts_by_key(consumed(producer.port())) {
            let expected: Vec<u32> =
                (0..).zip(&keys).filter(|(_, of)| format!("device-{of}") == key).map(|(n, _)| n).collect();
            prop_assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn calls_and_waves_keep_the_limits(
        keys in prop::collection::vec(0_u16..40, 1..400),
        placement in placement(),
        records_max in 1_usize..20,
    ) {
        let limits = Limits { call_records_max: records_max, call_bytes_max: 1_000, ..limits() };
        let items: Vec<Item> = keys.iter().map(|key| item(&format!("device-{key}"), "0123456789")).collect();
        let producer = Producer::new(MemoryStream::new(7), placement, limits);
        let (waves, too_large) = pack::pack(&items, &run(producer.places()).unwrap(), &limits);
        prop_assert!(too_large.is_empty());
        let mut seen = Vec::new();
        for wave in waves {
            let mut keys_of_wave = std::collections::HashSet::new();
            for call in pack::calls(wave, &limits) {
                prop_assert!(call.len() <= records_max);
                let bytes: usize = call.iter().map(|packet| packet.entry.partition_key.len() + packet.entry.data.len()).sum();
                prop_assert!(bytes <= 1_000);
                for packet in call {
                    prop_assert!(packet.entry.data.len() <= limits.aggregate_bytes_max);
                    let keys: std::collections::HashSet<_> = packet.items.iter().map(|&index| &items[index].key).collect();
                    for key in keys {
                        prop_assert!(keys_of_wave.insert(key.clone()), "{} twice in a wave", key);
                    }
                    seen.extend(packet.items);
                }
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..items.len()).collect::<Vec<_>>());
    }
}
