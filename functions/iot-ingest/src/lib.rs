//! From gateways' batches to messages: takes a batch apart and puts its messages on the stream, and what cannot be
//! taken apart into the dead letters.
//!
//! It is invoked asynchronously, by a topic rule. `Ok` means that all of the batch is durable. Anything else fails the
//! invocation, so that Lambda tries it again and in the end keeps its event in the on-failure destination; the batch's
//! messages have the same ids each time, which makes the repetition harmless.

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
use myaku::stream::producer::{Limits, Producer, PutRecords, SendError};
use serde::Serialize;
use serde_json::Value;

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The stream of messages.
    type Stream: PutRecords;
    /// Where the dead letters go.
    type Letters: DeadLetterStore;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// The stream of messages.
    pub messages: Producer<P::Stream>,
    /// Where the dead letters go.
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

/// Connects to what `config` names. Nothing is asked yet.
pub async fn connect(config: &Config) -> Context<Deployed> {
    let sdk = aws::config().await;
    Context {
        messages: Producer::new(KinesisStream::new(&sdk, &config.ingest_stream), Limits::default()),
        letters: S3DeadLetters::new(&sdk, &config.dead_letter_bucket),
        clock: SystemClock,
    }
}

/// What became of a batch. Nobody reads the answer of an asynchronous invocation; a person who tries it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Messages that are on the stream.
    pub messages: usize,
    /// Dead letters that were written: one, if anything of the batch could not become a message.
    pub dead_letters: usize,
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Not all messages are known to be on the stream.
    #[error("the batch is not all on the stream")]
    NotPut(#[from] SendError),
    /// The dead letter could not be written.
    #[error("the batch's dead letter could not be written")]
    NotWritten(#[from] RemoteError),
    /// The invocation's time is nearly over.
    #[error("the invocation's time is nearly over")]
    OutOfTime,
}

/// Takes in one event of the rule. `deadline_ms` is the invocation's, in milliseconds since the epoch.
///
/// # Errors
/// Something of the batch is not durable; the same invocation again is safe.
pub async fn handle<P: Ports>(context: &Context<P>, event: &Value, deadline_ms: i64) -> Result<Done, IngestError> {
    let now_ms = context.clock.now_ms();
    let done = Deadline::at(deadline_ms).limit(&context.clock, ingest(context, event, now_ms));
    let done = done.await.unwrap_or(Err(IngestError::OutOfTime));
    if let Err(error) = &done {
        tracing::error!(error = chain(error), "the invocation fails, and is to be tried again");
        count(Metric::Retries, 1);
    }
    done
}

async fn ingest<P: Ports>(context: &Context<P>, event: &Value, now_ms: i64) -> Result<Done, IngestError> {
    let Work { messages, letter } = work(event, now_ms);
    if let Some(letter) = &letter {
        tracing::warn!(gateway = letter.shard, reason = %letter.reason, detail = letter.detail, "a batch has a dead letter");
    }
    let put = async { context.messages.send(&delivery::items(&messages)).await.map_err(IngestError::from) };
    let write = async {
        match &letter {
            Some(letter) => context.letters.put(letter).await.map_err(IngestError::from),
            None => Ok(()),
        }
    };
    // Side by side: a letter that cannot be written keeps no message from the stream.
    let (put, written) = tokio::join!(put, write);
    put.and(written)?;
    let done = Done { messages: messages.len(), dead_letters: usize::from(letter.is_some()) };
    count(Metric::Records, done.messages);
    count(Metric::Bytes, messages.iter().map(|message| message.payload.len()).sum());
    count(Metric::DeadLetters, done.dead_letters);
    Ok(done)
}

/// What is to be made durable for an event.
struct Work {
    messages: Vec<Message>,
    letter: Option<DeadLetter>,
}

/// Pure.
fn work(event: &Value, now_ms: i64) -> Work {
    let bytes = || event.to_string().into_bytes();
    let whole = |upload: Option<&Upload>, at_ms, reason, detail| Work {
        messages: Vec::new(),
        letter: Some(dead_letter(&bytes(), upload, at_ms, reason, detail)),
    };
    let upload = match Upload::parse(event) {
        Ok(upload) => upload,
        Err(error) => return whole(None, now_ms, error.reason(), error.to_string()),
    };
    let received_at = upload.received_at.unwrap_or(now_ms);
    match split(&upload, received_at) {
        Err(error) => whole(Some(&upload), received_at, error.reason(), error.to_string()),
        Ok(split) => {
            let letter = split.refused.first().map(|first| {
                dead_letter(&bytes(), Some(&upload), received_at, first.reason, gateway::summarize(&split.refused))
            });
            Work { messages: split.messages, letter }
        }
    }
}

#[cfg(test)]
mod tests;
