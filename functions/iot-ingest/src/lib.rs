//! Splits gateways' batches into messages: puts the messages on the stream, and writes a dead letter for what it cannot
//! split.
//!
//! A topic rule invokes the function asynchronously. `Ok` means that all of the batch is durable. Otherwise the
//! invocation fails, and Lambda tries it again. After the last try, Lambda puts the event in the on-failure
//! destination. A retry is harmless, because the batch's messages have the same ids each time.

mod config;

pub use config::Config;

use myaku::ingest::delivery;
use myaku::ingest::gateway::{self, Upload, dead_letter, split};
use myaku::ingest::message::Message;
use myaku::lake::dead_letter::{DeadLetter, DeadLetterStore, S3DeadLetters};
use myaku::platform::aws;
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::deadline::Deadline;
use myaku::platform::errors::{RemoteError, chain};
use myaku::platform::telemetry::{Metric, count};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Limits, Placement, Producer, PutRecords, SendError};
use serde::Serialize;
use serde_json::Value;

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The stream of messages.
    type Stream: PutRecords;
    /// The store of dead letters.
    type Letters: DeadLetterStore;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// The stream of messages.
    pub messages: Producer<P::Stream>,
    /// The store of dead letters.
    pub letters: P::Letters,
    /// The wall clock.
    pub clock: P::Clock,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Stream = KinesisStream;
    type Letters = S3DeadLetters;
    type Clock = SystemClock;
}

/// Connects to what `config` names. Nothing is requested yet.
pub async fn connect(config: &Config) -> Context<Deployed> {
    let sdk = aws::config().await;
    Context {
        messages: Producer::new(KinesisStream::new(&sdk, &config.ingest_stream), Placement::Shards, Limits::default()),
        letters: S3DeadLetters::new(&sdk, &config.dead_letter_bucket),
        clock: SystemClock,
    }
}

/// What became of a batch. Lambda drops the answer of an asynchronous invocation; it is for a person who tries the
/// function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestReport {
    /// Messages that are on the stream.
    pub messages: usize,
    /// Dead letters that were written: one, if any part of the batch could not become a message.
    pub dead_letters: usize,
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Some messages may not be on the stream.
    #[error("cannot put all messages of the batch on the stream")]
    NotPut(#[from] SendError),
    /// The dead letter could not be written.
    #[error("cannot write the batch's dead letter")]
    NotWritten(#[from] RemoteError),
    /// The invocation's time is nearly over.
    #[error("the invocation's time is nearly over")]
    OutOfTime,
}

/// Handles one event of the rule. `deadline_ms` is when Lambda ends the invocation, in milliseconds since the epoch.
///
/// # Errors
/// Part of the batch may not be durable. It is safe to handle the same event again.
pub async fn handle<P: Ports>(
    context: &Context<P>,
    event: &Value,
    deadline_ms: i64,
) -> Result<IngestReport, IngestError> {
    let now_ms = context.clock.now_ms();
    let ingested = Deadline::at(deadline_ms).limit(&context.clock, ingest(context, event, now_ms)).await;
    let result = ingested.unwrap_or(Err(IngestError::OutOfTime));
    if let Err(error) = &result {
        tracing::error!(error = chain(error), "the invocation failed; Lambda tries it again");
        count(Metric::Retries, 1);
    }
    result
}

async fn ingest<P: Ports>(context: &Context<P>, event: &Value, now_ms: i64) -> Result<IngestReport, IngestError> {
    let Output { messages, letter } = split_event(event, now_ms);
    if let Some(letter) = &letter {
        tracing::warn!(gateway = letter.shard, reason = %letter.reason, detail = letter.detail, "a batch or a part of it is rejected");
    }
    let put = async { context.messages.send(&delivery::items(&messages)).await.map_err(IngestError::from) };
    let write = async {
        match &letter {
            Some(letter) => context.letters.put(letter).await.map_err(IngestError::from),
            None => Ok(()),
        }
    };
    // At the same time: a letter that cannot be written must not keep messages from the stream.
    let (put, written) = tokio::join!(put, write);
    put.and(written)?;
    let report = IngestReport { messages: messages.len(), dead_letters: usize::from(letter.is_some()) };
    count(Metric::Records, report.messages);
    count(Metric::Bytes, messages.iter().map(|message| message.payload.len()).sum());
    count(Metric::DeadLetters, report.dead_letters);
    Ok(report)
}

/// What must be made durable for an event.
struct Output {
    messages: Vec<Message>,
    letter: Option<DeadLetter>,
}

/// Splits an event into messages, and a dead letter if a part of it cannot become a message. Pure.
fn split_event(event: &Value, now_ms: i64) -> Output {
    let bytes = || event.to_string().into_bytes();
    let reject_all = |upload: Option<&Upload>, at_ms, reason, detail| Output {
        messages: Vec::new(),
        letter: Some(dead_letter(&bytes(), upload, at_ms, reason, detail)),
    };
    let upload = match Upload::parse(event) {
        Ok(upload) => upload,
        Err(error) => return reject_all(None, now_ms, error.reason(), error.to_string()),
    };
    let received_at = upload.received_at.unwrap_or(now_ms);
    match split(&upload, received_at) {
        Err(error) => reject_all(Some(&upload), received_at, error.reason(), error.to_string()),
        Ok(split) => {
            let letter = split.refused.first().map(|first| {
                dead_letter(&bytes(), Some(&upload), received_at, first.reason, gateway::summarize(&split.refused))
            });
            Output { messages: split.messages, letter }
        }
    }
}

#[cfg(test)]
mod tests;
