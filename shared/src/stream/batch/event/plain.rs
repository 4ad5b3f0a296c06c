//! Reads an event in any form of JSON.

use super::{EventError, SECONDS_MAX, invalid_base64, invalid_record, shard_of, stream_of};
use crate::stream::batch::{Batch, StreamRecord};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<EventRecord<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord<'a> {
    #[serde(borrow)]
    kinesis: Kinesis<'a>,
    /// `<shard>:<sequence number>`.
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    /// `arn:<partition>:kinesis:<region>:<account>:stream/<name>`, followed by `/consumer/…` under enhanced fan-out.
    #[serde(rename = "eventSourceARN", borrow)]
    event_source_arn: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis<'a> {
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    /// Seconds since the epoch with up to three decimals.
    approximate_arrival_timestamp: f64,
}

/// Reads any event.
pub(super) fn read(event: &[u8]) -> Result<Batch, EventError> {
    let event: Event<'_> = serde_json::from_slice(event)?;
    let mut batch =
        Batch { stream: String::new(), shard: String::new(), records: Vec::with_capacity(event.records.len()) };
    for (index, record) in event.records.into_iter().enumerate() {
        let stream = stream_of(&record.event_source_arn);
        let stream =
            stream.ok_or_else(|| invalid_record(index, "eventSourceARN is not the ARN of a Kinesis stream"))?;
        let shard = shard_of(&record.event_id).ok_or_else(|| invalid_record(index, "eventID does not name a shard"))?;
        if index == 0 {
            stream.clone_into(&mut batch.stream);
            shard.clone_into(&mut batch.shard);
        } else if batch.stream != stream || batch.shard != shard {
            return Err(invalid_record(index, "it belongs to another shard than the records before it"));
        }
        batch.append(record.kinesis.record(index)?)?;
    }
    Ok(batch)
}

impl Kinesis<'_> {
    fn record(self, index: usize) -> Result<StreamRecord, EventError> {
        Ok(StreamRecord {
            sequence: self
                .sequence_number
                .parse()
                .map_err(|error| invalid_record(index, format!("sequenceNumber: {error}")))?,
            arrived_ms: arrived_ms(self.approximate_arrival_timestamp, index)?,
            partition_key: self.partition_key.into_owned().into(),
            data: STANDARD.decode(self.data.as_bytes()).map_err(|_| invalid_base64(index))?.into(),
        })
    }
}

fn arrived_ms(seconds: f64, index: usize) -> Result<i64, EventError> {
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        // Milliseconds of this century need 41 of a double's 53 bits, so rounding gives the exact millisecond.
        Ok((seconds * 1_000.0).round() as i64)
    } else {
        Err(invalid_record(
            index,
            format!("approximateArrivalTimestamp {seconds} is not a time in seconds since the epoch"),
        ))
    }
}
