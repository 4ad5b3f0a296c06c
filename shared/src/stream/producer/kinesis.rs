//! Puts records on a Kinesis stream, with the SDK.

use super::{Entry, PutOutcome, PutRecords};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::shard_map::HashKeyRange;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry, Shard, ShardFilter, ShardFilterType};

/// One stream, by its name.
#[derive(Clone, Debug)]
pub struct KinesisStream {
    client: Lazy<Client>,
    name: String,
}

impl KinesisStream {
    /// The stream `name`.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), name: name.into() }
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PutRecords for KinesisStream {
    async fn put_records(&self, entries: &[Entry]) -> Result<Vec<PutOutcome>, RemoteError> {
        let operation = || format!("PutRecords to {}", self.name);
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let record = PutRecordsRequestEntry::builder()
                .partition_key(&entry.partition_key)
                .set_explicit_hash_key(entry.explicit_hash_key.map(|hash| hash.to_string()))
                .data(Blob::new(entry.data.clone()))
                .build();
            records.push(record.map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?);
        }
        let answer = self.client.put_records().stream_name(&self.name).set_records(Some(records)).send().await;
        let answer = answer.map_err(|error| remote_error(operation(), error))?;
        Ok(answer.records.into_iter().map(outcome).collect())
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        let operation = || format!("ListShards of {}", self.name);
        let mut ranges = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = self.client.list_shards();
            // A token identifies its stream: the API rejects a request with both.
            let call = if let Some(token) = next {
                call.next_token(token)
            } else {
                let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
                let open = open.map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
                call.stream_name(&self.name).shard_filter(open)
            };
            let page = call.send().await.map_err(|error| remote_error(operation(), error))?;
            for shard in page.shards.unwrap_or_default() {
                // A server that does not know the filter lists closed shards as well.
                if shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_some()) {
                    continue;
                }
                ranges.push(range(shard).ok_or_else(|| incomplete(&operation(), "hash key range"))?);
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(ranges);
            }
        }
    }
}

fn outcome(entry: PutRecordsResultEntry) -> PutOutcome {
    match (entry.error_code, entry.shard_id) {
        (None, Some(shard)) => PutOutcome::Put { shard },
        (code, _) => PutOutcome::Refused { code: code.unwrap_or_else(|| "no shard in the answer".to_owned()) },
    }
}

fn range(shard: Shard) -> Option<HashKeyRange> {
    let keys = shard.hash_key_range?;
    Some(HashKeyRange {
        shard: shard.shard_id,
        start: keys.starting_hash_key.parse().ok()?,
        end: keys.ending_hash_key.parse().ok()?,
    })
}
