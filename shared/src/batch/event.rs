//! The Kinesis event of Lambda, read into a [`Batch`].
//!
//! A type of ours, because the arrival time of `aws_lambda_events` is wrong where trailing zeros were dropped.

use super::{Batch, SequenceNumber, StreamRecord};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de::Error as _};
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
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
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

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Event::deserialize(deserializer)?;
        let mut batch =
            Self { stream: String::new(), shard: String::new(), records: Vec::with_capacity(event.records.len()) };
        for (index, record) in event.records.into_iter().enumerate() {
            let wrong = |what: &str| D::Error::custom(format!("Records[{index}]: {what}"));
            let stream =
                record.event_source_arn.rsplit_once(":stream/").map(|(_, name)| name.split('/').next().unwrap_or(name));
            let stream = stream.ok_or_else(|| wrong("eventSourceARN names no Kinesis stream"))?;
            let (shard, _) = record.event_id.split_once(':').ok_or_else(|| wrong("eventID names no shard"))?;
            if index == 0 {
                stream.clone_into(&mut batch.stream);
                shard.clone_into(&mut batch.shard);
            } else if batch.stream != stream || batch.shard != shard {
                return Err(wrong("it is of another shard than the records before it"));
            }
            let kinesis = record.kinesis;
            batch.records.push(StreamRecord {
                sequence: kinesis.sequence_number.parse::<SequenceNumber>().map_err(D::Error::custom)?,
                partition_key: kinesis.partition_key.into_owned(),
                // Milliseconds of this century need 41 of a double's 53 bits: rounding is exact.
                arrived_ms: (kinesis.approximate_arrival_timestamp * 1_000.0).round() as i64,
                data: STANDARD
                    .decode(kinesis.data.as_bytes())
                    .map_err(|error| wrong(&format!("data is no base64: {error}")))?,
            });
        }
        Ok(batch)
    }
}
