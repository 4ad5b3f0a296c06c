//! A batch on its way: invoking, retrying, cutting, giving up. It ends when each of its records is processed or kept
//! by the destination.

use super::OnFailure;
use super::checkpoint::Checkpoint;
use super::destination::{Condition, Discarded, History};
use super::event::EventWriter;
use super::mapping::{Core, Shared, Stopped};
use super::response::{self, Verdict};
use super::window::Tumbling;
use crate::clock::Clock;
use crate::function::Invoker;
use crate::function::{InvokeError, REQUEST_BYTES_MAX};
use bytes::Bytes;
use myaku::stream::batch::{SequenceNumber, StreamRecord};
use myaku::stream::source::Source;

/// How often a destination is tried. Lambda drops what a destination doesn't take, and counts it.
const DESTINATION_TRIES: u32 = 5;

/// Delivers the batches of one lane.
#[derive(Debug)]
pub(super) struct Delivery<'a, S, I, D, C> {
    shared: &'a Shared<S, I, D, C>,
    shard: &'a str,
    pub(super) events: EventWriter,
    tumbling: Option<Tumbling>,
    /// Invocations that failed since one succeeded.
    failures: u32,
}

/// A batch, or what is left of one.
#[derive(Debug)]
struct Piece {
    records: Vec<StreamRecord>,
    retries: u32,
    invocations: u32,
}

/// What came of one invocation.
enum Outcome {
    Verdict(Verdict),
    /// The function was not reached; this is no retry.
    NotInvoked,
    TooLarge,
}

impl<'a, S: Source, I: Invoker, D: OnFailure, C: Clock> Delivery<'a, S, I, D, C> {
    pub(super) fn new(mapping: &'a Shared<S, I, D, C>, shard: &'a str) -> Self {
        let settings = &mapping.settings;
        let tumbling = settings.tumbling_window.map(|length| {
            let open = mapping.core.state().progress.windows.get(shard).cloned();
            Tumbling::new(length.as_millis() as i64, open)
        });
        Self { shared: mapping, shard, events: EventWriter::new(settings, shard), tumbling, failures: 0 }
    }

    /// The end of the tumbling window that a batch beginning with this arrival is in, if there are windows.
    pub(super) fn window_end_ms(&self, arrived_ms: i64) -> Option<i64> {
        self.tumbling.as_ref().map(|tumbling| tumbling.end_ms(arrived_ms))
    }

