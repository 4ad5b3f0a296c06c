//! Writes every record of a stream to the lake, exactly once (promise 1).
//!
//! The rules are in [`myaku::lake::archive`]; this crate answers Lambda. A record is acknowledged when it is in the
//! lake. If a record could not be archived, the answer is "retry from this record". However the batch is cut then, the
//! archiver finds the records that are already in the lake.

mod config;

pub use config::Config;

use myaku::lake::archive::{Archiver, DynamoDbHeads, Heads, Lake, S3Lake};
use myaku::lake::dead_letter::DeployedGuard;
use myaku::platform::aws;
use myaku::platform::telemetry::{Metric, count};
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;

/// The archiver of the deployed function.
pub type Deployed = Archiver<S3Lake, DynamoDbHeads>;

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails batches, not the start.
pub async fn connect(config: &Config) -> (Deployed, DeployedGuard) {
    let sdk = aws::config().await;
    let (lake, heads) = (S3Lake::new(&sdk, &config.lake_bucket), DynamoDbHeads::new(&sdk, &config.heads_table));
    (Archiver::new(lake, heads, config.compression), config.guard.guard("archiver", &sdk))
}

/// Archives one batch. The answer says whether, and from which record, it must be delivered again.
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
