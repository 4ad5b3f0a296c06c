//! What all parts of one mapping share: its settings and ports, its progress, and its switch.

use super::checkpoint::{Checkpoint, Progress, Tracker};
use super::settings::Settings;
use super::status::Status;
use crate::clock::Clock;
use myaku::platform::errors::chain;
use myaku::stream::batch::SequenceNumber;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// The settings and ports of a mapping. Its readers and lanes borrow this.
#[derive(Debug)]
pub(super) struct Context<S, I, D, C> {
    pub(super) settings: Settings,
    pub(super) source: S,
    pub(super) invoker: I,
    pub(super) destination: D,
    pub(super) clock: C,
    pub(super) control: Arc<Control>,
    random: Mutex<StdRng>,
}

/// What outlives the mapping's future: progress, status and the switch.
#[derive(Debug)]
pub(super) struct Control {
    state: Mutex<State>,
    switch: watch::Sender<Switch>,
    /// Fires at each change that a task may wait for.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) progress: Progress,
    pub(super) status: Status,
    pub(super) trackers: BTreeMap<String, Tracker>,
    /// All shards have been listed since a shard last ended.
    pub(super) listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Enabled,
    Disabled,
    Stopped,
}

/// The mapping is stopped: a function that gets this returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl<S, I, D, C: Clock> Context<S, I, D, C> {
    pub(super) fn new(settings: Settings, source: S, invoker: I, destination: D, clock: C, seed: u64) -> Self {
        let control = Arc::new(Control::new(settings.enabled));
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Self { settings, source, invoker, destination, clock, control, random }
    }

    /// Waits for `duration`, or returns [`Stopped`] as soon as the mapping is stopped.
    pub(super) async fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.control.until_stopped() => Err(Stopped),
            () = self.clock.sleep(duration) => Ok(()),
        }
    }

    /// Waits before the next attempt, after this many failures in a row.
    pub(super) async fn back_off(&self, failures: u32) -> Result<(), Stopped> {
        let jitter = self.random().random_range(0.0..1.0);
        self.sleep(self.settings.backoff.wait(failures, jitter)).await
    }

    pub(super) fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random().random()).into_uuid()
    }

    pub(super) fn warn(&self, operation: &str, error: &dyn std::error::Error) {
        tracing::warn!(function = self.settings.function_arn, error = chain(error), "{operation}");
    }

    fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    fn new(enabled: bool) -> Self {
        let switch = watch::Sender::new(if enabled { Switch::Enabled } else { Switch::Disabled });
        Self { state: Mutex::default(), switch, changes: watch::Sender::new(()) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half changed: no critical section panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the tasks that wait for a change.
    pub(super) fn notify(&self) {
        self.changes.send_replace(());
    }

    /// Receives each [`Control::notify`] from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Marks records as done, and moves the checkpoint past the last record before which all are done.
    pub(super) fn mark_done(&self, shard: &str, sequences: impl IntoIterator<Item = SequenceNumber>) {
        {
            let mut state = self.state();
            let moved = state.trackers.get_mut(shard).and_then(|tracker| tracker.mark_done(sequences));
            if let Some(last) = moved {
                state.progress.checkpoints.insert(shard.to_owned(), Checkpoint::After(last));
            }
        }
        self.notify();
    }

    /// Marks a shard as closed and processed.
    pub(super) fn mark_ended(&self, shard: &str) {
        {
            let mut state = self.state();
            state.progress.checkpoints.insert(shard.to_owned(), Checkpoint::Ended);
            state.progress.windows.remove(shard);
            state.status.shards.entry(shard.to_owned()).or_default().ended = true;
            state.listed = false;
        }
        self.notify();
    }

    /// Waits while the mapping is disabled.
    pub(super) async fn until_enabled(&self) -> Result<(), Stopped> {
        let mut switch = self.switch.subscribe();
        let switch = switch.wait_for(|switch| *switch != Switch::Disabled).await;
        if switch.is_ok_and(|switch| *switch == Switch::Enabled) { Ok(()) } else { Err(Stopped) }
    }

    pub(super) async fn until_stopped(&self) {
        let mut switch = self.switch.subscribe();
        // Cannot fail: `self` owns the sender.
        let _ = switch.wait_for(|switch| *switch == Switch::Stopped).await;
    }

    pub(super) fn set_enabled(&self, enabled: bool) {
        self.switch.send_if_modified(|switch| {
            let next = if enabled { Switch::Enabled } else { Switch::Disabled };
            let changes = *switch != Switch::Stopped && *switch != next;
            if changes {
                *switch = next;
            }
            changes
        });
    }

    pub(super) fn stop(&self) {
        self.switch.send_replace(Switch::Stopped);
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        let mut status = state.status.clone();
        for (id, shard) in &mut status.shards {
            shard.lag_records = state.trackers.get(id).map_or(0, Tracker::len);
        }
        status.lag_records = status.shards.values().map(|shard| shard.lag_records).sum();
        status.lag_ms =
            status.shards.values().filter(|shard| !shard.ended).map(|shard| shard.lag_ms).max().unwrap_or(0);
        // A known shard that is neither read nor ended, such as a child that waits for its parent, is lag too.
        let unread = state
            .progress
            .checkpoints
            .iter()
            .any(|(id, checkpoint)| *checkpoint != Checkpoint::Ended && !status.shards.contains_key(id));
        status.idle = state.listed && !unread && status.caught_up(i64::MIN);
        status
    }
}
