//! Reads a Kinesis stream shard by shard, with the SDK.

use super::{Read, ReadFrom, Shard, Source};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::clock::{Now as _, SystemClock};
use crate::platform::errors::RemoteError;
use crate::stream::batch::StreamRecord;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use std::time::Duration;

/// A stream at a Kinesis endpoint.
#[derive(Clone, Debug)]
pub struct KinesisSource {
    client: Lazy<Client>,
    stream: String,
}

/// A position in a shard: an iterator, and where a new iterator begins when this one expires.
#[derive(Clone, Debug)]
pub struct KinesisCursor {
    shard: String,
    /// Where a new iterator begins when this one expires.
    pub at: ReadFrom,
    iterator: Option<String>,
}

impl KinesisSource {
    /// The stream called `stream`, at the endpoint and with the credentials of `config`.
    pub fn new(config: &SdkConfig, stream: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), stream: stream.into() }
    }

    /// How long the stream keeps a record.
    pub async fn retention(&self) -> Result<Duration, RemoteError> {
        let operation = || format!("DescribeStreamSummary {}", self.stream);
        let output = self.client.describe_stream_summary().stream_name(&self.stream).send().await;
        let summary = output.map_err(|error| remote_error(operation(), error))?.stream_description_summary;
        let hours = summary.and_then(|summary| u64::try_from(summary.retention_period_hours).ok());
        hours.map(Duration::from_hours).ok_or_else(|| incomplete(&operation(), "RetentionPeriodHours"))
    }

    async fn iterator(&self, shard: &str, at: &ReadFrom) -> Result<String, RemoteError> {
        let request = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let request = match at {
            ReadFrom::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            ReadFrom::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            ReadFrom::AtTimestamp(ms) => {
                let timestamp = aws_sdk_kinesis::primitives::DateTime::from_millis(*ms);
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(timestamp)
            }
            ReadFrom::After(sequence) => {
                let request = request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
                request.starting_sequence_number(sequence.to_string())
            }
        };
        let operation = || format!("GetShardIterator {}/{shard}", self.stream);
        let output = request.send().await.map_err(|error| remote_error(operation(), error))?;
        output.shard_iterator.ok_or_else(|| incomplete(&operation(), "ShardIterator"))
    }
}

impl Source for KinesisSource {
    type Cursor = KinesisCursor;

    async fn shards(&self) -> Result<Vec<Shard>, RemoteError> {
        let mut shards = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_shards();
            // A token identifies its stream: the API rejects a request with both.
            let request = match next.take() {
                Some(token) => request.next_token(token),
                None => request.stream_name(&self.stream),
            };
            let operation = || format!("ListShards {}", self.stream);
            let output = request.send().await.map_err(|error| remote_error(operation(), error))?;
            for shard in output.shards.unwrap_or_default() {
                shards.push(domain_shard(shard).ok_or_else(|| incomplete(&operation(), "usable hash key range"))?);
            }
            next = output.next_token;
            if next.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn open(&self, shard: &str, from: ReadFrom) -> Result<KinesisCursor, RemoteError> {
        let opened_ms = SystemClock.now_ms();
        let iterator = Some(self.iterator(shard, &from).await?);
        // A new iterator at "latest" would skip the records that have arrived since this one was made.
        let at = if from == ReadFrom::Latest { ReadFrom::AtTimestamp(opened_ms) } else { from };
        Ok(KinesisCursor { shard: shard.to_owned(), at, iterator })
    }

    async fn read(&self, cursor: &mut KinesisCursor, limit: usize) -> Result<Read, RemoteError> {
        let iterator = match cursor.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator(&cursor.shard, &cursor.at).await?,
        };
        let request = self.client.get_records().shard_iterator(&iterator).limit(limit as i32);
        let output = match request.send().await {
            Ok(output) => output,
            Err(error) => {
                // An iterator expires after five minutes. The next read makes a new one at the same position.
                let expired = error.as_service_error().is_some_and(GetRecordsError::is_expired_iterator_exception);
                cursor.iterator = (!expired).then_some(iterator);
                return Err(remote_error(format!("GetRecords {}/{}", self.stream, cursor.shard), error));
            }
        };
        let GetRecordsOutput { records, next_shard_iterator, millis_behind_latest, .. } = output;
        let records: Option<Vec<_>> = records.into_iter().map(domain_record).collect();
        let Some(records) = records else {
            cursor.iterator = Some(iterator);
            return Err(incomplete(&format!("GetRecords {}/{}", self.stream, cursor.shard), "usable record"));
        };
        if let Some(last) = records.last() {
            cursor.at = ReadFrom::After(last.sequence);
        }
        let ended = next_shard_iterator.is_none();
        cursor.iterator = next_shard_iterator;
        // A shard that has ended has nothing more to read, however long ago it ended.
        let behind_ms = if ended { 0 } else { millis_behind_latest.unwrap_or_default() };
        Ok(Read { records, behind_ms, ended })
    }
}

fn domain_shard(shard: aws_sdk_kinesis::types::Shard) -> Option<Shard> {
    let hash_keys = shard.hash_key_range?;
    let range = shard.sequence_number_range?;
    Some(Shard {
        id: shard.shard_id,
        parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
        hash_keys: (hash_keys.starting_hash_key.parse().ok()?, hash_keys.ending_hash_key.parse().ok()?),
        starting: range.starting_sequence_number.parse().ok(),
        ending: range.ending_sequence_number.and_then(|number| number.parse().ok()),
    })
}

fn domain_record(record: Record) -> Option<StreamRecord> {
    Some(StreamRecord {
        sequence: record.sequence_number.parse().ok()?,
        // A stream that distributes its records by itself has records without a key.
        partition_key: record.partition_key.unwrap_or_default().into(),
        arrived_ms: milliseconds(record.approximate_arrival_timestamp?),
        data: record.data.into_inner().into(),
    })
}

/// A time of arrival in milliseconds since the epoch. The wire has it as seconds in a floating-point number, which is
/// seldom the exact one: a part of 0.329 s comes as 328,999,996 ns.
fn milliseconds(time: aws_sdk_kinesis::primitives::DateTime) -> i64 {
    time.secs() * 1_000 + i64::from((time.subsec_nanos() + 500_000) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::primitives::DateTime;

    #[test]
    fn a_time_of_arrival_is_read_to_the_exact_millisecond() {
        for ms in (1_796_081_990_000..1_796_081_991_001).chain([0, 1, 253_402_300_799_999]) {
            assert_eq!(milliseconds(DateTime::from_secs_f64(ms as f64 / 1_000.0)), ms);
        }
    }
}
