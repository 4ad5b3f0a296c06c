//! Tests promise 1, that the lake has every record exactly once, under all faults of Lambda, S3 and DynamoDB, from
//! seeds.
//!
//! The model has one shard, whose arrival times sometimes go back. One event source mapping reads it from the
//! beginning, and perhaps another one from the middle. Each retry cuts its batch differently. Invocations crash at any
//! step, or time out and run on beside the next ones. Calls are refused, or their answers are lost. Heads are old or
//! missing. Batches are discarded, and replayed later in any order. In the end each record is in the lake once, and
//! each object is a contiguous stretch of its hour.

use super::faults::{Fault, Faulty};
use super::*;
use crate::platform::errors::RemoteError;
use crate::stream::batch::{Batch, Position, StreamRecord};
use crate::stream::kpl;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const STREAM: &str = "ingest";
const SHARD: &str = "shardId-000000000000";
/// 2026-11-21T03:00:00Z
const START_MS: i64 = 1_795_230_000_000;

/// Heads that return any earlier head, or none.
#[derive(Clone, Default)]
struct OldHeads(Arc<Mutex<(Vec<Head>, Option<StdRng>)>>);

impl Heads for OldHeads {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Head>, RemoteError> {
        let (heads, rng) = &mut *self.0.lock().unwrap();
        let rng = rng.as_mut().unwrap();
        Ok(match rng.random_range(0..10) {
            0 => None,
            1..4 if !heads.is_empty() => Some(heads[rng.random_range(0..heads.len())]),
            _ => heads.iter().max().copied(),
        })
    }

    async fn advance(&self, _: &str, _: &str, head: Head) -> Result<(), RemoteError> {
        self.0.lock().unwrap().0.push(head);
        Ok(())
    }
}

struct Mapping {
    next: usize,
    running: Option<Invocation>,
    /// A batch whose invocation did not succeed.
    failed: Option<Range<usize>>,
}

struct Invocation {
    range: Range<usize>,
    future: Pin<Box<dyn Future<Output = ArchiveOutcome> + Send>>,
}

impl Invocation {
    /// Runs up to the next call of a port.
    fn step(&mut self) -> Option<ArchiveOutcome> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}

