//! Disturbs the pipeline while traffic runs: splits shards and kills functions.

use anyhow::{Context as _, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{Shard, StreamStatus};
use myaku_local::function::Function;
use serde::Serialize;
use std::time::Duration;

/// Between two checks whether a stream is active again.
const POLL: Duration = Duration::from_millis(100);
/// How long a split may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A disturbance that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disturbance {
    /// How long after the first message, in milliseconds.
    pub after_ms: u64,
    /// What it was, in words.
    pub what: String,
}

/// Splits the widest open shard of `stream` at a third of its hash keys, which is within a slot. Returns what was done, in
/// words.
pub async fn split(client: &Client, stream: &str) -> Result<String> {
    let shards = open_shards(client, stream).await?;
    let ranges = shards.iter().filter_map(|shard| Some((shard, range(shard)?)));
    let (shard, (first, last)) =
        ranges.max_by_key(|(_, (first, last))| last - first).with_context(|| format!("{stream} has no open shard"))?;
    let third = first + (last - first) / 3;
    client
        .split_shard()
        .stream_name(stream)
        .shard_to_split(shard.shard_id())
        .new_starting_hash_key(third.to_string())
        .send()
        .await
        .with_context(|| format!("cannot split {} of {stream}", shard.shard_id()))?;
    tokio::time::timeout(PATIENCE, wait_until_active(client, stream))
        .await
        .with_context(|| format!("{stream} was not active again within {} s after a split", PATIENCE.as_secs()))??;
    let now = open_shards(client, stream).await?.len();
    Ok(format!("split {} of {stream}: {} open shards became {now}", shard.shard_id(), shards.len()))
}

/// Kills one environment of `function`, as `kill -9` does. Returns what was done, in words.
pub fn kill(name: &str, function: &Function) -> String {
    match function.kill_one() {
        Some(pid) => format!("killed an environment of {name} (process {pid})"),
        None => format!("killed nothing: {name} has no environment"),
    }
}

async fn wait_until_active(client: &Client, stream: &str) -> Result<()> {
    loop {
        let summary = client.describe_stream_summary().stream_name(stream).send().await?;
        let status = summary.stream_description_summary().map(|description| description.stream_status().clone());
        if status == Some(StreamStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn open_shards(client: &Client, stream: &str) -> Result<Vec<Shard>> {
    let answer = client.list_shards().stream_name(stream).send().await.context("ListShards failed")?;
    let is_open =
        |shard: &&Shard| shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none());
    Ok(answer.shards().iter().filter(is_open).cloned().collect())
}

/// The first and last hash key of a shard.
fn range(shard: &Shard) -> Option<(u128, u128)> {
    let range = shard.hash_key_range()?;
    Some((range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?))
}
