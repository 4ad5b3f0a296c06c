//! The functions' ports to the simulated platform. Faults happen here, at every call, before or after its effect.

mod keyed;

use crate::faults::{Fault, Site};
use crate::invariants::{Invariant, Violation};
use crate::ledger::Name;
use crate::plan::{Function, Service, Stream};
use crate::world::World;
use futures::FutureExt as _;
use myaku::device::registry::{Key, MasterData, Stored as Document};
use myaku::lake::archive::{Head, Heads, Lake, Metadata, Put, Stored};
use myaku::lake::dead_letter::{DeadLetter, DeadLetterStore};
use myaku::platform::clock::Now as _;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::stream::producer::conformance::hash_keys;
use myaku::stream::producer::{Entry, PutOutcome, PutRecords};
use myaku::stream::shard_map::HashKeyRange;
use myaku::stream::slot::Slot;
use myaku_local::event_source::TaskId;
use std::collections::{BTreeSet, HashMap};
use std::future::{pending, poll_fn};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// All items of a call.
const ALL: u64 = u64::MAX;

/// All ports of one environment. Clones belong to the same environment.
#[derive(Clone)]
pub(crate) struct Ports {
    world: Arc<World>,
    function: Function,
    current: Arc<Mutex<Current>>,
}

/// The invocation that the environment serves.
#[derive(Default)]
struct Current {
    invocation: u32,
    calls: u32,
    task: Option<TaskId>,
    batch: Option<Arc<Batch>>,
    zombie: bool,
}

/// Counts as one running task until it is dropped.
pub(crate) struct Running(Arc<World>);

