//! Checks the reading of Kinesis events.

use crate::stream::batch::{Batch, SequenceNumber};
use crate::stream::kpl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Uses the bytes as an event. The fast reader and the plain one must agree, and each record must be what the JSON
/// says.
pub fn event(bytes: &[u8]) {
    let batch = Batch::from_event(bytes.to_vec()).ok();
    // Lambda's JSON has no spaces, so the fast reader leaves this one to the plain reader.
    let spaced = [bytes, b" "].concat();
    assert_eq!(batch, Batch::from_event(spaced).ok(), "the fast reader and the plain one disagree");
    let Some(batch) = batch else { return };
    // `Value` cannot hold a number beyond the range of a double, which may be in a field that is not read.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    check_records(&batch, &value);
    check_user_records(&batch);
}

fn check_records(batch: &Batch, event: &Value) {
    let records = event["Records"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(batch.records.len(), records.len());
    let mut before = SequenceNumber::ZERO;
    for (record, plain) in batch.records.iter().zip(records) {
        let (kinesis, id) = (&plain["kinesis"], plain["eventID"].as_str().unwrap_or_default());
        let arn = plain["eventSourceARN"].as_str().unwrap_or_default();
        assert_eq!(id.split_once(':').map(|(shard, _)| shard), Some(&*batch.shard));
        assert!(!batch.stream.is_empty() && arn.contains(&format!(":stream/{}", batch.stream)));
        assert_eq!(kinesis["sequenceNumber"].as_str().and_then(|text| text.parse().ok()), Some(record.sequence));
        assert_eq!(kinesis["partitionKey"].as_str(), Some(&*record.partition_key));
        assert_eq!(
            kinesis["data"].as_str().and_then(|text| STANDARD.decode(text).ok()).as_deref(),
            Some(&*record.data)
        );
        let seconds = kinesis["approximateArrivalTimestamp"].as_f64().unwrap_or(f64::NAN);
        assert!((seconds * 1_000.0 - record.arrived_ms as f64).abs() <= 1.0 && record.arrived_ms >= 0);
        assert!(before < record.sequence, "records are not in ascending order");
        before = record.sequence;
    }
}

/// Checks that the user records of a batch are those of each of its records alone.
fn check_user_records(batch: &Batch) {
    let mut users = batch.user_records();
    let mut before = None;
    for (index, record) in (0..).zip(&batch.records) {
        let mut sent: Vec<(&str, &[u8])> = Vec::new();
        match kpl::decode(&record.data) {
            Some(aggregate) => sent.extend(aggregate.into_iter().map(|(key, _, data)| (key, data))),
            None => sent.push((&record.partition_key, &record.data)),
        }
        for (sub, (key, data)) in (0..).zip(sent) {
            let user = users.next();
            let Some(user) = user else { panic!("user record {sub} of record {index} is missing") };
            assert_eq!((user.record, *user.sequence, user.sub), (index, record.sequence, sub));
            assert_eq!((user.partition_key, user.data, user.arrived_ms), (key, data, record.arrived_ms));
            assert!(before < Some(user.position()), "positions are not in ascending order");
            before = Some(user.position());
        }
    }
    assert_eq!(users.next(), None);
}
