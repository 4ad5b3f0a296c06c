//! Writes the event that a function receives, byte for byte as Lambda writes it.

use super::settings::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use myaku::stream::batch::StreamRecord;

/// The extra fields of an event when the mapping has tumbling windows.
#[derive(Clone, Debug)]
pub(super) struct WindowFields {
    /// The window's start and end, in milliseconds since the epoch. The end is exclusive.
    pub(super) span_ms: (i64, i64),
    /// The state as JSON.
    pub(super) state: Bytes,
    pub(super) is_final: bool,
    pub(super) terminated_early: bool,
}

/// Writes the events of one shard. The parts that are the same in each record are formatted once.
#[derive(Debug)]
pub(super) struct EventWriter {
    shard: String,
    stream_arn: String,
    /// From the end of the arrival time to the sequence number in the event id.
    middle: String,
    /// From the end of the sequence number in the event id to the end of the record.
    end: String,
}

const START: &str = r#"{"Records":["#;
const RECORD: &str = r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"#;
const SEQUENCE: &str = r#","sequenceNumber":""#;
const DATA: &str = r#"","data":""#;
const ARRIVED: &str = r#"","approximateArrivalTimestamp":"#;

impl EventWriter {
    pub(super) fn new(settings: &Settings, shard: &str) -> Self {
        let (role, region, stream) = (&settings.role_arn, settings.region(), &settings.stream_arn);
        Self {
            shard: shard.to_owned(),
            stream_arn: stream.clone(),
            middle: format!(r#"}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{shard}:"#),
            end: format!(
                r#"","eventName":"aws:kinesis:record","invokeIdentityArn":"{role}","awsRegion":"{region}","eventSourceARN":"{stream}"}}"#
            ),
        }
    }

    /// The length of a record in an event with its comma, in bytes.
    pub(super) fn record_len(&self, record: &StreamRecord) -> usize {
        let digits = record.sequence.fixed_width().trim_start_matches('0').len().max(1);
        let fixed = RECORD.len() + SEQUENCE.len() + DATA.len() + ARRIVED.len() + self.middle.len() + self.end.len() + 1;
        let base64 = record.data.len().div_ceil(3) * 4;
        fixed + escaped(&record.partition_key).len() + 2 * digits + base64 + seconds(record.arrived_ms).len()
    }

    /// The length of an event without its records, in bytes.
    pub(super) fn frame_len(&self, window: Option<&WindowFields>) -> usize {
        START.len() + self.close(window).len()
    }

    /// Writes the event of these records.
    pub(super) fn write(&self, records: &[StreamRecord], window: Option<&WindowFields>) -> Bytes {
        let close = self.close(window);
        let size = records.iter().map(|record| self.record_len(record)).sum::<usize>() + START.len() + close.len();
        let mut text = String::with_capacity(size);
        text.push_str(START);
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            let sequence = record.sequence.to_string();
            let start = [RECORD, &escaped(&record.partition_key), SEQUENCE, &sequence, DATA];
            text.extend(start);
            STANDARD.encode_string(&record.data, &mut text);
            let rest = [ARRIVED, &seconds(record.arrived_ms), &self.middle, &sequence, &self.end];
            text.extend(rest);
        }
        text.push_str(&close);
        Bytes::from(text)
    }

    fn close(&self, window: Option<&WindowFields>) -> String {
        let Some(window) = window else { return "]}".to_owned() };
        let ((start, end), state) = (window.span_ms, String::from_utf8_lossy(&window.state));
        let WindowFields { is_final, terminated_early, .. } = window;
        format!(
            r#"],"window":{{"start":"{}","end":"{}"}},"state":{state},"shardId":"{}","eventSourceARN":"{}","isFinalInvokeForWindow":{is_final},"isWindowTerminatedEarly":{terminated_early}}}"#,
            instant(start),
            instant(end),
            self.shard,
            self.stream_arn,
        )
    }
}

/// A time as text, in UTC. Whole seconds have no fraction.
fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// A partition key as JSON.
fn escaped(key: &str) -> String {
    serde_json::Value::from(key).to_string()
}

/// Milliseconds as decimal seconds. Like Lambda, without trailing zeros.
fn seconds(ms: i64) -> String {
    let (whole, part) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    let digits = format!("{part:03}");
    let digits = digits.trim_end_matches('0');
    format!("{whole}.{}", if digits.is_empty() { "0" } else { digits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_source::StartingPosition;
    use myaku::stream::batch::Batch;
    use proptest::prelude::*;

    fn writer() -> EventWriter {
        let stream = "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream";
        let function = "arn:aws:lambda:us-east-2:123456789012:function:f";
        let mut settings = Settings::new("id", stream, function, StartingPosition::TrimHorizon);
        settings.role_arn = "arn:aws:iam::123456789012:role/lambda-role".to_owned();
        EventWriter::new(&settings, "shardId-000000000006")
    }

    fn record(key: &str, data: &[u8], arrived_ms: i64) -> StreamRecord {
        let sequence = "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
        StreamRecord { sequence, partition_key: key.into(), arrived_ms, data: data.to_vec().into() }
    }

    #[test]
    fn an_event_equals_the_example_of_the_developer_guide() {
        let event = writer().write(&[record("1", b"Hello, this is a test.", 1_545_084_650_987)], None);
        insta::assert_snapshot!(
            String::from_utf8_lossy(&event),
            @r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"49590338271490256608559692538361571095921575989136588898","data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"us-east-2","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}]}"#
        );
    }

    #[test]
    fn a_window_event_has_the_fields_of_the_developer_guide() {
        let window = WindowFields {
            span_ms: (1_607_497_440_000, 1_607_497_560_000),
            state: Bytes::from_static(br#"{"1":282}"#),
            is_final: false,
            terminated_early: false,
        };
        insta::assert_snapshot!(
            String::from_utf8_lossy(&writer().write(&[], Some(&window))),
            @r#"{"Records":[],"window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":{"1":282},"shardId":"shardId-000000000006","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream","isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false}"#
        );
    }

    proptest! {
        #[test]
        fn lengths_are_exact_and_a_batch_reads_back_the_same_records(
            records in prop::collection::vec((".{1,20}", prop::collection::vec(any::<u8>(), 0..40), 0_i64..4_000_000_000_000), 1..5)
        ) {
            let records: Vec<_> = records.iter().enumerate().map(|(index, (key, data, ms))| {
                // Numbers of different lengths, in order.
                StreamRecord { sequence: format!("{}", 9 + index).parse().unwrap(), ..record(key, data, *ms) }
            }).collect();
            let writer = writer();
            let event = writer.write(&records, None);
            let len = writer.frame_len(None) + records.iter().map(|record| writer.record_len(record)).sum::<usize>();
            // Each record is counted with a comma, but the last one has none.
            prop_assert_eq!(event.len(), len - 1);
            let batch = Batch::from_event(event).unwrap();
            prop_assert_eq!(&batch.shard, "shardId-000000000006");
            prop_assert_eq!(batch.records, records);
        }
    }
}