    /// The bytes that an event takes beside its records.
    pub(super) fn frame_len(&self) -> usize {
        // The fields' own length hardly changes; the state's is what counts, and it is bounded.
        let spare = if self.tumbling.is_some() { 1_024 } else { 0 };
        self.events.frame_len(self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(false)).as_ref()) + spare
    }

    /// Closes the window that is open if it is over at this time: the final invocation is repeated until it succeeds.
    pub(super) async fn close_window_at(&mut self, now_ms: i64) -> Result<(), Stopped> {
        while self.tumbling.as_ref().is_some_and(|tumbling| tumbling.is_over(now_ms)) {
            self.final_invocation().await?;
        }
        Ok(())
    }

    /// Delivers a batch whose records are all of one tumbling window, if there are windows.
    pub(super) async fn deliver(&mut self, batch: Vec<StreamRecord>) -> Result<(), Stopped> {
        let Some(arrived_ms) = batch.first().map(|first| first.arrived_ms) else { return Ok(()) };
        self.close_window_at(arrived_ms).await?;
        if let Some(tumbling) = &mut self.tumbling {
            tumbling.begin(arrived_ms);
        }
        let mut pieces = vec![Piece { records: batch, retries: 0, invocations: 0 }];
        while let Some(piece) = pieces.pop() {
            self.shared.core.pass().await?;
            let Some(piece) = self.drop_expired(piece).await? else { continue };
            let outcome = self.invoke(&piece.records).await;
            self.settle(piece, outcome, &mut pieces).await?;
        }
        Ok(())
    }

    /// What follows from an outcome: progress, another try, two pieces for one, or the destination.
    async fn settle(&mut self, mut piece: Piece, outcome: Outcome, pieces: &mut Vec<Piece>) -> Result<(), Stopped> {
        let settings = &self.shared.settings;
        let failed_from = match outcome {
            Outcome::NotInvoked => {
                self.failures += 1;
                pieces.push(piece);
                return self.shared.back_off(self.failures).await;
            }
            Outcome::TooLarge => return self.give_up(piece, Condition::PayloadTooLarge).await,
            Outcome::Verdict(verdict) => verdict,
        };
        piece.invocations += 1;
        let failed_from = match failed_from {
            Verdict::Success => {
                self.failures = 0;
                self.processed(&piece.records);
                return Ok(());
            }
            Verdict::FailedFrom(index) => index,
            Verdict::Failure(reason) => {
                tracing::warn!(shard = self.shard, records = piece.records.len(), reason, "batch failed");
                0
            }
        };
        if failed_from > 0 {
            let rest = piece.records.split_off(failed_from);
            self.processed(&piece.records);
            piece.records = rest;
            // The function gets on: waits begin at their shortest again.
            self.failures = 0;
        }
        self.failures += 1;
        if settings.bisect && failed_from > 0 {
            // Cut at the returned number: what remains goes again, and this was no retry.
            pieces.push(piece);
        } else if settings.bisect && piece.records.len() > 1 {
            let second = piece.records.split_off(piece.records.len() / 2);
            pieces.push(Piece { records: second, ..piece });
            pieces.push(piece);
        } else if settings.max_retries.is_some_and(|most| piece.retries >= most) {
            return self.give_up(piece, Condition::RetryAttemptsExhausted).await;
        } else {
            piece.retries += 1;
            pieces.push(piece);
        }
        self.shared.back_off(self.failures).await
    }

    async fn invoke(&mut self, records: &[StreamRecord]) -> Outcome {
        let fields = self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(false));
        let event = self.events.write(records, fields.as_ref());
        self.note_age(records);
        if event.len() > REQUEST_BYTES_MAX && records.len() == 1 {
            return Outcome::TooLarge;
        }
        let response = match self.call(event).await {
            Ok(response) => response,
            Err(outcome) => return outcome,
        };
        let sequences: Vec<_> = records.iter().map(|record| record.sequence).collect();
        let verdict = response::verdict(&response, &sequences, self.shared.settings.report_batch_item_failures);
        let verdict = match self.tumbling {
            Some(_) => self.keep_state(&response, verdict).await,
            None => verdict,
        };
        if verdict != Verdict::Success {
            self.shared.core.state().status.failures += 1;
        }
        Outcome::Verdict(verdict)
    }

    /// "The age of the last record in the event": a metric of Lambda.
    fn note_age(&self, records: &[StreamRecord]) {
        let Some(last) = records.last() else { return };
        let age_ms = (self.shared.clock.now_ms() - last.arrived_ms).max(0);
        let status = &mut self.shared.core.state().status;
        status.iterator_age_ms = status.iterator_age_ms.max(Some(age_ms));
    }

    /// "If the response does not contain a `state` property, Lambda considers this a failed invocation."
    async fn keep_state(&mut self, response: &[u8], verdict: Verdict) -> Verdict {
        let Some(state) = response::state(response) else {
            return Verdict::Failure("the response has no state".to_owned());
        };
        // A batch of which nothing was processed leaves the state as it was.
        let progressed = !matches!(verdict, Verdict::Failure(_) | Verdict::FailedFrom(0));
        if progressed && let Some(tumbling) = &mut self.tumbling {
            let over = tumbling.keep(state);
            self.store_window();
            if over && self.final_invocation().await.is_err() {
                // Stopped: the batch counts as processed, and the window that is stored ends when a mapping resumes.
                tracing::debug!(shard = self.shard, "stopped before a window's final invocation");
            }
        }
        verdict
    }

    /// One call of the function, with the numbers kept.
    async fn call(&self, event: Bytes) -> Result<Bytes, Outcome> {
        let result = self.shared.invoker.invoke(event).await;
        let mut state = self.shared.core.state();
        match result {
            Ok(response) => {
                state.status.invocations += 1;
                Ok(response)
            }
            Err(InvokeError::Throttled | InvokeError::Stopped) => {
                state.status.throttles += 1;
                Err(Outcome::NotInvoked)
            }
            Err(InvokeError::PayloadTooLarge { .. }) => Err(Outcome::TooLarge),
            Err(error) => {
                state.status.invocations += 1;
                state.status.failures += 1;
                Err(Outcome::Verdict(Verdict::Failure(error.to_string())))
            }
        }
    }

    /// "If invocation is unsuccessful, your Lambda function suspends further processing until a successful invocation."
    async fn final_invocation(&mut self) -> Result<(), Stopped> {
        while let Some(fields) = self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(true)) {
            self.shared.core.pass().await?;
            let response = self.call(self.events.write(&[], Some(&fields))).await;
            if response.is_ok_and(|response| response::state(&response).is_some()) {
                self.failures = 0;
                break;
            }
            self.failures += 1;
            self.shared.back_off(self.failures).await?;
        }
        if let Some(tumbling) = &mut self.tumbling {
            tumbling.finish();
        }
        self.store_window();
        Ok(())
    }

    fn store_window(&self) {
        let open = self.tumbling.as_ref().and_then(|tumbling| tumbling.open.clone());
        let windows = &mut self.shared.core.state().progress.windows;
        match open {
            Some(open) => windows.insert(self.shard.to_owned(), open),
            None => windows.remove(self.shard),
        };
    }

    /// Gives up the records at the front that are older than the mapping takes; what remains, if anything does.
    async fn drop_expired(&self, mut piece: Piece) -> Result<Option<Piece>, Stopped> {
        let Some(max_age) = self.shared.settings.max_age else { return Ok(Some(piece)) };
        let oldest_ms = self.shared.clock.now_ms() - max_age.as_millis() as i64;
        let expired = piece.records.iter().take_while(|record| record.arrived_ms < oldest_ms).count();
        if expired == 0 {
            return Ok(Some(piece));
        }
        let rest = piece.records.split_off(expired);
        let (retries, invocations) = (piece.retries, piece.invocations);
        self.give_up(piece, Condition::RecordAgeExceeded).await?;
        Ok((!rest.is_empty()).then_some(Piece { records: rest, retries, invocations }))
    }

    /// "Lambda discards the records and continues processing batches from the stream."
    async fn give_up(&self, piece: Piece, condition: Condition) -> Result<(), Stopped> {
        let shared = self.shared;
        let Piece { records, invocations, .. } = piece;
        let history = History { condition, invocations, shard: self.shard, now_ms: shared.clock.now_ms() };
        let event = self.events.write(&records, None);
        let discarded = Discarded::new(&shared.settings, history, &records, &event, [shared.uuid(), shared.uuid()]);
        tracing::warn!(shard = self.shard, records = records.len(), ?condition, key = discarded.key, "batch discarded");
        let mut tries = 0;
        while let Err(error) = shared.destination.send(&discarded).await {
            tries += 1;
            shared.warn("on-failure destination", &error);
            if tries == DESTINATION_TRIES {
                shared.core.state().status.destination_failures += 1;
                break;
            }
            shared.back_off(tries).await?;
        }
        shared.core.state().status.discarded += records.len() as u64;
        shared.core.done(self.shard, records.iter().map(|record| record.sequence));
        Ok(())
    }

    fn processed(&self, records: &[StreamRecord]) {
        self.shared.core.state().status.processed += records.len() as u64;
        self.shared.core.done(self.shard, records.iter().map(|record| record.sequence));
    }
}

impl Core {
    /// Notes records as done, and moves the checkpoint as far as all before it is done.
    pub(super) fn done(&self, shard: &str, sequences: impl IntoIterator<Item = SequenceNumber>) {
        {
            let mut state = self.state();
            let moved = state.trackers.get_mut(shard).and_then(|tracker| tracker.done(sequences));
            if let Some(last) = moved {
                state.progress.checkpoints.insert(shard.to_owned(), Checkpoint::After(last));
            }
        }
        self.changed();
    }
}
