//! One run: carries out the plan, waits until everything is processed, and compares the stores with the models.

use crate::faults::{Faults, Site};
use crate::function::Deployed;
use crate::invariants::{Invariant, Violation};
use crate::ledger::{METRICS, value_of};
use crate::mapping::{Destination, Running};
use crate::plan::{
    Content, DEVICES, Function, NUMBERS, Plan, REFILL, START_MS, Step, Stream, device_id, device_time_ms,
    is_out_of_range,
};
use crate::world::World;
use myaku::ingest::message::Message;
use myaku::keyed::states::memory::Snapshot;
use myaku::platform::clock::Now as _;
use myaku::stream::batch::{Batch, Position, StreamRecord};
use myaku::stream::kpl;
use myaku::stream::shard_map::hash_key;
use myaku::stream::slot::Slot;
use myaku_local::event_source::{Discarded, Progress, StartingPosition};
use myaku_local::function::Invoker as _;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long processing everything may take, in simulated time.
const PATIENCE: Duration = Duration::from_hours(6);

/// A record of `readings` that is not a reading.
const NOT_A_READING: &[u8] = b"no reading";

/// The outcome of a run.
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) trace: String,
    pub(crate) events: u64,
    /// Where faults happened that are not steps of the plan.
    pub(crate) fired: BTreeSet<Site>,
}

/// Runs a plan with all faults of its seed, or only with the `allowed` ones.
pub(crate) fn run(plan: &Plan, allowed: Option<Arc<BTreeSet<Site>>>, traced: bool) -> Outcome {
    let faults = Faults::new(plan, allowed);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(async {
            let world = World::new(plan, faults.clone(), traced);
            let ran = world.simulation.run_inside(Driver::new(&world, plan)?.run()).await;
            world.simulation.abort_all();
            ran.map(|()| world)
        })
    }));
    let violation = |what: String| Some(Violation::new(Invariant::NoPanic, what));
    let (violation, trace, events) = match ran {
        Ok(Ok(world)) => (world.violation(), world.take_trace(), world.events()),
        Ok(Err(error)) => (violation(format!("{error:#}")), String::new(), 0),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            (violation(text.unwrap_or("a panic without a message").to_owned()), String::new(), 0)
        }
    };
    Outcome { violation, trace, events, fired: faults.fired() }
}

struct Driver<'a> {
    world: &'a Arc<World>,
    plan: &'a Plan,
    deployed: [Deployed; 3],
    destination: Destination,
    mappings: Vec<Running>,
    started: u32,
    saved: BTreeMap<Function, Progress>,
    snapshot: Snapshot,
    puts: u32,
}

impl<'a> Driver<'a> {
    fn new(world: &'a Arc<World>, plan: &'a Plan) -> anyhow::Result<Self> {
        let deployed = |function| Deployed::new(world, plan, function);
        let mut driver = Self {
            world,
            plan,
            deployed: [
                deployed(Function::Archiver)?,
                deployed(Function::Transform)?,
                deployed(Function::MovingAverage)?,
            ],
            destination: Destination::new(world),
            mappings: Vec::new(),
            started: 0,
            saved: BTreeMap::new(),
            snapshot: Snapshot::new(),
            puts: 0,
        };
        for function in Function::ALL {
            driver.start(function, StartingPosition::TrimHorizon, None)?;
        }
        Ok(driver)
    }

    async fn run(mut self) -> anyhow::Result<()> {
        for step in &self.plan.steps {
            if self.world.violation().is_some() {
                return Ok(());
            }
            if !matches!(step, Step::Wait(_)) {
                self.world.note(format_args!("-- {step}"));
            }
            self.step(step).await?;
        }
        self.world.faults.calm_down();
        self.world.end_split_brain();
        self.world.note(format_args!("-- no more faults"));
        if self.settle().await && self.world.models().averages.must_fill_again() {
            self.refill();
            self.settle().await;
        }
        if self.world.violation().is_none() {
            self.compare();
        }
        Ok(())
    }

