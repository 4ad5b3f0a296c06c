//! Asynchronous invocation, as Lambda does it: an event is queued and answered at once, then tried until it succeeds or is
//! given up, and what was given up goes to the on-failure destination.
//!
//! A function's error is tried twice more, after one and two minutes. A refusal (the function is at its concurrency
//! limit) is not the function's doing: it costs no retry, and is tried again for as long as the event may wait.

mod destination;
mod record;
#[cfg(test)]
mod tests;

pub use destination::{FailureDestination, OnFailure};
pub use record::FailedInvocation;

use super::{Function, InvokeError};
use crate::clock::{Clock, TokioClock};
use crate::function::Invoker;
use bytes::Bytes;
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

/// A function's `EventInvokeConfig`. The default is Lambda's: two retries within six hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MaximumRetryAttempts`, 0 to 2: tries after the first one that ended in an error of the function.
    pub retries_max: u32,
    /// `MaximumEventAgeInSeconds`, 60 to 21,600: how long an event waits to be processed.
    pub event_age_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retries_max: 2, event_age_max: Duration::from_hours(6) }
    }
}

/// A setting that Lambda would refuse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("EventInvokeConfig: {name} is {value}: it must be from {least} to {most}")]
pub struct SettingsError {
    name: &'static str,
    value: i64,
    least: i64,
    most: i64,
}

impl Settings {
    /// The settings of a template, none where it says nothing; checked against Lambda's bounds.
    pub fn new(retries_max: Option<i64>, event_age_seconds_max: Option<i64>) -> Result<Self, SettingsError> {
        let within = |name, value: Option<i64>, least, most, default| match value {
            Some(value) if !(least..=most).contains(&value) => Err(SettingsError { name, value, least, most }),
            value => Ok(value.unwrap_or(default)),
        };
        let retries = within("MaximumRetryAttempts", retries_max, 0, 2, 2)?;
        let seconds = within("MaximumEventAgeInSeconds", event_age_seconds_max, 60, 21_600, 21_600)?;
        Ok(Self { retries_max: retries as u32, event_age_max: Duration::from_secs(seconds as u64) })
    }
}

/// How a function takes asynchronous invocations.
#[derive(Clone, Debug)]
pub struct Asynchronous {
    /// How often and how long an event is tried.
    pub settings: Settings,
    /// Where events go that were given up; without one they are gone but for a line in the log.
    pub destination: Option<FailureDestination>,
    /// The clock for waits and ages: at a faster rate, retries come sooner.
    pub clock: TokioClock,
}

impl Default for Asynchronous {
    fn default() -> Self {
        Self { settings: Settings::default(), destination: None, clock: TokioClock::start() }
    }
}

/// An event that Lambda does not queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is larger than [`PAYLOAD_BYTES_MAX`].
    #[error("the event of {bytes} bytes is over the limit of {PAYLOAD_BYTES_MAX} for asynchronous invocations")]
    PayloadTooLarge {
        /// The event's size.
        bytes: usize,
    },
    /// The function was stopped.
    #[error("the function is stopped")]
    Stopped,
}

/// An event in the queue.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: Uuid,
    /// The function's ARN, as records name it.
    pub(super) function_arn: Arc<str>,
    pub(super) payload: Bytes,
}

/// The queue of one function: events on their way, each a task of its own.
#[derive(Debug)]
pub(super) struct Queue {
    /// As many attempts at a time as the function has concurrency: the others wait, and are not refused.
    turns: Semaphore,
    pending: watch::Sender<usize>,
    stopped: watch::Sender<bool>,
}

/// Counts one event for as long as it is on its way.
struct Pending(Arc<Queue>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.send_modify(|pending| *pending -= 1);
    }
}

impl Queue {
    pub(super) fn new(concurrency: usize) -> Arc<Self> {
        let turns = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { turns, pending: watch::Sender::new(0), stopped: watch::Sender::new(false) })
    }

    /// Takes an event, and tries it in the background.
    pub(super) fn take(self: &Arc<Self>, event: Event, function: Function) -> Result<Uuid, Refused> {
        let bytes = event.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(Refused::PayloadTooLarge { bytes });
        }
        if *self.stopped.borrow() {
            return Err(Refused::Stopped);
        }
        let id = event.id;
        self.pending.send_modify(|pending| *pending += 1);
        let pending = Pending(Arc::clone(self));
        tokio::spawn(async move {
            let queue = &pending.0;
            let Asynchronous { settings, destination, clock } = &function.spec().asynchronous;
            let mut stopped = queue.stopped.subscribe();
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => {
                    tracing::warn!(function = function.name(), "an asynchronous invocation was not done at the stop");
                }
                () = deliver(&event, *settings, &queue.turns, &function, destination, clock, Uuid::new_v4) => {}
            }
        });
        Ok(id)
    }

    /// Events that are not done yet.
    pub(super) fn pending(&self) -> usize {
        *self.pending.borrow()
    }

    /// Waits until no event is on its way.
    pub(super) async fn done(&self) {
        // The sender is in `self`: there is no error.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Takes no more events, and gives up those that wait.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

/// What is done about an event after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait(Duration),
    GiveUp(Condition),
    /// The function is no more.
    Stop,
}

/// What an event went through.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// Those that ended in an error of the function.
    failed: u32,
    /// Those that the function did not take.
    refused: u32,
}

impl Attempts {
    fn next(&mut self, error: &InvokeError, settings: Settings) -> Next {
        match error {
            InvokeError::Stopped => Next::Stop,
            InvokeError::Throttled => {
                let wait = REFUSED_WAIT.saturating_mul(2_u32.saturating_pow(self.refused)).min(REFUSED_WAIT_MAX);
                self.refused += 1;
                Next::Wait(wait)
            }
            _ => {
                self.failed += 1;
                if self.failed > settings.retries_max {
                    return Next::GiveUp(Condition::RetriesExhausted);
                }
                Next::Wait(RETRY_WAIT * self.failed)
            }
        }
    }
}

/// Tries an event until it is done, given up, or the function is no more.
async fn deliver<I: Invoker, D: OnFailure, C: Clock>(
    event: &Event,
    settings: Settings,
    turns: &Semaphore,
    invoker: &I,
    destination: &D,
    clock: &C,
    mut new_id: impl FnMut() -> Uuid,
) {
    let accepted_ms = clock.now_ms();
    let mut attempts = Attempts::default();
    let mut last_error = None;
    let condition = loop {
        let turn = turns.acquire().await;
        let age = Duration::from_millis(clock.now_ms().saturating_sub(accepted_ms).max(0) as u64);
        if age >= settings.event_age_max {
            break Condition::EventAgeExceeded;
        }
        let answer = invoker.invoke(event.payload.clone()).await;
        drop(turn);
        let Err(error) = answer else { return };
        let next = attempts.next(&error, settings);
        last_error = Some(error);
        match next {
            // What would wait longer than it may is given up when its time is over.
            Next::Wait(wait) => clock.sleep(wait.min(settings.event_age_max.saturating_sub(age))).await,
            Next::GiveUp(condition) => break condition,
            Next::Stop => return,
        }
    };
    let failed =
        FailedInvocation::new(event, condition, attempts.failed, last_error.as_ref(), clock.now_ms(), new_id());
    tracing::error!(function = failed.function_name, condition = ?condition, "an asynchronous invocation was given up");
    if let Err(error) = destination.send(&failed).await {
        // As Lambda: it counts a DestinationDeliveryFailure, and the event is gone.
        tracing::error!(function = failed.function_name, error = chain(&error), "its record could not be kept");
    }
}
