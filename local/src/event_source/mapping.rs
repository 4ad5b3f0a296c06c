//! A whole mapping: which shards it reads, and the handle by which others observe and control it.

use super::checkpoint::Progress;
use super::context::{Context, Control};
use super::destination::OnFailure;
use super::lineage;
use super::settings::{Settings, SettingsError};
use super::shard::ShardReader;
use super::status::Status;
use crate::clock::Clock;
use crate::function::Invoker;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use myaku::stream::source::Source;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A mapping between a stream and a function. It does nothing until [`Mapping::run`] is awaited.
#[derive(Debug)]
pub struct Mapping<S, I, D, C>(Context<S, I, D, C>);

impl<S: Source, I: Invoker, D: OnFailure, C: Clock> Mapping<S, I, D, C> {
    /// A mapping that begins at its starting position. The `seed` determines the jitter of waits and the ids of
    /// objects.
    pub fn new(
        settings: Settings,
        source: S,
        invoker: I,
        destination: D,
        clock: C,
        seed: u64,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self(Context::new(settings, source, invoker, destination, clock, seed)))
    }

    /// The same mapping, but it begins where another mapping stopped.
    #[must_use]
    pub fn resuming(self, progress: Progress) -> Self {
        self.0.control.state().progress = progress;
        self
    }

    /// A handle to this mapping.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.0.control))
    }

    /// Runs until it is stopped. Dropping the future ends it as a crash would: a mapping that resumes from
    /// [`Handle::progress`] delivers again what was in flight.
    pub async fn run(self) {
        let context = &self.0;
        let mut running = BTreeSet::new();
        let mut readers = FuturesUnordered::new();
        while context.control.until_enabled().await.is_ok() {
            let mut next_listing = context.settings.list_interval;
            let shards = context.source.shards().await;
            if let Err(error) = &shards {
                context.warn("ListShards", error);
                next_listing = next_listing.min(context.settings.backoff.cap);
            }
            if let Ok(shards) = shards {
                let ready: Vec<_> = {
                    let mut state = context.control.state();
                    let first = state.progress.checkpoints.is_empty();
                    lineage::add_new_shards(&shards, &mut state.progress, context.settings.starting_position, first);
                    state.listed = true;
                    lineage::ready(&shards, &state.progress).into_iter().map(|shard| shard.id.clone()).collect()
                };
                for id in ready {
                    if running.insert(id.clone()) {
                        readers.push(ShardReader::new(context, id).run());
                    }
                }
                context.control.notify();
            }
            tokio::select! {
                biased;
                // The children of a shard that has ended may start: list the shards at once.
                Some(ended) = readers.next(), if !readers.is_empty() => {
                    if let Ok(id) = ended {
                        tracing::debug!(shard = id, "shard is processed");
                    }
                }
                _ = context.sleep(next_listing) => {}
            }
        }
        // Each reader returns when it sees that the mapping is stopped, after the invocation that is under way.
        while readers.next().await.is_some() {}
        context.control.notify();
    }
}

/// Observes and controls a mapping. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Control>);

impl Handle {
    /// What the mapping is doing.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// The greatest iterator age since the last call of this method, in milliseconds; `None` if the function was not
    /// invoked.
    pub fn take_iterator_age_ms(&self) -> Option<i64> {
        self.0.state().status.iterator_age_ms.take()
    }

    /// How far the mapping has processed the stream, for another mapping to resume from.
    pub fn progress(&self) -> Progress {
        self.0.state().progress.clone()
    }

    /// Stops and resumes processing, as the mapping's `Enabled` does: "Lambda keeps track of the last record processed
    /// and resumes processing from that point when it's reenabled."
    pub fn set_enabled(&self, enabled: bool) {
        self.0.set_enabled(enabled);
    }

    /// Ends the mapping for good. Its future completes after the invocations in flight.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Waits until everything that was in the stream at `since_ms` (milliseconds since the epoch, on the mapping's
    /// clock) is processed. Returns false if the mapping is stopped first.
    pub async fn caught_up(&self, since_ms: i64) -> bool {
        let mut changes = self.0.changes();
        loop {
            let status = self.status();
            if status.idle && status.caught_up(since_ms) {
                return true;
            }
            tokio::select! {
                biased;
                () = self.0.until_stopped() => return false,
                _ = changes.changed() => {}
            }
        }
    }
}
