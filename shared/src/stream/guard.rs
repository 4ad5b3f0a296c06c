//! Sets a record aside that ends the invocations which handle it, so that its shard goes on.
//!
//! A store that is down is an outage: the function answers where to retry from, and Lambda tries until the stream forgets.
//! A record that ends its invocation (out of memory or time, an abort, a panic) would be tried as long, and the records
//! after it in its shard would wait. Lambda counts both alike, so the function distinguishes them itself.
//!
//! Lambda halves a batch that fails, so the record that ends its invocations soon comes alone and late: it is a
//! [`Suspect`]. An invocation *notes* a suspect before it handles it, and *strikes it off* when it has an answer, whatever
//! the answer is. Notes that stay are those of invocations which did not end. After [`CRASHES_MAX`] of them in a row the
//! record goes to the dead letters unread. A batch that is not a suspect costs nothing.
//!
//! A note that cannot be written or struck off never fails a batch. What cannot be noted does not count. What cannot be struck
//! off is remembered by the process, so that an outage of the notes alone sets nothing aside.

pub mod notes;

use super::answer::Answer;
use super::batch::{Batch, SequenceNumber};
use crate::platform::clock::Now;
use crate::platform::deadline::{Deadline, MARGIN, out_of_time};
use crate::platform::errors::{RemoteError, chain};
use crate::platform::telemetry::{Metric, count};
use notes::Notes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long ago a suspect arrived, at least. In quiet times most batches have one record, but a fresh one. Only
/// a batching window as long as this makes suspects of those, one in each window at most.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(30);
/// How many invocations in a row a record may end before it is set aside.
pub const CRASHES_MAX: usize = 5;
/// How long a note is kept: longer than any stream keeps its record.
const NOTE_TTL: Duration = Duration::from_hours(24 * 366);
/// What is kept of a suspect's invocation for striking it off.
const RESERVE: Duration = Duration::from_secs(5);
/// How long one call to the notes may take.
const CALL_TIME: Duration = Duration::from_secs(3);

/// A record that comes alone and late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect<'a> {
    /// The function that handles it.
    pub function: &'a str,
    /// Its stream.
    pub stream: &'a str,
    /// Its shard.
    pub shard: &'a str,
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// When a note of it may be forgotten, in milliseconds since the epoch.
    pub expires_ms: i64,
}

impl<'a> Suspect<'a> {
    /// The suspect in `batch`, if it is one at `now_ms`, in milliseconds since the epoch.
    pub fn of(function: &'a str, batch: &'a Batch, now_ms: i64) -> Option<Self> {
        let [record] = batch.records.as_slice() else { return None };
        let late_ms = now_ms.saturating_sub(record.arrived_ms);
        (late_ms >= SUSPECT_AFTER.as_millis() as i64).then(|| Self {
            function,
            stream: &batch.stream,
            shard: &batch.shard,
            sequence: record.sequence,
            expires_ms: record.arrived_ms.saturating_add(NOTE_TTL.as_millis() as i64),
        })
    }
}

/// Where a record goes that is not to be handled.
pub trait SetAside: Send + Sync {
    /// Stores the only record of `batch`, unread, with a reason in words. After `Ok` it is durable.
    fn set_aside(&self, batch: &Batch, detail: String) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// An invocation of Lambda.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// Lambda's id of the request.
    pub id: &'a str,
    /// When Lambda ends it, in milliseconds since the epoch.
    pub deadline_ms: i64,
}

/// Guards a function that reads a stream.
#[derive(Clone, Debug)]
pub struct Guard<N, A, C> {
    /// The function's name.
    pub function: &'static str,
    /// The notes of suspects.
    pub notes: N,
    /// Where records are set aside.
    pub aside: A,
    /// The wall clock.
    pub clock: C,
    /// The suspects of which this process knows that their last invocation had an answer, although they are still noted: the
    /// shard and the sequence number of each.
    answered: Arc<Mutex<BTreeSet<(String, SequenceNumber)>>>,
}

impl<N, A, C> Guard<N, A, C> {
    /// Guards the function called `function`.
    pub fn new(function: &'static str, notes: N, aside: A, clock: C) -> Self {
        Self { function, notes, aside, clock, answered: Arc::default() }
    }
}

