//! The event source mappings of a run, and the faults around them.

use crate::faults::Site;
use crate::function::Deployed;
use crate::plan::{Function, Plan, Stream};
use crate::world::World;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::stream::source::memory::MemoryStream;
use myaku::stream::source::{Read, ReadFrom, Shard, Source};
use myaku_local::event_source::{
    Backoff, Discarded, Handle, Mapping, OnFailure, Progress, Settings, StartingPosition, TaskId,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A stream as a mapping reads it: a few records at a time, and sometimes with a failure.
struct Reads {
    world: Arc<World>,
    stream: MemoryStream,
    mapping: u32,
    count: AtomicU32,
}

impl Reads {
    fn site(&self) -> Site {
        Site::Read(self.mapping, self.count.fetch_add(1, Ordering::Relaxed))
    }

    fn fails<T>(&self, site: Site, name: &str) -> Result<Option<T>, RemoteError> {
        if self.world.faults.fails(site) {
            self.world.note(format_args!("mapping {}: {name} fails", self.mapping));
            return Err(RemoteError::new(name, Remedy::Retry, "a fault of the seed"));
        }
        Ok(None)
    }
}

impl Source for Reads {
    type Cursor = <MemoryStream as Source>::Cursor;

    async fn shards(&self) -> Result<Vec<Shard>, RemoteError> {
        self.fails::<()>(self.site(), "ListShards")?;
        self.stream.shards().await
    }

    async fn open(&self, shard: &str, from: ReadFrom) -> Result<Self::Cursor, RemoteError> {
        self.fails::<()>(self.site(), "GetShardIterator")?;
        self.stream.open(shard, from).await
    }

    async fn read(&self, cursor: &mut Self::Cursor, limit: usize) -> Result<Read, RemoteError> {
        let site = self.site();
        self.fails::<()>(site, "GetRecords")?;
        self.stream.read(cursor, limit.min(self.world.faults.read_limit(site))).await
    }
}

/// The on-failure destination of all mappings: the discarded batches, with their functions.
#[derive(Clone)]
pub(crate) struct Destination {
    world: Arc<World>,
    puts: Arc<AtomicU32>,
    batches: Arc<Mutex<Vec<(Function, Discarded)>>>,
}

impl Destination {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), puts: Arc::default(), batches: Arc::default() }
    }

    /// Removes and returns the first batch.
    pub(crate) fn take(&self) -> Option<(Function, Discarded)> {
        let mut batches = self.batches();
        (!batches.is_empty()).then(|| batches.remove(0))
    }

    pub(crate) fn put_back(&self, batch: (Function, Discarded)) {
        self.batches().push(batch);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches().is_empty()
    }

    fn batches(&self) -> MutexGuard<'_, Vec<(Function, Discarded)>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One mapping's sender to the destination.
struct Discards(Destination, Function);

impl OnFailure for Discards {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        let Self(destination, function) = self;
        let world = &destination.world;
        // Lambda drops a batch that its destination does not accept. That is a real loss, which this simulation does
        // not cover.
        let put = destination.puts.fetch_add(1, Ordering::Relaxed);
        let fails = put % 2 == 0 && world.faults.fails(Site::Destination(put));
        world.note(format_args!("{function:?}: {} records are discarded, {}", discarded.records, !fails));
        if fails {
            return Err(RemoteError::new("PutObject", Remedy::Retry, "a fault of the seed"));
        }
        if *function == Function::MovingAverage {
            world.models().averages.discarded(discarded);
        }
        destination.batches().push((*function, discarded.clone()));
        Ok(())
    }
}

/// A running mapping.
pub(crate) struct Running {
    pub(crate) function: Function,
    pub(crate) handle: Handle,
    pub(crate) task: TaskId,
    starting: StartingPosition,
}

impl Running {
    /// Starts a mapping of `deployed`, at `progress` if it replaces another one.
    pub(crate) fn start(
        world: &Arc<World>,
        plan: &Plan,
        deployed: &Deployed,
        destination: &Destination,
        number: u32,
        (starting, progress): (StartingPosition, Option<Progress>),
    ) -> anyhow::Result<Self> {
        let function = deployed.function;
        let stream = if function == Function::MovingAverage { Stream::Readings } else { Stream::Ingest };
        let arn = format!("arn:aws:kinesis:eu-west-1:000000000000:stream/{}", stream.name());
        let of = plan.mappings[function as usize];
        let settings = Settings {
            batch_size: of.batch_size,
            window: Duration::from_secs(of.window_s),
            bisect: of.bisect,
            max_retries: of.max_retries,
            report_batch_item_failures: true,
            poll_interval: Duration::from_secs(5),
            list_interval: Duration::from_secs(30),
            backoff: Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) },
            ..Settings::new(&format!("mapping-{number}"), &arn, &format!("{function:?}"), starting)
        };
        let reads = Reads {
            world: Arc::clone(world),
            stream: world.stream(stream).clone(),
            mapping: number,
            count: AtomicU32::new(0),
        };
        let discards = Discards(destination.clone(), function);
        let seed = plan.seed ^ u64::from(number);
        let mapping = Mapping::new(settings, reads, deployed.clone(), discards, world.clock, seed)?;
        let mapping = match progress {
            Some(progress) => mapping.resuming(progress),
            None => mapping,
        };
        let handle = mapping.handle();
        let task = world.simulation.spawn(mapping.run());
        Ok(Self { function, handle, task, starting })
    }

    /// The position where it was configured to start.
    pub(crate) const fn starting(&self) -> StartingPosition {
        self.starting
    }
}
