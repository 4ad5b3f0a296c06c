//! Tests of a producer that puts per slot, on a stream whose shards change at any hash key.

use super::*;
use crate::stream::batch::{Batch, Position};
use crate::stream::slot::Slot;
use crate::stream::source::{ReadFrom, Source as _};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Devices of a few slots, so that many slots have several of them.
static DEVICES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..2_000).map(|n| format!("device-{n}")).filter(|name| Slot::of(name).0 % 64 == 7).collect());

/// A change of the shards.
#[derive(Clone, Debug)]
enum Reshard {
    /// A shard is split at this hash key.
    Split(u128),
    /// The shard of this hash key is merged with the one above it.
    Merge(u128),
    /// UpdateShardCount.
    Count(usize),
}

impl Reshard {
    fn apply(&self, shards: &source::MemoryStream) {
        let open = shards.open_ranges();
        let of = |hash: u128| open.iter().position(|range| hash <= range.end).unwrap();
        match *self {
            Self::Split(at) if open[of(at)].start < at => shards.split_at(&open[of(at)].shard, at),
            Self::Merge(at) if of(at) + 1 < open.len() => shards.merge(&open[of(at)].shard, &open[of(at) + 1].shard),
            Self::Count(count) => shards.reshard_without_lineage(count),
            Self::Split(_) | Self::Merge(_) => {}
        }
    }
}

fn device() -> impl Strategy<Value = String> {
    prop::sample::select(&DEVICES[..])
}

/// Any change. Cuts between a device and the beginning of its slot are the ones that matter most.
fn reshard() -> impl Strategy<Value = Reshard> {
    let hash = prop_oneof![
        any::<u128>(),
        device().prop_map(|name| hash_key(&name)),
        device().prop_map(|name| Slot::of(&name).hash_key())
    ];
    prop_oneof![
        4 => hash.clone().prop_map(Reshard::Split),
        2 => hash.prop_map(Reshard::Merge),
        1 => (1_usize..7).prop_map(Reshard::Count),
    ]
}

/// Devices whose items are sent together, what goes wrong then, and how the shards change afterwards.
fn send() -> impl Strategy<Value = (Vec<String>, Vec<Fault>, Vec<Reshard>)> {
    let fault = prop::sample::select(vec![Fault::Unavailable, Fault::AnswerLost, Fault::ThrottleHalf]);
    (prop::collection::vec(device(), 1..60), prop::collection::vec(fault, 0..3), prop::collection::vec(reshard(), 0..4))
}

/// What a consumer of each shard reads, parents before their children: key, position and number of each item.
async fn read(shards: &source::MemoryStream) -> Vec<(String, Position, String)> {
    let mut items = Vec::new();
    for shard in shards.shards().await.unwrap() {
        let mut cursor = shards.open(&shard.id, ReadFrom::TrimHorizon).await.unwrap();
        let records = shards.read(&mut cursor, usize::MAX).await.unwrap().records;
        let batch = Batch { stream: String::new(), shard: shard.id, records };
        items.extend(batch.user_records().map(|record| {
            (record.partition_key.to_owned(), record.position(), String::from_utf8(record.data.to_vec()).unwrap())
        }));
    }
    items
}

proptest! {
    #[test]
    fn a_device_is_in_one_shard_at_a_time_and_its_items_in_order_whatever_the_shards(
        shards in 1_usize..6,
        sends in prop::collection::vec(send(), 1..8),
        seed in any::<u64>(),
    ) {
        let shards = source::MemoryStream::new(shards);
        let producer =
            Producer::seeded(MemoryStream::over(shards.clone()), Placement::Slots, limits(), seed);
        let mut sent: HashMap<String, Vec<u32>> = HashMap::new();
        let mut numbers = 0_u32..;
        let mut before = 0;
        for (devices, faults, reshards) in sends {
            let items: Vec<Item> =
                devices.iter().zip(numbers.by_ref()).map(|(key, n)| item(key, &n.to_string())).collect();
            for Item { key, data } in &items {
                sent.entry(key.clone()).or_default().push(std::str::from_utf8(data).unwrap().parse().unwrap());
            }
            producer.port().inject(faults);
            run(producer.send(&items)).unwrap();

            let open = shards.open_ranges();
            let mut shard_of_slot = BTreeMap::new();
            let records = producer.port().records();
            for (shard, entry) in &records[before..] {
                let range = open.iter().find(|range| range.shard == *shard).unwrap();
                for (key, hash) in conformance::hash_keys(entry) {
                    prop_assert!((range.start..=range.end).contains(&hash), "{} is outside of {}", key, shard);
                    let first = shard_of_slot.entry(Slot::of(&key)).or_insert(shard);
                    prop_assert_eq!(&*first, &shard, "{}", key);
                }
            }
            before = records.len();
            for reshard in reshards {
                reshard.apply(&shards);
            }
        }

        let mut last: HashMap<String, Position> = HashMap::new();
        let mut items = Vec::new();
        for (key, position, number) in run(read(&shards)) {
            let earlier = last.insert(key.clone(), position);
            prop_assert!(earlier < Some(position), "{} is at {:?} after {:?}", key, position, earlier);
            items.push((key, number));
        }
        prop_assert_eq!(firsts_by_key(items), sent);
    }
}

#[test]
fn a_single_item_is_a_plain_record_at_the_hash_key_of_its_slot() {
    let producer = Producer::seeded(MemoryStream::new(1), Placement::Slots, Limits::default(), 1);
    run(producer.send(&[item("bed-17", "1")])).unwrap();
    let hash_key = Some(Slot::of("bed-17").hash_key());
    let entry = Entry { partition_key: "bed-17".to_owned(), explicit_hash_key: hash_key, data: b"1".to_vec() };
    assert_eq!(producer.port().records().into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), [entry]);
}

#[test]
fn a_call_has_an_aggregate_for_each_slot() {
    let producer = Producer::seeded(MemoryStream::new(3), Placement::Slots, Limits::default(), 1);
    let items: Vec<Item> = (0..6_000).map(|n| item(&format!("device-{}", n / 3), "1")).collect();
    run(producer.send(&items)).unwrap();
    assert_eq!((producer.port().records().len(), producer.port().calls()), (Slot::COUNT, 1));
}

/// A stream that the producer may only put on.
struct Unlisted(MemoryStream);

impl PutRecords for Unlisted {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        self.0.put_records(entries).await
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        Err(RemoteError::new("ListShards", Remedy::GiveUp, "AccessDeniedException"))
    }
}

#[test]
fn a_producer_that_puts_per_slot_lists_no_shards() {
    let producer = Producer::seeded(Unlisted(MemoryStream::new(2)), Placement::Slots, Limits::default(), 1);
    run(producer.send(&[item("a", "1"), item("b", "2")])).unwrap();
    assert_eq!(consumed(&producer.port().0).len(), 2);
}
