//! Sends a burst that exceeds one shard, on a small stack of its own where a minute passes in one second. Alarms invoke
//! the autoscaler, the stream grows under load, and the audit then checks that every record is in the lake.

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
/// How many times as fast as the real clock the stack's time passes.
pub const TIME_SCALE: f64 = 60.0;
/// How long a change of the shards may take, on a machine that compiles at the same time.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// How long records are still put after a reshard, so that its consumers follow under load.
pub const A_WHILE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(200);
/// Partition keys. A call has one record of each key, so that a key's order is the order of the calls.
const KEYS: usize = 20;
/// The size of a record, and the interval at which one record of each key is put. Together they make one and a half
/// times the load that one shard takes. So one shard is full all the time, and two have about a quarter to spare.
const RECORD_BYTES: usize = 6_000;
const EVERY: Duration = Duration::from_millis(80);

/// The result of a burst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Burst {
    /// Open shards before the burst.
    pub shards_before: i32,
    /// Open shards after it.
    pub shards_after: i32,
    /// From the first record until there were more shards, in milliseconds.
    pub grown_after_ms: u64,
    /// The subject of the first message that was published to the autoscaler's topic.
    #[serde(rename = "told")]
    pub first_notification: Option<String>,
    /// Records that the stream accepted.
    pub put: u64,
    /// Records that are in the lake.
    pub archived: u64,
    /// Findings of the audit.
    pub findings: usize,
}

impl Burst {
    /// The promises that were broken, in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.archived != self.put || self.findings > 0 {
            broken.push(format!(
                "burst: {} records were put, but {} are in the lake; the audit has {} findings",
                self.put, self.archived, self.findings
            ));
        }
        broken
    }

    /// One line for people.
    pub(super) fn to_text(&self) -> String {
        format!(
            "Burst (on a stack where a minute passes in one second): {} shard became {} within {:.1} s. \
             First notification: {}. {} records were put, {} are in the lake. {}",
            self.shards_before,
            self.shards_after,
            self.grown_after_ms as f64 / 1_000.0,
            self.first_notification.as_deref().unwrap_or("none"),
            self.put,
            self.archived,
            if self.broken().is_empty() { "✓" } else { "✗" }
        )
    }
}

/// Sends the burst to `stack`, which runs with [`PARAMETERS`] at [`TIME_SCALE`], until its stream has grown.
pub async fn run(stack: &Stack, progress: &impl Progress) -> Result<Burst> {
    progress.stage("sending a burst that exceeds one shard");
    let client = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let stream = stack.physical_id("IngestStream")?;
    let shards_before = open_shards(&client, &stream).await?.unwrap_or_default();
    let started_ms = SystemClock.now_ms();
    let began = Instant::now();
    let mut producer = Producer::new(client.clone(), stream.clone());
    let grown = until_shards(&client, &stream, |open| open > shards_before);
    let shards_after = Box::pin(producer.send_until(grown)).await.context("the stream did not grow under the burst")?;
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
        first_notification: messages.into_iter().find_map(|message| message.publication.subject.clone()),
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

/// How many shards of a stream are open; `None` while it is not active.
async fn open_shards(client: &aws_sdk_kinesis::Client, stream: &str) -> Result<Option<i32>> {
    let summary = client.describe_stream_summary().stream_name(stream).send().await?.stream_description_summary;
    let summary = summary.context("DescribeStreamSummary returned no summary")?;
    Ok((summary.stream_status == StreamStatus::Active).then_some(summary.open_shard_count))
}

/// Puts the records of each key one after another, each after the stream accepted the one before. A record holds its
/// key and its number as text.
pub struct Producer {
    client: aws_sdk_kinesis::Client,
    stream: String,
    next: Vec<u64>,
}

impl Producer {
    /// A producer for the stream of this name.
    pub fn new(client: aws_sdk_kinesis::Client, stream: String) -> Self {
        Self { client, stream, next: vec![0; KEYS] }
    }

    /// The number of each key's next record, which is how many of its records the stream has accepted.
    pub fn next(&self) -> &[u64] {
        &self.next
    }

    /// Sends at a steady rate, or as fast as the stream accepts it, until `done` completes.
    pub async fn send_until<T>(&mut self, done: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(PATIENCE, done);
        tokio::pin!(done);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                done = &mut done => return done.with_context(|| format!("not done within {} s", PATIENCE.as_secs()))?,
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
    fn a_record_that_is_missing_from_the_lake_or_in_it_twice_breaks_the_promise() {
        let whole = Burst { shards_before: 1, shards_after: 2, put: 9, archived: 9, ..Burst::default() };
        assert_eq!(whole.broken(), Vec::<String>::new());
        for archived in [8, 10] {
            let broken = Burst { archived, ..whole.clone() }.broken();
            assert!(broken[0].contains(&format!("9 records were put, but {archived} are in the lake")), "{broken:?}");
        }
        assert_eq!(Burst { findings: 1, ..whole }.broken().len(), 1);
    }
}
