//! Invokes functions asynchronously, as Lambda does: it queues an event, answers at once, and tries the event until it
//! succeeds or is discarded. A discarded event goes to the on-failure destination.
//!
//! An error of the function is retried twice, after one and two minutes. A refusal (the function is at its concurrency
//! limit) is not an error of the function: it does not count as a retry, and the event is tried again until it reaches
//! its maximum age.

mod destination;
mod event;
mod record;
mod settings;
#[cfg(test)]
mod tests;

pub use destination::{FailureDestination, OnFailure};
pub(super) use event::Event;
pub use record::FailedInvocation;
pub use settings::{Settings, SettingsError};

use super::invoke::{InvokeError, Invoker};
use crate::clock::{Clock, TokioClock};
use myaku::platform::errors::chain;
use record::Condition;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

/// The largest payload, in bytes. Lambda's quota is 1 MB for asynchronous invocations.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// "a one-minute wait between the first two attempts, and two minutes between the second and third attempts"
const RETRY_WAIT: Duration = Duration::from_mins(1);
/// "The retry interval increases exponentially from 1 second after the first attempt to a maximum of 5 minutes."
const REFUSED_WAIT: Duration = Duration::from_secs(1);
const REFUSED_WAIT_MAX: Duration = Duration::from_mins(5);

/// How a function handles asynchronous invocations.
#[derive(Clone, Debug)]
pub struct Asynchronous {
    /// How often and how long an event is tried.
    pub settings: Settings,
    /// Where discarded events go. Without a destination, only a line in the log reports them.
    pub destination: Option<FailureDestination>,
    /// The clock for waits and ages. At a faster rate, retries come sooner.
    pub clock: TokioClock,
}

impl Default for Asynchronous {
    fn default() -> Self {
        Self { settings: Settings::default(), destination: None, clock: TokioClock::start() }
    }
}

/// Why an event was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It is larger than [`PAYLOAD_BYTES_MAX`].
    #[error("the event of {bytes} bytes exceeds the limit of {PAYLOAD_BYTES_MAX} bytes for asynchronous invocations")]
    PayloadTooLarge {
        /// The event's size.
        bytes: usize,
    },
    /// The function was stopped.
    #[error("the function is stopped")]
    Stopped,
}

/// The queue of one function. Each event is a task of its own.
#[derive(Debug)]
pub(super) struct Queue {
    config: Asynchronous,
    /// Limits the attempts at one time to the function's concurrency: further events wait instead of being refused.
    permits: Semaphore,
    pending: watch::Sender<usize>,
    stopped: watch::Sender<bool>,
}

/// Counts one event as pending until it is dropped.
struct PendingGuard(Arc<Queue>);

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.0.pending.send_modify(|pending| *pending -= 1);
    }
}

impl Queue {
    pub(super) fn new(concurrency: usize, config: Asynchronous) -> Arc<Self> {
        let permits = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { config, permits, pending: watch::Sender::new(0), stopped: watch::Sender::new(false) })
    }

    /// Queues an event, and invokes the function in the background.
    pub(super) fn push<I: Invoker + 'static>(self: &Arc<Self>, event: Event, invoker: I) -> Result<Uuid, QueueError> {
        let bytes = event.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(QueueError::PayloadTooLarge { bytes });
        }
        if *self.stopped.borrow() {
            return Err(QueueError::Stopped);
        }
        let id = event.id;
        self.pending.send_modify(|pending| *pending += 1);
        let guard = PendingGuard(Arc::clone(self));
        tokio::spawn(async move {
            let queue = &guard.0;
            let Asynchronous { settings, destination, clock } = &queue.config;
            let mut stopped = queue.stopped.subscribe();
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => {
                    let function = event.function_name();
                    tracing::warn!(function, "an asynchronous invocation was pending when the function was stopped");
                }
                () = deliver(&event, *settings, &queue.permits, &invoker, destination, clock, Uuid::new_v4) => {}
            }
        });
        Ok(id)
    }

    /// Events that have neither succeeded nor been discarded.
    pub(super) fn pending(&self) -> usize {
        *self.pending.borrow()
    }

    /// Waits until no event is pending.
    pub(super) async fn until_empty(&self) {
        // Cannot fail: `self` owns the sender.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Refuses further events, and drops those that are pending.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

/// What to do with an event after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextStep {
    Wait(Duration),
    Discard(Condition),
    /// The function is stopped.
    Stop,
}

/// The failed attempts of an event.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// Those that ended in an error of the function.
    failed: u32,
    /// Those that the function refused.
    refused: u32,
}

impl Attempts {
    fn add(&mut self, error: &InvokeError, settings: Settings) -> NextStep {
        match error {
            InvokeError::Stopped => NextStep::Stop,
            InvokeError::Throttled => {
                let wait = REFUSED_WAIT.saturating_mul(2_u32.saturating_pow(self.refused)).min(REFUSED_WAIT_MAX);
                self.refused += 1;
                NextStep::Wait(wait)
            }
            _ => {
                self.failed += 1;
                if self.failed > settings.retries_max {
                    return NextStep::Discard(Condition::RetriesExhausted);
                }
                NextStep::Wait(RETRY_WAIT * self.failed)
            }
        }
    }
}

/// Tries an event until it succeeds, is discarded, or the function is stopped.
async fn deliver<I: Invoker, D: OnFailure, C: Clock>(
    event: &Event,
    settings: Settings,
    permits: &Semaphore,
    invoker: &I,
    destination: &D,
    clock: &C,
    mut new_id: impl FnMut() -> Uuid,
) {
    let accepted_ms = clock.now_ms();
    let mut attempts = Attempts::default();
    let mut last_error = None;
    let condition = loop {
        let permit = permits.acquire().await;
        let age = Duration::from_millis(clock.now_ms().saturating_sub(accepted_ms).max(0) as u64);
        if age >= settings.event_age_max {
            break Condition::EventAgeExceeded;
        }
        let answer = invoker.invoke(event.payload.clone()).await;
        drop(permit);
        let Err(error) = answer else { return };
        let next = attempts.add(&error, settings);
        last_error = Some(error);
        match next {
            // The wait ends at the event's maximum age, where the loop discards it.
            NextStep::Wait(wait) => clock.sleep(wait.min(settings.event_age_max.saturating_sub(age))).await,
            NextStep::Discard(condition) => break condition,
            NextStep::Stop => return,
        }
    };
    let failed =
        FailedInvocation::new(event, condition, attempts.failed, last_error.as_ref(), clock.now_ms(), new_id());
    tracing::error!(function = failed.function_name, ?condition, "an asynchronous invocation was discarded");
    if let Err(error) = destination.send(&failed).await {
        // As in Lambda, which counts a DestinationDeliveryFailure, the event is lost.
        tracing::error!(function = failed.function_name, error = chain(&error), "the on-failure destination failed");
    }
}