impl<N: Notes, A: SetAside, C: Now> Guard<N, A, C> {
    /// Handles `batch` with `handler`, which gets the time by which it must have answered, in milliseconds since the epoch;
    /// or sets its record aside, if that has ended too many invocations.
    pub async fn handle<F>(&self, batch: &Batch, invocation: Invocation<'_>, handler: impl FnOnce(i64) -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        let Some(suspect) = Suspect::of(self.function, batch, self.clock.now_ms()) else {
            return handler(invocation.deadline_ms).await;
        };
        let crashes = self.note(&suspect, invocation.id).await;
        let answer = if crashes < CRASHES_MAX {
            self.limited(batch, invocation.deadline_ms, handler).await
        } else {
            self.set_aside(batch, crashes).await
        };
        // The invocation that sets a record aside in vain leaves the notes, so that the next one tries that again.
        if crashes < CRASHES_MAX || answer == Answer::DONE {
            self.strike_off(&suspect).await;
        }
        answer
    }

    /// How many invocations the suspect has ended, as far as is known.
    async fn note(&self, suspect: &Suspect<'_>, invocation: &str) -> usize {
        match limit(self.notes.note(suspect, invocation)).await {
            // The notes may be those of invocations that were answered, and could not be struck off.
            Ok(_) if self.answered().contains(&known(suspect)) => 0,
            Ok(others) => others,
            Err(error) => {
                self.warn(
                    &error,
                    "cannot note that the record is handled; if it ends the invocation, that will not count",
                );
                0
            }
        }
    }

    async fn strike_off(&self, suspect: &Suspect<'_>) {
        match limit(self.notes.strike_off(suspect)).await {
            Ok(()) => drop(self.answered().remove(&known(suspect))),
            Err(error) => {
                self.answered().insert(known(suspect));
                self.warn(
                    &error,
                    "cannot strike off a record that was handled; the next invocation that handles it will",
                );
            }
        }
    }

    fn answered(&self) -> MutexGuard<'_, BTreeSet<(String, SequenceNumber)>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, error: &RemoteError, message: &str) {
        tracing::warn!(function = self.function, error = chain(error), "{message}");
    }

    /// Handles a suspect in less time, so that it is struck off although a store is slow. A handler that waits longer is
    /// dropped: that looks like a crash, which each handler survives.
    async fn limited<F>(&self, batch: &Batch, deadline_ms: i64, handler: impl FnOnce(i64) -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        let left = Duration::from_millis(deadline_ms.saturating_sub(self.clock.now_ms()).try_into().unwrap_or(0));
        let earlier_ms = deadline_ms - RESERVE.min(left / 4).as_millis() as i64;
        // The handler stops by itself the margin before.
        let limit = Deadline::at(earlier_ms.saturating_add(MARGIN.as_millis() as i64));
        let answer = limit.limit(&self.clock, handler(earlier_ms)).await;
        answer.unwrap_or_else(|| Answer::retry_from_record(batch, 0, &out_of_time("handle the record")))
    }

    async fn set_aside(&self, batch: &Batch, crashes: usize) -> Answer {
        let function = self.function;
        let detail = format!("{crashes} invocations of {function} in a row did not end when they handled it");
        match self.aside.set_aside(batch, detail).await {
            Ok(()) => {
                count(Metric::Crashed, 1);
                tracing::error!(
                    stream = batch.stream,
                    shard = batch.shard,
                    sequence = %batch.records[0].sequence,
                    crashes,
                    "a record that ends its invocations is set aside"
                );
                Answer::DONE
            }
            Err(error) => Answer::retry_from_record(batch, 0, &error),
        }
    }
}

fn known(suspect: &Suspect<'_>) -> (String, SequenceNumber) {
    (suspect.shard.to_owned(), suspect.sequence)
}

/// Waits for a call to the notes, but not long.
async fn limit<T>(call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
    tokio::time::timeout(CALL_TIME, call).await.unwrap_or_else(|_| Err(out_of_time("wait for the notes")))
}

#[cfg(test)]
mod tests;
