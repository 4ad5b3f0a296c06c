//! Tests of batches on ports in memory: where they are cut, and what is forgotten.

use super::super::progress::memory::MemoryProgress;
use super::super::settings::Found;
use super::super::states::Loaded;
use super::super::states::memory::MemoryStates;
use super::super::sums::{Ids, Sum, Sums, json};
use super::super::{Kept, Pending, State as _};
use super::*;
use crate::alert::MemoryReporter;
use crate::lake::dead_letter::MemoryDeadLetters;
use crate::platform::clock::ManualClock;
use crate::results::memory::MemoryResults;
use crate::results::{Item, MetricResult};
use crate::stream::batch::StreamRecord;
use crate::stream::source::Shard;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW_MS: i64 = 1_795_218_892_020;
const STREAM: &str = "readings";

/// The shards that a stream lists.
#[derive(Clone, Default)]
struct Listed(Arc<std::sync::Mutex<Vec<Shard>>>);

impl ListShards for Listed {
    async fn list(&self) -> Result<Vec<Shard>, RemoteError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// Each device has the same settings.
struct Same(Ids);

impl SettingsSource for Same {
    type Settings = Ids;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<Found<'a, Ids>, RemoteError> {
        Ok(devices.iter().map(|device| (*device, Ok(self.0))).collect())
    }
}

struct InMemory;

impl Ports for InMemory {
    type Rule = Sums;
    type Settings = Same;
    type Shards = Listed;
    type Progress = MemoryProgress;
    type States = MemoryStates<Sum>;
    type Results = MemoryResults;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

fn context(ids: Ids) -> Context<InMemory> {
    let listed = Listed::default();
    *listed.0.lock().unwrap() = vec![shard("parent", 0, u128::MAX)];
    Context {
        settings: Same(ids),
        shards: Shards::new(listed),
        progress: MemoryProgress::default(),
        states: MemoryStates::default(),
        results: MemoryResults::default(),
        findings: None,
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(1), group: GROUP },
    }
}

fn shard(id: &str, first: u128, last: u128) -> Shard {
    Shard { id: id.to_owned(), parents: Vec::new(), hash_keys: (first, last), starting: None, ending: None }
}

fn record(position: u32, device: &str, id: u32, at: i64) -> StreamRecord {
    StreamRecord {
        sequence: position.to_string().parse().unwrap(),
        partition_key: device.into(),
        arrived_ms: NOW_MS,
        data: json(device, id, at).into_bytes().into(),
    }
}

async fn done(context: &Context<InMemory>, shard: &str, records: &[StreamRecord]) {
    let batch = Batch { stream: STREAM.to_owned(), shard: shard.to_owned(), records: records.to_vec() };
    process(context, &batch).await.unwrap();
}

async fn fences(context: &Context<InMemory>, device: &str) -> Fences {
    let slot = SlotDevices { slot: Slot::of(device), devices: Vec::new() };
    context.states.load(STREAM, &[slot]).await.unwrap().remove(0).fences
}

async fn shards_with_fences(context: &Context<InMemory>, device: &str) -> Vec<String> {
    fences(context, device).await.into_keys().collect()
}

async fn kept(context: &Context<InMemory>, device: &str) -> Option<Kept<Sum>> {
    let slot = SlotDevices { slot: Slot::of(device), devices: vec![device] };
    let Loaded { kept, .. } = context.states.load(STREAM, &[slot]).await.unwrap().remove(0).states.remove(0);
    kept
}

async fn progress(context: &Context<InMemory>) -> Progress {
    context.progress.read(Sum::NAME, STREAM).await.unwrap()
}

/// The same stores, as another process sees them that starts now.
fn restarted(context: Context<InMemory>, listed: Vec<Shard>) -> Context<InMemory> {
    let shards = Listed::default();
    *shards.0.lock().unwrap() = listed;
    Context { shards: Shards::new(shards), ..context }
}

const MIDDLE: u128 = 1 << 127;

#[tokio::test]
async fn the_fence_of_a_shard_goes_when_its_slots_are_taken_over_and_the_stream_has_forgotten_it() {
    // `a` is in the lower half of the keyspace, `b` in the upper.
    let all = || vec![shard("parent", 0, u128::MAX), shard("low", 0, MIDDLE - 1), shard("high", MIDDLE, u128::MAX)];
    let context = restarted(context(Ids::Known), all());
    done(&context, "parent", &[record(1, "a", 1, 1), record(2, "b", 2, 2)]).await;
    done(&context, "low", &[record(3, "a", 3, 3)]).await;
    done(&context, "high", &[record(4, "b", 4, 4)]).await;
    done(&context, "low", &[record(5, "a", 5, 5)]).await;
    assert_eq!(shards_with_fences(&context, "a").await, ["low", "parent"], "the stream still lists it");

    let context = restarted(context, all().split_off(1));
    done(&context, "low", &[record(6, "a", 6, 6)]).await;
    assert_eq!(shards_with_fences(&context, "a").await, ["low"]);
    assert_eq!(shards_with_fences(&context, "b").await, ["high", "parent"], "the other half has had no batch since");
    assert_eq!(kept(&context, "a").await.unwrap().state.readings.len(), 4);
}