    fn start(
        &mut self,
        function: Function,
        starting: StartingPosition,
        progress: Option<Progress>,
    ) -> anyhow::Result<()> {
        let deployed = &self.deployed[function as usize];
        let begin = (starting, progress);
        self.mappings.push(Running::start(self.world, self.plan, deployed, &self.destination, self.started, begin)?);
        self.started += 1;
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        let world = self.world;
        match step {
            Step::Put { contents, clock_off_ms } => self.put(contents, *clock_off_ms),
            Step::PutNoReading => {
                let now_ms = world.clock.now_ms();
                let (shard, sequence) = world.stream(Stream::Readings).put(device_id(0), NOT_A_READING, now_ms);
                world.note(format_args!("   at {sequence} of {shard}"));
                world.models().readings.invalid_put(Position { sequence, sub: 0 });
            }
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Step::Split(stream, which) => {
                let open = world.stream(*stream).open_ranges();
                if open.len() < 4 {
                    let range = &open[usize::from(*which) % open.len()];
                    // A cut at a device's hash key parts it from the beginning of its slot.
                    let cuts = (0..DEVICES).map(|device| hash_key(device_id(device)));
                    match cuts.filter(|hash| range.start < *hash && *hash <= range.end).min() {
                        Some(hash) => world.stream(*stream).split_at(&range.shard, hash),
                        None => world.stream(*stream).split(&range.shard),
                    }
                }
            }
            Step::Merge(stream, which) => {
                let open = world.stream(*stream).open_shards();
                if open.len() > 1 {
                    let left = usize::from(*which) % (open.len() - 1);
                    world.stream(*stream).merge(&open[left], &open[left + 1]);
                }
            }
            Step::LoseStates => world.lose_since(&Snapshot::new(), None),
            Step::SaveStates => self.snapshot = world.snapshot(),
            Step::LoseLastStates => world.lose_since(&self.snapshot, None),
            Step::LoseLastStatesOf(device) => world.lose_since(&self.snapshot, Some(*device)),
            Step::Evict(device) => world.evict(*device),
            Step::SplitBrain => world.split_brain(&self.snapshot),
            Step::EndSplitBrain => world.end_split_brain(),
            Step::LoseHeads => world.heads.clear(),
            Step::Outage(service, ms) => world.faults.outage(*service, world.clock.now_ms() + *ms as i64),
            Step::SecondMapping(function, starting) => {
                // A window counts a record only after its shard's earlier ones, so they must be delivered in order.
                let in_order = *function != Function::MovingAverage || *starting == StartingPosition::TrimHorizon;
                if in_order && self.mappings.iter().filter(|mapping| mapping.function == *function).count() < 2 {
                    self.start(*function, *starting, None)?;
                }
            }
            Step::SaveProgress(function) => {
                let first = self.mappings.iter().find(|mapping| mapping.function == *function);
                self.saved.extend(first.map(|mapping| (*function, mapping.handle.progress())));
            }
            Step::CrashPoller { function, back } => self.crash(*function, *back)?,
            Step::Replay => {
                if let Some(batch) = self.destination.take() {
                    let (deployed, destination) = (self.deployed.clone(), self.destination.clone());
                    let world = Arc::clone(world);
                    let running = crate::ports::Running::new(&world);
                    self.world.simulation.spawn(async move {
                        replay(&world, &deployed, &destination, batch).await;
                        drop(running);
                    });
                }
            }
        }
        Ok(())
    }

    fn crash(&mut self, function: Function, back: bool) -> anyhow::Result<()> {
        let Some(index) = self.mappings.iter().position(|mapping| mapping.function == function) else { return Ok(()) };
        let mapping = self.mappings.remove(index);
        self.world.simulation.abort(mapping.task);
        let copy = if back { self.saved.get(&function).cloned() } else { None };
        self.start(function, mapping.starting(), Some(copy.unwrap_or_else(|| mapping.handle.progress())))
    }

    /// Puts one record on `ingest`.
    fn put(&mut self, contents: &[Content], clock_off_ms: i64) {
        let world = self.world;
        self.puts += 1;
        let now_ms = world.clock.now_ms();
        let records: Vec<_> = contents.iter().map(|content| record(*content, self.puts, now_ms)).collect();
        let (key, data) = match records.as_slice() {
            [(key, data)] => (key.clone(), data.clone()),
            several => {
                let parts = several.iter().map(|(key, data)| (key.as_str(), data.as_slice()));
                (several[0].0.clone(), kpl::encode(parts))
            }
        };
        let arrived_ms = now_ms + clock_off_ms;
        let (shard, sequence) = world.stream(Stream::Ingest).put(&key, &data, arrived_ms);
        world.note(format_args!("   at {sequence} of {shard}"));
        let record = StreamRecord { sequence, partition_key: key.into(), arrived_ms, data: data.into() };
        let batch = Batch { stream: Stream::Ingest.name().to_owned(), shard, records: vec![record] };
        let mut models = world.models();
        for (record, content) in batch.user_records().zip(contents) {
            models.lake.arrived(&batch.stream, &batch.shard, &record);
            models.readings.arrived(*content, record.position());
        }
    }

    /// Fills the windows again, after a loss.
    fn refill(&mut self) {
        for number in NUMBERS..NUMBERS + REFILL {
            for device in 0..DEVICES {
                self.put(&[Content::Message { device, number }], 0);
            }
        }
    }

