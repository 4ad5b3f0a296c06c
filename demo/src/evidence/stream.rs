//! Reads everything that a stream holds, shard by shard, closed parents and their children.

use super::aggregate;
use anyhow::{Context as _, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;
use std::collections::BTreeMap;
use std::time::Duration;

/// The interval between reads of a shard: Kinesis allows five a second, for all readers together.
const BETWEEN_READS: Duration = Duration::from_millis(220);
/// How many empty answers in a row show that an open shard has been read to its end.
const EMPTY_ANSWERS: u32 = 3;
/// How many reads in a row may fail.
const FAILURES_MAX: u32 = 60;

/// One user record as the stream holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its shard.
    pub shard: String,
    /// The sequence number of the stream record that contains it.
    pub sequence: String,
    /// Its index in that record.
    pub sub: u64,
    /// Its own partition key: an aggregate has one for each of its records.
    pub key: String,
    /// When the stream record arrived, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Digits of a sequence number and of a sub-sequence number in a position.
const SEQUENCE_DIGITS: usize = 56;
const SUB_DIGITS: usize = 10;

impl Record {
    /// Its position as results write it: positions of a device compare as text.
    pub fn position(&self) -> String {
        format!("{:0>SEQUENCE_DIGITS$}.{:0>SUB_DIGITS$}", self.sequence, self.sub)
    }
}

/// The contents of a stream, from its beginning.
#[derive(Debug, Default)]
pub struct Contents {
    /// Its user records, in the order of each shard.
    pub records: Vec<Record>,
    /// How many records it holds; an aggregate counts as one.
    pub stream_records: usize,
    /// The first and last hash key of each of its shards, closed ones included.
    pub ranges: BTreeMap<String, (u128, u128)>,
}

/// Reads all of `stream`.
pub async fn read(client: &Client, stream: &str) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut token = None;
    loop {
        let request = match token.take() {
            Some(token) => client.list_shards().next_token(token),
            None => client.list_shards().stream_name(stream),
        };
        let page = request.send().await.context("ListShards failed")?;
        for shard in page.shards() {
            if let Some(range) = shard.hash_key_range() {
                let range = (range.starting_hash_key().parse()?, range.ending_hash_key().parse()?);
                contents.ranges.insert(shard.shard_id().to_owned(), range);
            }
            read_shard(client, stream, shard.shard_id(), &mut contents)
                .await
                .with_context(|| format!("cannot read shard {} of {stream}", shard.shard_id()))?;
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(contents);
        }
    }
}

async fn read_shard(client: &Client, stream: &str, shard: &str, contents: &mut Contents) -> Result<()> {
    let beginning = client
        .get_shard_iterator()
        .stream_name(stream)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .context("GetShardIterator failed")?;
    let mut iterator = beginning.shard_iterator().map(str::to_owned);
    let (mut empty, mut refused) = (0, 0);
    while let Some(current) = iterator.take() {
        let answer = match client.get_records().shard_iterator(&current).limit(10_000).send().await {
            Ok(answer) => answer,
            Err(error) => {
                refused += 1;
                if refused > FAILURES_MAX {
                    return Err(error).context("GetRecords failed");
                }
                tokio::time::sleep(BETWEEN_READS * 2).await;
                iterator = Some(current);
                continue;
            }
        };
        refused = 0;
        for record in answer.records() {
            let arrived = record.approximate_arrival_timestamp().context("a record has no time of arrival")?;
            contents.stream_records += 1;
            contents.records.extend(user_records(
                shard,
                record.sequence_number(),
                record.partition_key().unwrap_or_default(),
                arrived.to_millis().context("a time of arrival is out of bounds")?,
                record.data().as_ref(),
            ));
        }
        // After the newest record, an open shard returns empty answers for ever.
        let at_end = answer.records().is_empty() && answer.millis_behind_latest().unwrap_or(0) == 0;
        empty = if at_end { empty + 1 } else { 0 };
        if empty >= EMPTY_ANSWERS {
            return Ok(());
        }
        iterator = answer.next_shard_iterator().map(str::to_owned);
        tokio::time::sleep(BETWEEN_READS).await;
    }
    Ok(())
}

/// The user records of one stream record.
fn user_records(shard: &str, sequence: &str, key: &str, arrived_ms: i64, data: &[u8]) -> Vec<Record> {
    let parts = aggregate::split(data).unwrap_or_else(|| vec![(key.to_owned(), data.to_vec())]);
    let record = |(sub, (key, data))| Record {
        shard: shard.to_owned(),
        sequence: sequence.to_owned(),
        sub: sub as u64,
        key,
        arrived_ms,
        data,
    };
    parts.into_iter().enumerate().map(record).collect()
}