#[tokio::test]
async fn a_fence_stays_while_some_of_its_shards_slots_are_not_taken_over() {
    let context = restarted(context(Ids::Known), vec![shard("parent", 0, u128::MAX)]);
    done(&context, "parent", &[record(1, "a", 1, 1), record(2, "b", 2, 2)]).await;
    let context = restarted(context, vec![shard("low", 0, MIDDLE - 1), shard("high", MIDDLE, u128::MAX)]);
    for n in 3..6 {
        done(&context, "low", &[record(n, "a", n, 3)]).await;
        assert_eq!(shards_with_fences(&context, "a").await, ["low", "parent"]);
    }
    done(&context, "high", &[record(6, "b", 6, 3)]).await;
    done(&context, "low", &[record(7, "a", 7, 3)]).await;
    assert_eq!(shards_with_fences(&context, "a").await, ["low"]);
}

#[tokio::test]
async fn an_invocation_that_has_an_old_list_of_shards_does_not_delete_the_fence_of_a_later_one() {
    let parent = || vec![shard("parent", 0, u128::MAX)];
    let context = restarted(context(Ids::Known), parent());
    done(&context, "parent", &[record(1, "a", 1, 1)]).await;
    let old = MemoryProgress::default();
    old.change(Sum::NAME, STREAM, &Progress::default(), &progress(&context).await).await.unwrap();
    let context = restarted(context, vec![shard("low", 0, MIDDLE - 1)]);
    done(&context, "low", &[record(3, "a", 3, 3)]).await;
    // It neither knows that the shard exists, nor that it has acknowledged anything.
    let zombie = Context { progress: old, ..restarted(context, parent()) };
    done(&zombie, "parent", &[record(1, "a", 1, 1), record(2, "a", 2, 2)]).await;
    assert_eq!(shards_with_fences(&zombie, "a").await, ["low", "parent"]);
}

#[tokio::test]
async fn a_loss_that_the_progress_has_lost_is_declared_again() {
    let context = context(Ids::Known);
    done(&context, "parent", &[record(1, "a", 1, NOW_MS)]).await;
    context.states.lose_everything();
    done(&context, "parent", &[record(2, "a", 2, NOW_MS)]).await;
    assert_eq!(progress(&context).await.lost_until.len(), Slot::COUNT);
    let context = Context { progress: MemoryProgress::default(), ..context };
    done(&context, "parent", &[record(3, "a", 3, NOW_MS)]).await;
    assert_eq!(progress(&context).await.lost_until.len(), Slot::COUNT);
    assert_eq!(progress(&context).await.lost_until[&Slot::of("a")], NOW_MS);
}

/// The devices of the properties: two of one slot, and one of another.
fn devices() -> [String; 3] {
    let mut names = (0..10_000).map(|n| format!("n{n}"));
    let neighbour = names.find(|name| Slot::of(name) == Slot::of("a")).unwrap();
    ["a".to_owned(), neighbour, "b".to_owned()]
}

/// Records of several devices: some ids come twice, and some records are no readings. The last one is: what is
/// acknowledged ends with a reading.
fn records() -> impl Strategy<Value = Vec<StreamRecord>> {
    prop::collection::vec((0..3_usize, 0..30_u32, 0..300_i64, 0..10_u32), 1..40).prop_map(|records| {
        let (devices, count) = (devices(), records.len());
        let record = |((device, id, seconds, kind), position): ((usize, u32, i64, u32), u32)| {
            let device = devices[device].as_str();
            let record = record(position, device, id, NOW_MS + seconds * 1_000);
            if kind == 0 && (position as usize) < count {
                StreamRecord { data: b"no reading".as_slice().into(), ..record }
            } else {
                record
            }
        };
        records.into_iter().zip(1..).map(record).collect()
    })
}

/// What the rows say.
fn results(context: &Context<InMemory>) -> BTreeMap<(String, Item), (u64, BTreeMap<String, MetricResult>)> {
    context.results.rows().into_iter().map(|row| ((row.device_id, row.item), (row.counted, row.metrics))).collect()
}

/// What is kept, without which row was the latest: one that came of a duplicate alone is none.
async fn states(context: &Context<InMemory>) -> Vec<Option<Kept<Sum>>> {
    let mut states = Vec::new();
    for device in devices() {
        let kept = kept(context, &device).await;
        states.push(kept.map(|kept| Kept { row: None, history: Pending::new(), ..kept }));
    }
    states
}

/// Runs a test that waits for nothing.
fn run<T>(test: impl Future<Output = T>) -> T {
    futures::executor::block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn where_batches_are_cut_and_how_often_they_come_changes_neither_states_nor_results(
        records in records(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
        group in 1..4_usize,
    ) {
        let whole = context(Ids::Known);
        run(done(&whole, "parent", &records));
        let mut cut = context(Ids::Known);
        cut.limits.group = group;
        let mut begin = 0;
        for (again, length) in &cuts {
            // Each batch begins at or before the end of what was delivered: some of it comes again.
            let from = begin - again.index(begin + 1);
            let to = from + length.index(records.len() - from + 1);
            run(done(&cut, "parent", &records[from..to]));
            begin = begin.max(to);
        }
        run(done(&cut, "parent", &records[begin..]));
        prop_assert_eq!(run(states(&cut)), run(states(&whole)));
        prop_assert_eq!(results(&cut), results(&whole));
        prop_assert_eq!(run(progress(&cut)), run(progress(&whole)));
        prop_assert_eq!(cut.letters.letters(), whole.letters.letters());
    }

    #[test]
    fn a_batch_that_is_delivered_again_changes_nothing(records in records(), from in any::<prop::sample::Index>()) {
        let context = context(Ids::Known);
        run(done(&context, "parent", &records));
        let before = (run(states(&context)), results(&context), run(progress(&context)));
        for _ in 0..2 {
            run(done(&context, "parent", &records[from.index(records.len())..]));
            prop_assert_eq!(&(run(states(&context)), results(&context), run(progress(&context))), &before);
        }
    }
}
