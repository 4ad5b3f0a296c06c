//! Every record of a stream into the lake, exactly once (promise 1).
//!
//! The rules are in [`myaku::lake::archive`]; this answers Lambda. A record is acknowledged when it is in the lake. What could
//! not be archived is answered as "retry from this record": however the batch is then cut, what is in the lake already is
//! found there.

mod config;

pub use config::Config;

use myaku::lake::archive::{Archiver, DynamoDbHeads, Heads, Lake, S3Lake};
use myaku::platform::aws;
use myaku::platform::telemetry::{Metric, count};
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;

/// The archiver of the deployed function.
pub type Deployed = Archiver<S3Lake, DynamoDbHeads>;

/// Connects to what `config` names. Nothing is asked yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> Deployed {
    let sdk = aws::config().await;
    Archiver::new(
        S3Lake::new(&sdk, &config.lake_bucket),
        DynamoDbHeads::new(&sdk, &config.heads_table),
        config.compression,
    )
}

/// Archives one batch, and answers from which record on it must be delivered again, if it must.
pub async fn handle<L: Lake, H: Heads>(archiver: &Archiver<L, H>, batch: &Batch) -> Answer {
    let done = archiver.archive(batch).await;
    count(Metric::Records, done.records);
    count(Metric::Bytes, done.bytes);
    count(Metric::Objects, done.objects);
    count(Metric::Duplicates, done.known);
    match done.stopped {
        None => Answer::DONE,
        Some(stopped) => Answer::retry_from_record(batch, stopped.record, &stopped.error),
    }
}

#[cfg(test)]
mod tests;
