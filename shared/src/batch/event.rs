//! The Kinesis event of Lambda, read into a [`Batch`].
//!
//! A type of ours, because the arrival time of `aws_lambda_events` is wrong where trailing zeros were dropped. Texts are
//! borrowed from the event and each record's data is decoded once, straight into its own bytes.

use super::{Batch, SequenceNumber, StreamRecord};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// The end of the year 9999: beyond it, a time has no date in four digits.
const SECONDS_MAX: f64 = 253_402_300_799.0;

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
    /// `arn:<partition>:kinesis:<region>:<account>:stream/<name>`, with `/consumer/…` behind it under enhanced fan-out.
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
    data: Base64,
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
                stream_of(&record.event_source_arn).ok_or_else(|| wrong("eventSourceARN names no Kinesis stream"))?;
            let (shard, _) = record.event_id.split_once(':').ok_or_else(|| wrong("eventID names no shard"))?;
            if index == 0 {
                stream.clone_into(&mut batch.stream);
                shard.clone_into(&mut batch.shard);
            } else if batch.stream != stream || batch.shard != shard {
                return Err(wrong("it is of another shard than the records before it"));
            }
            let record = record.kinesis.record().map_err(|what| wrong(&what))?;
            // A batch is a stretch of its shard: what is archived or counted by position rests on it.
            let before = batch.records.last().map_or(SequenceNumber::ZERO, |before| before.sequence);
            if before >= record.sequence {
                return Err(wrong("sequenceNumber is not above the one before it"));
            }
            batch.records.push(record);
        }
        Ok(batch)
    }
}

impl Kinesis<'_> {
    fn record(self) -> Result<StreamRecord, String> {
        let seconds = self.approximate_arrival_timestamp;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(format!("approximateArrivalTimestamp {seconds} is no time in seconds since the epoch"));
        }
        Ok(StreamRecord {
            sequence: self.sequence_number.parse::<SequenceNumber>().map_err(|error| error.to_string())?,
            partition_key: self.partition_key.into_owned(),
            // Milliseconds of this century need 41 of a double's 53 bits: the nearest one is the one that was meant.
            arrived_ms: (seconds * 1_000.0).round() as i64,
            data: self.data.0,
        })
    }
}

/// The stream's name in its ARN or in that of one of its consumers.
fn stream_of(arn: &str) -> Option<&str> {
    let (service, resource) = arn.split_once(":stream/")?;
    let name = resource.split('/').next()?;
    (service.contains(":kinesis:") && !name.is_empty()).then_some(name)
}

