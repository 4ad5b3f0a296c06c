//! Delivers a batch: invokes the function, retries, bisects and discards, until each record of the batch is processed
//! or discarded.

use super::context::{Context, Stopped};
use super::destination::{Condition, Discarded, History, OnFailure};
use super::event::EventWriter;
use super::response::{self, Verdict};
use super::window::Tumbling;
use crate::clock::Clock;
use crate::function::{InvokeError, Invoker, REQUEST_BYTES_MAX};
use bytes::Bytes;
use myaku::stream::batch::StreamRecord;
use myaku::stream::source::Source;

/// The most attempts to send a discarded batch to its destination. Lambda drops, and counts, what a destination does not
/// accept.
const DESTINATION_ATTEMPTS: u32 = 5;

/// Delivers the batches of one lane, one after the other.
#[derive(Debug)]
pub(super) struct Delivery<'a, S, I, D, C> {
    context: &'a Context<S, I, D, C>,
    shard: &'a str,
    pub(super) events: EventWriter,
    tumbling: Option<Tumbling>,
    /// Invocations that failed since the last one that succeeded.
    failures: u32,
}

/// A batch, or a part of a batch that was bisected or processed in part.
#[derive(Debug)]
struct Piece {
    records: Vec<StreamRecord>,
    retries: u32,
    invocations: u32,
}

/// The outcome of one invocation.
enum InvokeOutcome {
    Verdict(Verdict),
    /// The invocation did not reach the function. It does not count as a retry.
    NotInvoked,
    TooLarge,
}

impl<'a, S: Source, I: Invoker, D: OnFailure, C: Clock> Delivery<'a, S, I, D, C> {
    pub(super) fn new(context: &'a Context<S, I, D, C>, shard: &'a str) -> Self {
        let settings = &context.settings;
        let tumbling = settings.tumbling_window.map(|length| {
            let open = context.control.state().progress.windows.get(shard).cloned();
            Tumbling::new(length.as_millis() as i64, open)
        });
        Self { context, shard, events: EventWriter::new(settings, shard), tumbling, failures: 0 }
    }

    /// The end of the tumbling window of a batch whose first record arrived at this time, if the mapping has windows.
    pub(super) fn window_end_ms(&self, arrived_ms: i64) -> Option<i64> {
        self.tumbling.as_ref().map(|tumbling| tumbling.end_ms(arrived_ms))
    }

