//! Lambda as the functions see it: reused environments, crashes, time-outs, zombies and lost answers.

use crate::faults::Site;
use crate::invariants::{Invariant, Violation};
use crate::plan::{Function, Plan};
use crate::ports::{Ports, Running};
use crate::world::World;
use archiver::handle as archive;
use bytes::Bytes;
use myaku::alert::MemoryReporter;
use myaku::device::presence::watch::memory::MemoryWatch;
use myaku::device::registry::{DEFAULT_TTL, Registry};
use myaku::keyed;
use myaku::lake::archive::{Archiver, Compression, CompressionError, Format};
use myaku::platform::clock::Now as _;
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;
use myaku::stream::producer::{Limits, Placement, Producer};
use myaku::window::MovingAverage;
use myaku_local::clock::TokioClock;
use myaku_local::function::InvokeError;
use myaku_local::function::Invoker;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use transform::handle as transform;

/// How long an invocation may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest size of an aggregate: small, so that a batch becomes several of them.
const AGGREGATE_BYTES_MAX: usize = 600;

/// An environment: what one process of a function keeps between invocations.
struct Environment {
    ports: Ports,
    context: Context,
}

/// The handlers' ports: the simulated platform.
struct Simulated;

impl transform::Ports for Simulated {
    type MasterData = Ports;
    type Stream = Ports;
    type Letters = Ports;
    // The promises about results do not include silent devices.
    type Watch = Option<MemoryWatch>;
    type Clock = TokioClock;
}

impl keyed::Ports for Simulated {
    type Rule = MovingAverage;
    type Settings = Registry<Ports, TokioClock>;
    type Shards = Ports;
    type Progress = Ports;
    type States = Ports;
    type Results = Ports;
    type Findings = Option<MemoryReporter>;
    type Letters = Ports;
    type Clock = TokioClock;
}

enum Context {
    Archiver(Archiver<Ports, Ports>),
    Transform(Box<transform::Context<Simulated>>),
    MovingAverage(Box<keyed::Context<Simulated>>),
}

impl Environment {
    fn new(Deployed { world, function, compression, limits, .. }: &Deployed, seed: u64) -> Self {
        let (function, compression) = (*function, *compression);
        let ports = Ports::new(world, function);
        let registry = || Registry::new(ports.clone(), world.clock, DEFAULT_TTL);
        let context = match function {
            Function::Archiver => Context::Archiver(Archiver::new(ports.clone(), ports.clone(), compression)),
            Function::Transform => Context::Transform(Box::new(transform::Context {
                registry: registry(),
                readings: Producer::seeded(
                    ports.clone(),
                    Placement::Slots,
                    Limits { aggregate_bytes_max: AGGREGATE_BYTES_MAX, ..Limits::default() },
                    seed,
                ),
                letters: ports.clone(),
                watch: None,
                clock: world.clock,
            })),
            Function::MovingAverage => Context::MovingAverage(Box::new(keyed::Context {
                settings: registry(),
                shards: keyed::Shards::new(ports.clone()),
                progress: ports.clone(),
                states: ports.clone(),
                results: ports.clone(),
                findings: None,
                letters: ports.clone(),
                clock: world.clock,
                limits: *limits,
            })),
        };
        Self { ports, context }
    }

    async fn handle(&self, batch: &Batch, deadline_ms: i64) -> Answer {
        match &self.context {
            Context::Archiver(context) => archive(context, batch).await,
            Context::Transform(context) => transform(context, batch, deadline_ms).await,
            Context::MovingAverage(context) => keyed::handle(context, batch, deadline_ms).await,
        }
    }
}

/// A deployed function. Clones share its environments.
#[derive(Clone)]
pub(crate) struct Deployed {
    world: Arc<World>,
    pub(crate) function: Function,
    compression: Compression,
    limits: keyed::Limits,
    seed: u64,
    idle: Arc<Mutex<Vec<Arc<Environment>>>>,
}