impl Running {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        world.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(world))
    }

    pub(crate) fn world(&self) -> &World {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ports {
    pub(crate) fn new(world: &Arc<World>, function: Function) -> Self {
        Self { world: Arc::clone(world), function, current: Arc::default() }
    }

    /// Starts an invocation in this environment.
    pub(crate) fn begin(&self, invocation: u32, batch: &Arc<Batch>) {
        *self.current() = Current { invocation, batch: Some(Arc::clone(batch)), ..Current::default() };
    }

    /// The invocation runs in this task.
    pub(crate) fn runs_in(&self, task: TaskId) {
        self.current().task = Some(task);
    }

    /// The invocation has timed out and continues.
    pub(crate) fn becomes_zombie(&self) {
        self.current().zombie = true;
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call that has one answer for all of its items.
    async fn call<T: Send + 'static>(
        &self,
        service: Service,
        name: &str,
        about: &str,
        effect: impl FnOnce(&World, u64) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, RemoteError> {
        match self.call_with_fault(service, name, about, effect).await {
            (answer, Fault::Partial(_)) => answer.and(self.failed(name, about, Remedy::Retry)),
            (answer, _) => answer,
        }
    }

    /// Makes a call whose effect covers the items whose bits are set. Also returns what went wrong.
    async fn call_with_fault<T: Send + 'static>(
        &self,
        service: Service,
        name: &str,
        about: &str,
        effect: impl FnOnce(&World, u64) -> Result<T, RemoteError> + Send + 'static,
    ) -> (Result<T, RemoteError>, Fault) {
        let world = &self.world;
        let (invocation, call, zombie) = {
            let mut current = self.current();
            current.calls += 1;
            (current.invocation, current.calls, current.zombie)
        };
        let site = Site::Call(self.function, invocation, call);
        let fault = world.fault(site, service);
        let note = |what: &str| {
            world.note(format_args!("{:?} {invocation}: {name} {about} {what} {fault:?}", self.function));
        };
        wait(world.faults.latency_ms(site, zombie)).await;
        match fault {
            Fault::Slow(ms) => wait(ms).await,
            Fault::CrashBefore => {
                note("crashes before it");
                self.crash().await;
            }
            Fault::Refused(remedy) => {
                note("is refused");
                return (self.failed(name, about, remedy), fault);
            }
            Fault::Late(ms) => {
                note("fails and takes effect later");
                let (late, running) = (Arc::clone(world), Running::new(world));
                world.simulation.spawn(async move {
                    wait(ms).await;
                    late.note(format_args!("invocation {invocation}: call {call} takes effect late"));
                    // The caller has already got an error.
                    let _ = effect(&late, ALL);
                    drop(running);
                });
                return (self.failed(name, about, Remedy::Retry), fault);
            }
            _ => {}
        }
        let answer = effect(world, if let Fault::Partial(bits) = fault { bits } else { ALL });
        note("takes effect");
        match fault {
            Fault::CrashAfter => self.crash().await,
            Fault::TimedOut(ms) => wait(ms).await,
            _ => wait(0).await,
        }
        match fault {
            Fault::AnswerLost | Fault::TimedOut(_) => (self.failed(name, about, Remedy::Retry), fault),
            _ => (answer, fault),
        }
    }

    /// The site of the next call.
    fn next_site(&self) -> Site {
        let current = self.current();
        Site::Call(self.function, current.invocation, current.calls + 1)
    }

    fn failed<T>(&self, name: &str, about: &str, remedy: Remedy) -> Result<T, RemoteError> {
        Err(RemoteError::new(format!("{name} {about} of {:?}", self.function), remedy, "a fault of the seed"))
    }

    /// Ends the environment, and the invocation in it.
    async fn crash(&self) {
        if let Some(task) = self.current().task {
            self.world.simulation.abort(task);
        }
        pending::<()>().await;
    }
}

/// Waits `ms` milliseconds; 0 yields to other tasks once.
async fn wait(ms: u64) {
    if ms > 0 {
        return tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The answer of a store in memory, which is ready at once.
fn at_once<T>(answer: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
    let late = || Err(RemoteError::new("a store in memory", Remedy::GiveUp, "it did not answer at once"));
    answer.now_or_never().unwrap_or_else(late)
}

/// Whether the bit of the item `index` is set.
const fn has_bit(bits: u64, index: usize) -> bool {
    bits >> (index % 64) & 1 == 1
}

impl Lake for Ports {
    async fn put_if_absent(&self, key: &str, object: &Stored) -> Result<Put, RemoteError> {
        let (put, object) = (key.to_owned(), object.clone());
        let effect = move |world: &World, _: u64| {
            let answer = at_once(world.lake.put_if_absent(&put, &object));
            if answer.as_ref().is_ok_and(|answer| *answer == Put::Created) {
                world.check(world.models().lake.object(&put, &object));
            }
            answer
        };
        self.call(Service::S3, "put", key, effect).await
    }

    async fn metadata(&self, key: &str) -> Result<Option<Metadata>, RemoteError> {
        let of = key.to_owned();
        self.call(Service::S3, "metadata", key, move |world, _| at_once(world.lake.metadata(&of))).await
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        let of = key.to_owned();
        self.call(Service::S3, "get", key, move |world, _| at_once(world.lake.get(&of))).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RemoteError> {
        let of = prefix.to_owned();
        self.call(Service::S3, "list", prefix, move |world, _| at_once(world.lake.list(&of))).await
    }
}

impl Heads for Ports {
    async fn get(&self, stream: &str, shard: &str) -> Result<Option<Head>, RemoteError> {
        let (stream, of) = (stream.to_owned(), shard.to_owned());
        let effect = move |world: &World, bits| {
            // A partial failure is a stale read: it returns an old head.
            if bits == ALL { at_once(world.heads.get(&stream, &of)) } else { Ok(world.old_head(&of, bits)) }
        };
        self.call_with_fault(Service::DynamoDb, "head", shard, effect).await.0
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) -> Result<(), RemoteError> {
        let (stream, of) = (stream.to_owned(), shard.to_owned());
        let effect = move |world: &World, _| {
            world.check(world.models().lake.head(&stream, &of, head));
            world.remember_head(&of, head);
            at_once(world.heads.advance(&stream, &of, head))
        };
        self.call(Service::DynamoDb, "advance head", shard, effect).await
    }
}

impl MasterData for Ports {
    async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Document>, RemoteError> {
        let keys = keys.to_vec();
        let effect = move |world: &World, _| at_once(world.master_data.read(&keys, now_ms));
        self.call(Service::DynamoDb, "read", "master data", effect).await
    }
}

impl DeadLetterStore for Ports {
    async fn put(&self, letter: &DeadLetter) -> Result<(), RemoteError> {
        let written = letter.clone();
        let effect = move |world: &World, _| {
            let answer = at_once(world.letters.put(&written));
            world.check(world.models().readings.letter(&written));
            answer
        };
        self.call(Service::S3, "letter", &format!("{:?}", letter.position), effect).await
    }
}

impl PutRecords for Ports {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        let entries = entries.to_vec();
        let (invocation, batch) = {
            let current = self.current();
            (current.invocation, current.batch.clone())
        };
        let about = format!("{} records", entries.len());
        let effect = move |world: &World, bits| {
            let mut keys = BTreeSet::new();
            let put = |(index, entry): (usize, &Entry)| {
                let names = put_entry(world, entry, has_bit(bits, index), &mut keys);
                if let (PutOutcome::Put { .. }, Some(batch)) = (&names.0, &batch) {
                    world.check(world.models().readings.in_order(invocation, batch, &names.1));
                }
                names.0
            };
            Ok(entries.iter().enumerate().map(put).collect())
        };
        self.call_with_fault(Service::Kinesis, "put records", &about, effect).await.0
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        let effect = |world: &World, _| Ok(world.stream(Stream::Readings).open_ranges());
        self.call(Service::Kinesis, "list shards", "", effect).await
    }
}

/// Puts one entry if it is `accepted`, and returns the names of its readings. `keys` are the keys of the entries before
/// it.
fn put_entry(world: &World, entry: &Entry, accepted: bool, keys: &mut BTreeSet<String>) -> (PutOutcome, Vec<Name>) {
    let arrived_ms = world.clock.now_ms();
    let stream = world.stream(Stream::Readings);
    let record = |sequence| StreamRecord {
        sequence,
        partition_key: entry.partition_key.as_str().into(),
        arrived_ms,
        data: entry.data.clone().into(),
    };
    let (mut batch, outcome) = if accepted {
        let (shard, sequence) = stream.put_at(entry.hash_key(), &entry.partition_key, &entry.data, arrived_ms);
        let batch = Batch { stream: String::new(), shard: shard.clone(), records: vec![record(sequence)] };
        (batch, PutOutcome::Put { shard })
    } else {
        let code = "ProvisionedThroughputExceededException".to_owned();
        let none = record(myaku::stream::batch::SequenceNumber::ZERO);
        (Batch { stream: String::new(), shard: String::new(), records: vec![none] }, PutOutcome::Refused { code })
    };
    Stream::Readings.name().clone_into(&mut batch.stream);
    if accepted {
        world.check(one_shard_a_device(&stream.open_ranges(), &batch.shard, entry));
    }
    let of_entry: BTreeSet<_> = batch.user_records().map(|record| record.partition_key.to_owned()).collect();
    if let Some(twice) = of_entry.iter().find(|key| keys.contains(*key)) {
        let what = format!("{twice} is in two records of one call");
        world.check(Err(Violation::new(Invariant::OneRecordAKeyACall, what)));
    }
    keys.extend(of_entry);
    let mut names = Vec::new();
    for record in batch.user_records().filter(|_| accepted) {
        let parsed = serde_json::from_slice(record.data);
        let unread = |error| {
            Violation::new(Invariant::NothingFromNowhere, format!("a record was put that is not a reading: {error}"))
        };
        let mut models = world.models();
        let put = parsed.map_err(unread).and_then(|reading| models.readings.put(&reading));
        if let Ok(name) = &put {
            models.averages.put(*name, record.position(), arrived_ms);
            names.push(*name);
        }
        drop(models);
        world.check(put.map(|_| ()));
    }
    (outcome, names)
}

/// Checks that the readings of an entry are in the shard of their devices' slots. The hash key of each must be within the
/// shard: other consumers drop the records of an aggregate whose hash key is not.
fn one_shard_a_device(open: &[HashKeyRange], shard: &str, entry: &Entry) -> Result<(), Violation> {
    let is_within = |hash| open.iter().any(|range| range.shard == shard && (range.start..=range.end).contains(&hash));
    for (key, hash) in hash_keys(entry) {
        if !is_within(hash) || !is_within(Slot::of(&key).hash_key()) {
            let what = format!("{key} was put in {shard} with the hash key {hash}, away from its slot");
            return Err(Violation::new(Invariant::OneShardADevice, what));
        }
    }
    Ok(())
}