    /// The bytes of an event without its records.
    pub(super) fn frame_len(&self) -> usize {
        // The spare bytes cover the window's fields, whose length hardly varies. The state is counted, and it is bounded.
        let spare = if self.tumbling.is_some() { 1_024 } else { 0 };
        self.events.frame_len(self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(false)).as_ref()) + spare
    }

    /// Closes the open window if it is over at this time. Repeats the final invocation until it succeeds.
    pub(super) async fn close_window_at(&mut self, now_ms: i64) -> Result<(), Stopped> {
        while self.tumbling.as_ref().is_some_and(|tumbling| tumbling.is_over(now_ms)) {
            self.final_invocation().await?;
        }
        Ok(())
    }

    /// Delivers a batch. If the mapping has tumbling windows, all records must belong to one window.
    pub(super) async fn deliver(&mut self, batch: Vec<StreamRecord>) -> Result<(), Stopped> {
        let Some(arrived_ms) = batch.first().map(|first| first.arrived_ms) else { return Ok(()) };
        self.close_window_at(arrived_ms).await?;
        if let Some(tumbling) = &mut self.tumbling {
            tumbling.begin(arrived_ms);
        }
        let mut pieces = vec![Piece { records: batch, retries: 0, invocations: 0 }];
        while let Some(piece) = pieces.pop() {
            self.context.control.until_enabled().await?;
            let Some(piece) = self.discard_expired(piece).await? else { continue };
            let outcome = self.invoke(&piece.records).await;
            self.settle(piece, outcome, &mut pieces).await?;
        }
        Ok(())
    }

    /// Acts on an outcome: marks records as processed, retries, bisects, or discards.
    async fn settle(
        &mut self,
        mut piece: Piece,
        outcome: InvokeOutcome,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Stopped> {
        let settings = &self.context.settings;
        let failed_from = match outcome {
            InvokeOutcome::NotInvoked => {
                self.failures += 1;
                pieces.push(piece);
                return self.context.back_off(self.failures).await;
            }
            InvokeOutcome::TooLarge => return self.discard(piece, Condition::PayloadTooLarge).await,
            InvokeOutcome::Verdict(verdict) => verdict,
        };
        piece.invocations += 1;
        let failed_from = match failed_from {
            Verdict::Success => {
                self.failures = 0;
                self.mark_processed(&piece.records);
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
            self.mark_processed(&piece.records);
            piece.records = rest;
            // The function makes progress: start again with the shortest wait.
            self.failures = 0;
        }
        self.failures += 1;
        if settings.bisect && failed_from > 0 {
            // Bisected at the returned sequence number: deliver the rest again. This does not count as a retry.
            pieces.push(piece);
        } else if settings.bisect && piece.records.len() > 1 {
            let second = piece.records.split_off(piece.records.len() / 2);
            pieces.push(Piece { records: second, ..piece });
            pieces.push(piece);
        } else if settings.max_retries.is_some_and(|most| piece.retries >= most) {
            return self.discard(piece, Condition::RetryAttemptsExhausted).await;
        } else {
            piece.retries += 1;
            pieces.push(piece);
        }
        self.context.back_off(self.failures).await
    }

    async fn invoke(&mut self, records: &[StreamRecord]) -> InvokeOutcome {
        let fields = self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(false));
        let event = self.events.write(records, fields.as_ref());
        self.record_iterator_age(records);
        if event.len() > REQUEST_BYTES_MAX && records.len() == 1 {
            return InvokeOutcome::TooLarge;
        }
        let response = match self.call(event).await {
            Ok(response) => response,
            Err(outcome) => return outcome,
        };
        let sequences: Vec<_> = records.iter().map(|record| record.sequence).collect();
        let verdict = response::verdict(&response, &sequences, self.context.settings.report_batch_item_failures);
        let verdict = match self.tumbling {
            Some(_) => self.keep_state(&response, verdict).await,
            None => verdict,
        };
        if verdict != Verdict::Success {
            self.context.control.state().status.failures += 1;
        }
        InvokeOutcome::Verdict(verdict)
    }

    /// Records Lambda's metric `IteratorAge`: "The age of the last record in the event".
    fn record_iterator_age(&self, records: &[StreamRecord]) {
        let Some(last) = records.last() else { return };
        let age_ms = (self.context.clock.now_ms() - last.arrived_ms).max(0);
        let status = &mut self.context.control.state().status;
        status.iterator_age_ms = status.iterator_age_ms.max(Some(age_ms));
    }

    /// "If the response does not contain a `state` property, Lambda considers this a failed invocation."
    async fn keep_state(&mut self, response: &[u8], verdict: Verdict) -> Verdict {
        let Some(state) = response::state(response) else {
            return Verdict::Failure("the response has no state".to_owned());
        };
        // If no record of the batch was processed, the state stays as it was.
        let progressed = !matches!(verdict, Verdict::Failure(_) | Verdict::FailedFrom(0));
        if progressed && let Some(tumbling) = &mut self.tumbling {
            let ends_early = tumbling.set_state(state);
            self.store_window();
            if ends_early && self.final_invocation().await.is_err() {
                // Stopped: the batch counts as processed. The stored window ends when a mapping resumes.
                tracing::debug!(shard = self.shard, "stopped before a window's final invocation");
            }
        }
        verdict
    }

    /// Invokes the function once, and counts the invocation.
    async fn call(&self, event: Bytes) -> Result<Bytes, InvokeOutcome> {
        let result = self.context.invoker.invoke(event).await;
        let mut state = self.context.control.state();
        match result {
            Ok(response) => {
                state.status.invocations += 1;
                Ok(response)
            }
            Err(InvokeError::Throttled | InvokeError::Stopped) => {
                state.status.throttles += 1;
                Err(InvokeOutcome::NotInvoked)
            }
            Err(InvokeError::PayloadTooLarge { .. }) => Err(InvokeOutcome::TooLarge),
            Err(error) => {
                state.status.invocations += 1;
                state.status.failures += 1;
                Err(InvokeOutcome::Verdict(Verdict::Failure(error.to_string())))
            }
        }
    }

    /// "If invocation is unsuccessful, your Lambda function suspends further processing until a successful invocation."
    async fn final_invocation(&mut self) -> Result<(), Stopped> {
        while let Some(fields) = self.tumbling.as_ref().and_then(|tumbling| tumbling.fields(true)) {
            self.context.control.until_enabled().await?;
            let response = self.call(self.events.write(&[], Some(&fields))).await;
            if response.is_ok_and(|response| response::state(&response).is_some()) {
                self.failures = 0;
                break;
            }
            self.failures += 1;
            self.context.back_off(self.failures).await?;
        }
        if let Some(tumbling) = &mut self.tumbling {
            tumbling.finish();
        }
        self.store_window();
        Ok(())
    }

    fn store_window(&self) {
        let open = self.tumbling.as_ref().and_then(|tumbling| tumbling.open.clone());
        let windows = &mut self.context.control.state().progress.windows;
        match open {
            Some(open) => windows.insert(self.shard.to_owned(), open),
            None => windows.remove(self.shard),
        };
    }

    /// Discards the records at the front that are older than `MaximumRecordAgeInSeconds`. Returns the other records,
    /// if there are any.
    async fn discard_expired(&self, mut piece: Piece) -> Result<Option<Piece>, Stopped> {
        let Some(max_age) = self.context.settings.max_age else { return Ok(Some(piece)) };
        let oldest_ms = self.context.clock.now_ms() - max_age.as_millis() as i64;
        let expired = piece.records.iter().take_while(|record| record.arrived_ms < oldest_ms).count();
        if expired == 0 {
            return Ok(Some(piece));
        }
        let rest = piece.records.split_off(expired);
        let (retries, invocations) = (piece.retries, piece.invocations);
        self.discard(piece, Condition::RecordAgeExceeded).await?;
        Ok((!rest.is_empty()).then_some(Piece { records: rest, retries, invocations }))
    }

    /// "Lambda discards the records and continues processing batches from the stream."
    async fn discard(&self, piece: Piece, condition: Condition) -> Result<(), Stopped> {
        let context = self.context;
        let Piece { records, invocations, .. } = piece;
        let history = History { condition, invocations, shard: self.shard, now_ms: context.clock.now_ms() };
        let event = self.events.write(&records, None);
        let discarded = Discarded::new(&context.settings, history, &records, &event, [context.uuid(), context.uuid()]);
        tracing::warn!(shard = self.shard, records = records.len(), ?condition, key = discarded.key, "batch discarded");
        let mut attempts = 0;
        while let Err(error) = context.destination.send(&discarded).await {
            attempts += 1;
            context.warn("on-failure destination", &error);
            if attempts == DESTINATION_ATTEMPTS {
                context.control.state().status.destination_failures += 1;
                break;
            }
            context.back_off(attempts).await?;
        }
        context.control.state().status.discarded += records.len() as u64;
        context.control.mark_done(self.shard, records.iter().map(|record| record.sequence));
        Ok(())
    }

    fn mark_processed(&self, records: &[StreamRecord]) {
        self.context.control.state().status.processed += records.len() as u64;
        self.context.control.mark_done(self.shard, records.iter().map(|record| record.sequence));
    }
}