    /// Waits until everything is processed and no invocation runs.
    async fn settle(&mut self) -> bool {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            for function in Function::ALL {
                for mapping in self.mappings.iter().filter(|mapping| mapping.function == function) {
                    let caught_up = mapping.handle.caught_up(self.world.clock.now_ms());
                    if tokio::time::timeout_at(until, caught_up).await.is_err() {
                        let status = mapping.handle.status();
                        self.world.does_not_settle(&format!("{function:?} does not catch up: {status:?}"));
                        return false;
                    }
                }
            }
            let discarded = !self.destination.is_empty();
            while let Some(batch) = self.destination.take() {
                replay(self.world, &self.deployed, &self.destination, batch).await;
            }
            if self.world.violation().is_some() {
                return false;
            }
            if tokio::time::Instant::now() >= until {
                self.world.does_not_settle("an invocation runs for ever");
                return false;
            }
            let running = self.world.running.load(Ordering::Relaxed);
            if running == 0 && !discarded {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    fn compare(&self) {
        let world = self.world;
        let models = world.models();
        let checks = [models.lake.settled(&world.lake.objects()), models.readings.settled()];
        drop(models);
        for checked in checks {
            world.check(checked);
        }
        let rows = world.results.rows();
        let interval_ms = self.plan.results_interval.as_millis() as i64;
        world.check_kept(|models, device, kept, _| {
            let of_device: Vec<_> = rows.iter().filter(|row| row.device_id == device_id(device)).cloned().collect();
            models.averages.settled(device, kept, &of_device, interval_ms)
        });
    }
}

/// Sends a discarded batch again. It goes to its function as it was delivered. Readings go onto their stream instead,
/// because a shard's windows do not count records from before the shard's position.
async fn replay(world: &World, deployed: &[Deployed; 3], destination: &Destination, batch: (Function, Discarded)) {
    let function = batch.0;
    let event: serde_json::Value = serde_json::from_slice(&batch.1.body).unwrap_or_default();
    let payload = event["payload"].as_str().unwrap_or_default().to_owned();
    world.note(format_args!("-- a batch of {function:?} is replayed"));
    if function == Function::MovingAverage {
        let records = Batch::from_event(payload).map(|batch| batch.records).unwrap_or_default();
        for record in records {
            let now_ms = world.clock.now_ms();
            let hash = Slot::of(&record.partition_key).hash_key();
            let (shard, sequence) =
                world.stream(Stream::Readings).put_at(hash, &record.partition_key, &record.data, now_ms);
            let put = StreamRecord { sequence, arrived_ms: now_ms, ..record.clone() };
            let batch = Batch { stream: Stream::Readings.name().to_owned(), shard, records: vec![put] };
            for record in batch.user_records() {
                let reading = serde_json::from_slice(record.data).ok();
                if let Some(name) = reading.and_then(|reading| crate::ledger::name(&reading)) {
                    world.models().averages.put(name, record.position(), now_ms);
                }
            }
            if record.data == NOT_A_READING {
                let at = |sequence| Position { sequence, sub: 0 };
                world.models().readings.moved(at(record.sequence), at(sequence));
            }
        }
        return;
    }
    let answer = deployed[function as usize].invoke(payload.into()).await;
    let done = answer.is_ok_and(|answer| {
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty)
    });
    if !done {
        destination.put_back(batch);
    }
}

/// Builds a record of `ingest`: its partition key and its bytes.
fn record(content: Content, delivery: u32, now_ms: i64) -> (String, Vec<u8>) {
    let message = |device: String, payload: String| {
        let message = Message {
            delivery_id: format!("delivery-{delivery}"),
            device_id: device,
            facility: "home-3".to_owned(),
            kind: "meter".to_owned(),
            client_id: None,
            received_at: now_ms,
            payload: payload.into_bytes(),
            message_id: None,
            sender: None,
        };
        (format!("delivery-{delivery}"), message.to_json().into_bytes())
    };
    match content {
        Content::Message { device, number } => {
            let mut payload = serde_json::json!({"seq": number, "ts": device_time_ms(device, number)});
            for metric in 0..METRICS {
                let bad = metric > 0 && is_out_of_range(number);
                payload[format!("v{metric}")] = serde_json::json!(if bad { -1.0 } else { value_of(number) });
            }
            message(device_id(device).to_owned(), payload.to_string())
        }
        Content::Stranger => message("stranger".to_owned(), "{}".to_owned()),
        Content::Undecodable { device } => message(device_id(device).to_owned(), "{".to_owned()),
        Content::Garbage => {
            (format!("key-{delivery}"), format!("garbage {delivery} at {}", now_ms - START_MS).into_bytes())
        }
        Content::Line => (format!("log:{delivery}"), format!("{{\"line\":{delivery}}}").into_bytes()),
    }
}