impl Deployed {
    pub(crate) fn new(world: &Arc<World>, plan: &Plan, function: Function) -> Result<Self, CompressionError> {
        let format = if plan.gzip { Format::Gzip } else { Format::Zstd };
        let compression = Compression::new(format, Some(1))?;
        let limits = keyed::Limits {
            results_interval: plan.results_interval,
            history_ttl: Duration::from_hours(24),
            group: plan.group,
        };
        Ok(Self { world: Arc::clone(world), function, compression, limits, seed: plan.seed, idle: Arc::default() })
    }

    fn environment(&self, number: u32, cold: bool) -> Arc<Environment> {
        let idle = if cold { None } else { self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() };
        let seed = self.seed ^ u64::from(number);
        idle.unwrap_or_else(|| Arc::new(Environment::new(self, seed)))
    }
}

impl Invoker for Deployed {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let world = &self.world;
        let number = world.next_invocation();
        let fate = world.faults.of_invocation(Site::Invocation(self.function, number));
        let batch = Batch::from_event(event.clone()).map_err(|error| InvokeError::FunctionError {
            error_type: "Event".to_owned(),
            message: error.to_string(),
        })?;
        let batch = Arc::new(batch);
        world.note(format_args!("{:?} {number}: {} {} {fate:?}", self.function, batch.shard, stretch(&batch)));
        if fate.throttled {
            return Err(InvokeError::Throttled);
        }
        let environment = self.environment(number, fate.cold);
        environment.ports.begin(number, &batch);
        let deadline_ms = world.clock.now_ms() + TIMEOUT.as_millis() as i64;
        let (answer, mut answered) = oneshot::channel();
        let (running, served) = (Running::new(world), Arc::clone(&environment));
        let function = self.function;
        let task = world.simulation.spawn(async move {
            let handled = served.handle(&batch, deadline_ms).await;
            acknowledged(&running, function, number, &batch, handled);
            // The mapping may have given up waiting.
            let _ = answer.send(handled);
        });
        environment.ports.runs_in(task);
        tokio::select! {
            biased;
            response = &mut answered => {
                // A crashed environment drops the sender.
                let response = response.map_err(|_| InvokeError::Crashed("a fault of the seed".to_owned()))?;
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(environment);
                if fate.answer_lost {
                    return Err(InvokeError::Crashed("the answer is lost".to_owned()));
                }
                let failed = |error: serde_json::Error| InvokeError::Crashed(error.to_string());
                Ok(Bytes::from(serde_json::to_vec(&response).map_err(failed)?))
            }
            () = tokio::time::sleep(TIMEOUT) => {
                world.note(format_args!("{:?} {number}: timed out", self.function));
                environment.ports.becomes_zombie();
                if !fate.zombie {
                    world.simulation.abort(task);
                }
                Err(InvokeError::TimedOut)
            }
        }
    }
}

/// Checks that everything which an invocation acknowledges is durable.
fn acknowledged(running: &Running, function: Function, number: u32, batch: &Batch, answer: Answer) {
    let world = running.world();
    let failed = answer.retry_from().map(|named| batch.records.iter().position(|record| record.sequence == named));
    world.note(format_args!("{function:?} {number}: answers {failed:?} of {}", batch.records.len()));
    let records = match failed {
        None => batch.records.len(),
        Some(Some(records)) => records,
        Some(None) => {
            let what = format!("the answer names a record that is not in the batch: {answer:?}");
            return world.check(Err(Violation::new(Invariant::DurableBeforeAcknowledged, what)));
        }
    };
    let mut models = world.models();
    let checked = match function {
        Function::Archiver => models.lake.acknowledged(batch, records),
        Function::Transform => models.readings.transformed(batch, records),
        Function::MovingAverage if failed.is_none() => {
            models.readings.acknowledged(batch).and_then(|()| models.averages.acknowledged(batch))
        }
        Function::MovingAverage => Ok(()),
    };
    drop(models);
    world.check(checked);
    if function == Function::MovingAverage && failed.is_none() {
        world.check_kept(|models, device, kept, lost_until| models.averages.kept(device, kept, lost_until));
    }
}

/// The first and the last sequence number of a batch, as text.
fn stretch(batch: &Batch) -> String {
    let ends = batch.records.first().zip(batch.records.last());
    ends.map_or_else(String::new, |(first, last)| format!("{}..={}", first.sequence, last.sequence))
}