/// Bytes that stand as base64 in the event.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decode;

        impl Visitor<'_> for Decode {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Base64, E> {
                STANDARD.decode(text).map(Base64).map_err(|error| E::custom(format_args!("data is no base64: {error}")))
            }
        }

        deserializer.deserialize_str(Decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpl;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const SHARD: &str = "shardId-000000000006";

    fn record(sequence: &str, arrived: &str, data: &[u8]) -> Value {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "key",
                "sequenceNumber": sequence,
                "data": STANDARD.encode(data),
                "approximateArrivalTimestamp": serde_json::from_str::<Value>(arrived).unwrap(),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{SHARD}:{sequence}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/ingest",
        })
    }

    fn read(records: &[Value]) -> Result<Batch, String> {
        let text = json!({ "Records": records }).to_string();
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn arrival_is_in_milliseconds_also_where_trailing_zeros_were_dropped_or_a_double_is_not_exact() {
        for (text, ms) in [
            ("1545084650.987", 1_545_084_650_987),
            ("1545084650.9", 1_545_084_650_900),
            ("1545084650.98", 1_545_084_650_980),
            ("1545084650", 1_545_084_650_000),
            ("1545084650.0", 1_545_084_650_000),
            ("1545084650.9999999", 1_545_084_651_000),
            ("1545084650.001", 1_545_084_650_001),
            ("1.545084650987E9", 1_545_084_650_987),
            ("0", 0),
        ] {
            assert_eq!(read(&[record("1", text, b"")]).unwrap().records[0].arrived_ms, ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_millisecond_of_this_century_reads_back(ms in 946_684_800_000..4_102_444_800_000_i64) {
            let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
            prop_assert_eq!(read(&[record("1", &text, b"")]).unwrap().records[0].arrived_ms, ms);
            let short = text.trim_end_matches('0').trim_end_matches('.');
            prop_assert_eq!(read(&[record("1", short, b"")]).unwrap().records[0].arrived_ms, ms);
        }
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        for bad in ["-1", "1e300"] {
            let error = read(&[record("1", bad, b"")]).unwrap_err();
            assert!(error.contains("Records[0]: approximateArrivalTimestamp"), "{error}");
        }
    }

    #[test]
    fn escaped_texts_are_read() {
        let mut escaped = record("1", "1", b"\xFF\xFE?>");
        escaped["kinesis"]["partitionKey"] = json!("a \"key\"\n脈");
        let text = json!({ "Records": [escaped] }).to_string().replace('/', "\\/");
        let batch: Batch = serde_json::from_str(&text).unwrap();
        assert_eq!(batch.records[0].partition_key, "a \"key\"\n脈");
        assert_eq!(batch.records[0].data, b"\xFF\xFE?>");
        assert_eq!(batch.stream, "ingest");
    }

    #[test]
    fn an_event_reads_the_same_from_a_value_that_owns_its_texts() {
        let event = json!({ "Records": [record("1", "1.5", b"x"), record("2", "2.5", b"")] });
        let borrowed: Batch = serde_json::from_str(&event.to_string()).unwrap();
        assert_eq!(serde_json::from_value::<Batch>(event).unwrap(), borrowed);
    }

    #[test]
    fn the_stream_is_named_in_a_consumers_arn_too() {
        let mut consumer = record("1", "1", b"");
        consumer["eventSourceARN"] =
            json!("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/ingest/consumer/readers:1545084650");
        let batch = read(&[consumer]).unwrap();
        assert_eq!((batch.stream.as_str(), batch.shard.as_str()), ("ingest", SHARD));
    }

    #[test]
    fn a_record_of_another_shard_or_stream_is_an_error_that_names_it() {
        let mut other = record("2", "1", b"");
        other["eventID"] = json!("shardId-000000000007:2");
        let error = read(&[record("1", "1", b""), other]).unwrap_err();
        assert!(error.contains("Records[1]: it is of another shard"), "{error}");
        let mut other = record("2", "1", b"");
        other["eventSourceARN"] = json!("arn:aws:kinesis:eu-west-1:123456789012:stream/readings");
        assert!(read(&[record("1", "1", b""), other]).unwrap_err().contains("Records[1]"));
    }

    #[test]
    fn sequence_numbers_that_do_not_ascend_are_an_error() {
        assert!(read(&[record("0", "1", b"")]).unwrap_err().contains("Records[0]: sequenceNumber"), "none is below 1");
        for second in ["9", "10"] {
            let error = read(&[record("10", "1", b""), record(second, "1", b"")]).unwrap_err();
            assert!(error.contains("Records[1]: sequenceNumber"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_or_no_kinesis_event_is_said() {
        for field in ["partitionKey", "sequenceNumber", "data", "approximateArrivalTimestamp"] {
            let mut without = record("1", "1", b"");
            without["kinesis"].as_object_mut().unwrap().remove(field);
            let error = read(&[without]).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
        for (field, value) in [("eventID", "no shard"), ("eventSourceARN", "arn:aws:sqs:eu-west-1:1:queue")] {
            let mut wrong = record("1", "1", b"");
            wrong[field] = json!(value);
            assert!(read(&[wrong]).unwrap_err().contains(field));
        }
        let mut wrong = record("1", "1", b"");
        wrong["kinesis"]["data"] = json!("?");
        assert!(read(&[wrong]).unwrap_err().contains("data is no base64"));
        assert!(serde_json::from_str::<Batch>("{}").unwrap_err().to_string().contains("Records"));
        assert_eq!(read(&[]).unwrap().records, []);
    }

    #[test]
    fn user_records_have_their_place_within_the_aggregate_and_the_record_to_retry_from() {
        let aggregate = kpl::encode([("a", &b"1"[..]), ("b", b"2")]);
        let broken = &aggregate[..aggregate.len() - 1];
        let batch = read(&[
            record("10", "1.5", b"plain"),
            record("11", "2.5", &aggregate),
            record("12", "3.5", broken),
            record("13", "3.5", b""),
        ])
        .unwrap();
        let seen: Vec<_> = batch
            .user_records()
            .map(|user| (user.record, format!("{:?}", user.position), user.partition_key, user.arrived_ms, user.data))
            .collect();
        assert_eq!(
            seen,
            [
                (0, "10.0".to_owned(), "key", 1_500, &b"plain"[..]),
                (1, "11.0".to_owned(), "a", 2_500, b"1"),
                (1, "11.1".to_owned(), "b", 2_500, b"2"),
                (2, "12.0".to_owned(), "key", 3_500, broken),
                (3, "13.0".to_owned(), "key", 3_500, b""),
            ]
        );
    }
}
