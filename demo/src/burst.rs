//! A burst that one shard cannot take, on a small stack of its own whose minutes pass in a second each: alarms tell the
//! autoscaler, the stream grows under load, and the audit says what became of the records.

use super::progress::Progress;
use super::steps::audit_lake;
use anyhow::{Context as _, Result};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_local::stack::Stack;
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Parameters of the stack.
pub const PARAMETERS: [(&str, &str); 4] =
    [("ArchiveWindowSeconds", "1"), ("IngestShards", "1"), ("ReshardMode", "stream"), ("ReshardMaxShards", "4")];
/// Minutes that pass in one.
pub const TIME_SCALE: f64 = 60.0;
/// Until a size that is due is there, on a machine that compiles at the same time.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// For which records are put behind a reshard, so that its consumers follow under load.
pub const A_WHILE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(200);
/// Partition keys; each is in one record of a call, so that its order is that of the calls.
const KEYS: usize = 20;
/// Bytes of a record, and how often one of each key is put: half as much again as one shard takes, so that what is accepted
/// is all that it takes, and about two thirds of what two take.
const RECORD_BYTES: usize = 6_000;
const EVERY: Duration = Duration::from_millis(80);

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Burst {
    /// Open shards at first.
    pub shards_before: i32,
    /// Open shards in the end.
    pub shards_after: i32,
    /// From the first record until there were more shards, in milliseconds.
    pub grown_after_ms: u64,
    /// What the autoscaler's topic was told first.
    pub told: Option<String>,
    /// Records that the stream took.
    pub put: u64,
    /// Records that are in the lake.
    pub archived: u64,
    /// Findings of the audit.
    pub findings: usize,
}

impl Burst {
    /// What should not be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.archived != self.put || self.findings > 0 {
            broken.push(format!(
                "burst: {} records were put and {} are in the lake, with {} findings of the audit",
                self.put, self.archived, self.findings
            ));
        }
        broken
    }

    /// In a line.
    pub(super) fn to_text(&self) -> String {
        format!(
            "Burst, on a stack whose minutes pass in a second: {} shard became {} within {:.1} s; {}. {} records put, {} in the lake. {}",
            self.shards_before,
            self.shards_after,
            self.grown_after_ms as f64 / 1_000.0,
            self.told.as_deref().unwrap_or("no alarm was needed"),
            self.put,
            self.archived,
            if self.broken().is_empty() { "✓" } else { "✗" }
        )
    }
}

/// Sends the burst to `stack`, which is up with [`PARAMETERS`] at [`TIME_SCALE`], until it has grown.
pub async fn run(stack: &Stack, progress: &impl Progress) -> Result<Burst> {
    progress.stage("a burst that one shard cannot take");
    let client = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let stream = stack.physical_id("IngestStream")?;
    let shards_before = open_shards(&client, &stream).await?.unwrap_or_default();
    let started_ms = SystemClock.now_ms();
    let began = Instant::now();
    let mut producer = Producer::new(client.clone(), stream.clone());
    let grown = until_shards(&client, &stream, |open| open > shards_before);
    let shards_after = Box::pin(producer.send_until(grown)).await.context("the stream does not grow")?;
    let grown_after_ms = began.elapsed().as_millis() as u64;
    progress.event(&format!("{shards_before} shard became {shards_after} under load"));
    producer.send_until(a_while()).await?;
    stack.caught_up(SystemClock.now_ms()).await;
    let audit = Box::pin(audit_lake(stack, started_ms)).await?;
    let messages = stack.servers().sns.topics().messages(&stack.physical_id("ReshardTopic")?)?;
    Ok(Burst {
        shards_before,
        shards_after,
        grown_after_ms,
        told: messages.into_iter().find_map(|message| message.publication.subject.clone()),
        put: producer.next().iter().sum(),
        archived: audit.records,
        findings: audit.findings.len(),
    })
}

/// Completes after [`A_WHILE`].
pub async fn a_while() -> Result<()> {
    tokio::time::sleep(A_WHILE).await;
    Ok(())
}

/// Completes when the stream is active with a number of open shards that `is_right`.
pub async fn until_shards(
    client: &aws_sdk_kinesis::Client,
    stream: &str,
    is_right: impl Fn(i32) -> bool,
) -> Result<i32> {
    loop {
        if let Some(open) = open_shards(client, stream).await?.filter(|open| is_right(*open)) {
            return Ok(open);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The open shards of a stream that is active.
async fn open_shards(client: &aws_sdk_kinesis::Client, stream: &str) -> Result<Option<i32>> {
    let summary = client.describe_stream_summary().stream_name(stream).send().await?.stream_description_summary;
    let summary = summary.context("no summary")?;
    Ok((summary.stream_status == StreamStatus::Active).then_some(summary.open_shard_count))
}

/// Puts record after record of each key, each once the one before it was taken. A record is its key and number, as text.
pub struct Producer {
    client: aws_sdk_kinesis::Client,
    stream: String,
    next: Vec<u64>,
}

impl Producer {
    /// A producer to a stream, by its name.
    pub fn new(client: aws_sdk_kinesis::Client, stream: String) -> Self {
        Self { client, stream, next: vec![0; KEYS] }
    }

    /// The number of each key's next record, which is how many of it the stream has taken.
    pub fn next(&self) -> &[u64] {
        &self.next
    }

    /// Sends at a steady rate, or as fast as the stream takes it, until `done` completes.
    pub async fn send_until<T>(&mut self, done: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(PATIENCE, done);
        tokio::pin!(done);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                done = &mut done => return done.context("it takes too long")?,
                _ = ticks.tick() => self.put_one_of_each_key().await?,
            }
        }
    }

    async fn put_one_of_each_key(&mut self) -> Result<()> {
        let mut due: Vec<usize> = (0..KEYS).collect();
        while !due.is_empty() {
            let entries = due.iter().map(|key| {
                let mut data = format!("{key} {} ", self.next[*key]).into_bytes();
                data.resize(RECORD_BYTES, b'.');
                PutRecordsRequestEntry::builder().partition_key(format!("key-{key}")).data(Blob::new(data)).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let answer = self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send().await?;
            let mut refused = Vec::new();
            for (key, outcome) in due.into_iter().zip(answer.records) {
                if outcome.error_code.is_some() {
                    refused.push(key);
                } else {
                    self.next[key] += 1;
                }
            }
            due = refused;
            if !due.is_empty() {
                tokio::time::sleep(EVERY).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_not_in_the_lake_or_is_there_twice_breaks_the_promise() {
        let whole = Burst { shards_before: 1, shards_after: 2, put: 9, archived: 9, ..Burst::default() };
        assert_eq!(whole.broken(), Vec::<String>::new());
        for archived in [8, 10] {
            let broken = Burst { archived, ..whole.clone() }.broken();
            assert!(broken[0].contains(&format!("9 records were put and {archived} are in the lake")), "{broken:?}");
        }
        assert_eq!(Burst { findings: 1, ..whole }.broken().len(), 1);
    }
}
