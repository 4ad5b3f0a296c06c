//! A mapping as a whole: which shards are read, and the handle by which others see and steer it.

use super::checkpoint::Tracker;
use super::shard::ShardReader;
use super::{OnFailure, Progress, Settings, SettingsError, Status, lineage};
use crate::clock::Clock;
use crate::function::Invoker;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use myaku::platform::errors::chain;
use myaku::stream::source::Source;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// A mapping between a stream and a function. It does nothing until [`Mapping::run`] is awaited.
#[derive(Debug)]
pub struct Mapping<S, I, D, C>(Shared<S, I, D, C>);

/// What the futures of one mapping share.
#[derive(Debug)]
pub(super) struct Shared<S, I, D, C> {
    pub(super) settings: Settings,
    pub(super) source: S,
    pub(super) invoker: I,
    pub(super) destination: D,
    pub(super) clock: C,
    pub(super) core: Arc<Core>,
    random: Mutex<StdRng>,
}

/// What outlives the mapping's future: its progress, its numbers, and its switch.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    gate: watch::Sender<Gate>,
    /// Ticks at each change that someone may wait for.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) progress: Progress,
    pub(super) status: Status,
    pub(super) trackers: BTreeMap<String, Tracker>,
    /// All shards have been listed since one ended.
    listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Paused,
    Stopped,
}

/// The mapping is stopped: whoever gets this returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl<S: Source, I: Invoker, D: OnFailure, C: Clock> Mapping<S, I, D, C> {
    /// A mapping that begins at its starting position. The `seed` decides the jitter of waits and the ids of objects.
    pub fn new(
        settings: Settings,
        source: S,
        invoker: I,
        destination: D,
        clock: C,
        seed: u64,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let gate = watch::Sender::new(if settings.enabled { Gate::Open } else { Gate::Paused });
        let core = Arc::new(Core { state: Mutex::default(), gate, changes: watch::Sender::new(()) });
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Ok(Self(Shared { settings, source, invoker, destination, clock, core, random }))
    }

    /// The same mapping, beginning where another one was.
    #[must_use]
    pub fn resuming(self, progress: Progress) -> Self {
        self.0.core.state().progress = progress;
        self
    }

    /// A handle to this mapping.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.0.core))
    }

    /// Runs until it is stopped. Dropping the future ends it as a crash would: what was in flight is delivered again by
    /// a mapping that resumes from [`Handle::progress`].
    pub async fn run(self) {
        let shared = &self.0;
        let mut running = BTreeSet::new();
        let mut readers = FuturesUnordered::new();
        while shared.core.pass().await.is_ok() {
            let mut next_listing = shared.settings.list_interval;
            let shards = shared.source.shards().await;
            if let Err(error) = &shards {
                shared.warn("ListShards", error);
                next_listing = next_listing.min(shared.settings.backoff.cap);
            }
            if let Ok(shards) = shards {
                let ready: Vec<_> = {
                    let mut state = shared.core.state();
                    let first = state.progress.checkpoints.is_empty();
                    lineage::admit(&shards, &mut state.progress, shared.settings.starting_position, first);
                    state.listed = true;
                    lineage::ready(&shards, &state.progress).into_iter().map(|shard| shard.id.clone()).collect()
                };
                for id in ready {
                    if running.insert(id.clone()) {
                        readers.push(ShardReader::new(shared, id).run());
                    }
                }
                shared.core.changed();
            }
            tokio::select! {
                biased;
                // A shard that has ended may let its children start: they are listed at once.
                Some(ended) = readers.next(), if !readers.is_empty() => {
                    if let Ok(id) = ended {
                        tracing::debug!(shard = id, "shard is processed");
                    }
                }
                _ = shared.sleep(next_listing) => {}
            }
        }
        // Each reader sees the closed gate by itself, after the invocation that it may be in.
        while readers.next().await.is_some() {}
        shared.core.changed();
    }
}