struct World {
    rng: StdRng,
    shard: Vec<StreamRecord>,
    lake: MemoryLake,
    heads: OldHeads,
    /// The percentage of calls that are refused, which is also the percentage of calls whose answers are lost.
    faults: Arc<Mutex<(StdRng, u32)>>,
    mappings: Vec<Mapping>,
    zombies: Vec<Invocation>,
    discarded: Vec<Range<usize>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let heads = OldHeads::default();
        heads.0.lock().unwrap().1 = Some(StdRng::seed_from_u64(seed ^ 1));
        let faults = Arc::new(Mutex::new((StdRng::seed_from_u64(seed ^ 2), rng.random_range(0..25))));
        let shard = shard(&mut rng);
        let mapping = Mapping { next: 0, running: None, failed: None };
        let lake = MemoryLake::default();
        Self { rng, shard, lake, heads, faults, mappings: vec![mapping], zombies: Vec::new(), discarded: Vec::new() }
    }

    fn invoke(&self, range: Range<usize>) -> Invocation {
        let rates = Arc::clone(&self.faults);
        let faults = move |_: &str, _: &str| {
            let (rng, percent) = &mut *rates.lock().unwrap();
            match rng.random_range(0..100) {
                roll if roll < *percent => Fault::Refused,
                roll if roll < 2 * *percent => Fault::AnswerLost,
                _ => Fault::None,
            }
        };
        let lake = Faulty::new(self.lake.clone(), faults.clone());
        let heads = Faulty::new(self.heads.clone(), faults);
        let batch = Batch { stream: STREAM.into(), shard: SHARD.into(), records: self.shard[range.clone()].to_vec() };
        let compression = Compression::new(Format::Zstd, Some(1)).unwrap();
        let future = Box::pin(async move { Archiver::new(lake, heads, compression).archive(&batch).await });
        Invocation { range, future }
    }

    /// Lets one random event happen.
    fn next_event(&mut self) {
        match self.rng.random_range(0..100) {
            0 if self.mappings.len() < 2 => {
                let next = self.rng.random_range(0..self.shard.len());
                self.mappings.push(Mapping { next, running: None, failed: None });
            }
            1..5 => self.replay(),
            5..30 if !self.zombies.is_empty() => {
                let index = self.rng.random_range(0..self.zombies.len());
                if self.rng.random_ratio(1, 20) || self.zombies[index].step().is_some() {
                    self.zombies.swap_remove(index);
                }
            }
            _ => {
                let index = self.rng.random_range(0..self.mappings.len());
                self.advance(index);
            }
        }
    }

    /// Replays a discarded batch as a whole. Nothing else runs meanwhile, but the replay may be cut off.
    fn replay(&mut self) {
        if self.discarded.is_empty() {
            return;
        }
        let range = self.discarded.swap_remove(self.rng.random_range(0..self.discarded.len()));
        // The batch stays discarded until the replay has succeeded.
        let mut invocation = self.invoke(range.clone());
        let finished = loop {
            match invocation.step() {
                Some(outcome) => break outcome.stopped.is_none(),
                None if self.rng.random_ratio(1, 40) => break false,
                None => {}
            }
        };
        if !finished {
            self.discarded.push(range);
        }
    }

    fn advance(&mut self, index: usize) {
        let fate = self.rng.random_range(0..100);
        let mapping = &mut self.mappings[index];
        let Some(mut invocation) = mapping.running.take() else {
            if let Some(range) = mapping.failed.take().filter(|_| fate < 10) {
                mapping.next = range.end;
                self.discarded.push(range);
            } else if mapping.next < self.shard.len() {
                let end = self.rng.random_range(mapping.next + 1..=self.shard.len().min(mapping.next + 8));
                let range = mapping.next..end;
                self.mappings[index].running = Some(self.invoke(range));
            }
            return;
        };
        let range = invocation.range.clone();
        match fate {
            // The invocation crashes here.
            0..3 => mapping.failed = Some(range),
            // The invocation times out, and runs on.
            3..6 => {
                mapping.failed = Some(range);
                self.zombies.push(invocation);
            }
            _ => match invocation.step() {
                None => mapping.running = Some(invocation),
                Some(ArchiveOutcome { stopped: None, .. }) => mapping.next = range.end,
                Some(ArchiveOutcome { stopped: Some(stopped), .. }) => {
                    mapping.next = range.start + stopped.record;
                    mapping.failed = Some(mapping.next..range.end);
                }
            },
        }
    }

    /// Ends the faults, and delivers everything that was not delivered yet.
    fn settle(&mut self) {
        self.faults.lock().unwrap().1 = 0;
        let busy = |world: &Self| {
            world.mappings.iter().any(|mapping| mapping.running.is_some() || mapping.next < world.shard.len())
        };
        while busy(self) || !self.zombies.is_empty() || !self.discarded.is_empty() {
            self.next_event();
        }
    }

    fn check(&self) -> Result<(), String> {
        let batch = Batch { stream: STREAM.into(), shard: SHARD.into(), records: self.shard.clone() };
        let mut expected = BTreeMap::<Hour, Vec<(Position, Vec<u8>)>>::new();
        for user in batch.user_records() {
            expected.entry(Hour::of(user.arrived_ms)).or_default().push((user.position(), user.data.to_vec()));
        }
        let mut objects = BTreeMap::<Hour, Vec<Vec<(Position, Vec<u8>)>>>::new();
        for (key, stored) in self.lake.objects() {
            let Ok(key) = key.parse::<ObjectKey>() else { continue };
            let (_, records) = read(&key, &stored).map_err(|error| crate::platform::errors::chain(&error))?;
            let records = records.into_iter().map(|record| (record.position, record.data)).collect();
            objects.entry(key.of.hour).or_default().push(records);
        }
        // Contiguous objects that hold each record once, in the order of their first records, make up the hour itself.
        for objects in objects.values_mut() {
            objects.sort_by_key(|records| records[0].0);
        }
        let archived: BTreeMap<_, Vec<_>> =
            objects.into_iter().map(|(hour, objects)| (hour, objects.into_iter().flatten().collect())).collect();
        if archived == expected { Ok(()) } else { Err(format!("archived {archived:?}\nexpected {expected:?}")) }
    }
}

/// Records of a few hours. Arrival times may go back, also across a change of hour.
fn shard(rng: &mut StdRng) -> Vec<StreamRecord> {
    let mut sequence = 0_u64;
    let mut minutes = 0;
    (0..rng.random_range(1..40))
        .map(|index| {
            sequence += rng.random_range(1..1_000);
            minutes += rng.random_range(0..10);
            let arrived_ms = START_MS + (minutes - rng.random_range(0..12)) * 60_000;
            let data = match rng.random_range(0..4) {
                0 => kpl::encode([("a", format!("{index}a").as_bytes()), ("b", format!("{index}b").as_bytes())]),
                _ => format!("{{\"n\":{index}}}").into_bytes(),
            };
            StreamRecord {
                sequence: sequence.to_string().parse().unwrap(),
                partition_key: "key".into(),
                arrived_ms,
                data: data.into(),
            }
        })
        .collect()
}

fn run(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..world.rng.random_range(50..600) {
            world.next_event();
        }
        world.settle();
        if let Err(problem) = world.check() {
            panic!("seed {seed}: {problem}");
        }
    }
}

#[test]
fn every_record_is_in_the_lake_exactly_once_whatever_happens() {
    run(0..30_000);
}