impl<S, I, D, C: Clock> Shared<S, I, D, C> {
    /// Waits, unless the mapping is stopped meanwhile.
    pub(super) async fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.core.stopped() => Err(Stopped),
            () = self.clock.sleep(duration) => Ok(()),
        }
    }

    /// Waits before another try, after so many failures.
    pub(super) async fn back_off(&self, failures: u32) -> Result<(), Stopped> {
        let jitter = self.random().random_range(0.0..1.0);
        self.sleep(self.settings.backoff.wait(failures, jitter)).await
    }

    pub(super) fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random().random()).into_uuid()
    }

    pub(super) fn warn(&self, what: &str, error: &dyn std::error::Error) {
        tracing::warn!(function = self.settings.function_arn, error = chain(error), "{what}");
    }

    fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No critical section stops half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for a change.
    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Notes that a shard is closed and processed.
    pub(super) fn ended(&self, shard: &str) {
        let mut state = self.state();
        state.progress.checkpoints.insert(shard.to_owned(), super::Checkpoint::Ended);
        state.progress.windows.remove(shard);
        state.status.shards.entry(shard.to_owned()).or_default().ended = true;
        state.listed = false;
    }

    /// Waits while the mapping is disabled.
    pub(super) async fn pass(&self) -> Result<(), Stopped> {
        let mut gate = self.gate.subscribe();
        let gate = gate.wait_for(|gate| *gate != Gate::Paused).await.map_or(Gate::Stopped, |gate| *gate);
        if gate == Gate::Stopped { Err(Stopped) } else { Ok(()) }
    }

    pub(super) async fn stopped(&self) {
        let mut gate = self.gate.subscribe();
        // An error would mean that the sender is gone, and it is in `self`.
        let _ = gate.wait_for(|gate| *gate == Gate::Stopped).await;
    }

    fn status(&self) -> Status {
        let state = self.state();
        let mut status = state.status.clone();
        let pending = |id: &String| state.trackers.get(id).map_or(0, Tracker::len);
        for (id, shard) in &mut status.shards {
            shard.lag_records = pending(id);
        }
        status.lag_records = status.shards.values().map(|shard| shard.lag_records).sum();
        status.lag_ms =
            status.shards.values().filter(|shard| !shard.ended).map(|shard| shard.lag_ms).max().unwrap_or(0);
        // Each shard that is known and not ended must be read already: a child that waits for its parent is lag.
        let unread = state
            .progress
            .checkpoints
            .iter()
            .any(|(id, checkpoint)| *checkpoint != super::Checkpoint::Ended && !status.shards.contains_key(id));
        status.idle = state.listed && !unread && status.caught_up(i64::MIN);
        status
    }
}

/// Sees and steers a mapping. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Core>);

impl Handle {
    /// What the mapping is doing.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// The greatest iterator age since the last call of this, in milliseconds; none if the function was not invoked.
    pub fn take_iterator_age_ms(&self) -> Option<i64> {
        self.0.state().status.iterator_age_ms.take()
    }

    /// How far the mapping is, for another one to resume from.
    pub fn progress(&self) -> Progress {
        self.0.state().progress.clone()
    }

    /// Stops and resumes processing, as the mapping's `Enabled` does: "Lambda keeps track of the last record processed
    /// and resumes processing from that point when it's reenabled."
    pub fn set_enabled(&self, enabled: bool) {
        self.0.gate.send_if_modified(|gate| {
            let next = if enabled { Gate::Open } else { Gate::Paused };
            let changes = *gate != Gate::Stopped && *gate != next;
            if changes {
                *gate = next;
            }
            changes
        });
    }

    /// Ends the mapping for good: its future completes once the invocations in flight have.
    pub fn stop(&self) {
        self.0.gate.send_replace(Gate::Stopped);
    }

    /// Waits until everything that was in the stream at `since_ms` (milliseconds since the epoch, on the mapping's
    /// clock) is processed; false if the mapping was stopped before.
    pub async fn caught_up(&self, since_ms: i64) -> bool {
        let mut changes = self.0.changes.subscribe();
        loop {
            let status = self.status();
            if status.idle && status.caught_up(since_ms) {
                return true;
            }
            tokio::select! {
                biased;
                () = self.0.stopped() => return false,
                _ = changes.changed() => {}
            }
        }
    }
}
