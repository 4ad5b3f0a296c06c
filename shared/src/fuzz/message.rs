//! Checks the reading of the records of both streams.

use super::check_error;
use super::near::near;
use crate::device::decoding::Content;
use crate::device::reading::Reading;
use crate::ingest::message::{MAX_ID, MAX_MESSAGE_ID, MAX_PAYLOAD, Message, MessageRef};
use crate::stream::batch::{SequenceNumber, UserRecord};
use serde::Serialize;
use std::fmt::Debug;

/// Uses the bytes as a record of `ingest`.
pub fn message(bytes: &[u8]) {
    let parsed = Message::parse(bytes);
    match &parsed {
        Ok(message) => {
            let Message { delivery_id, device_id, facility, kind, client_id, message_id, payload, .. } = message;
            let ids = [delivery_id, device_id, facility, kind].into_iter().chain(client_id);
            assert!(ids.into_iter().all(|id| (1..=MAX_ID).contains(&id.len())));
            assert!(message_id.as_ref().is_none_or(|id| (1..=MAX_MESSAGE_ID).contains(&id.len())));
            assert!(payload.len() <= MAX_PAYLOAD && payload.len() <= bytes.len());
            assert_eq!(Message::parse(message.to_json().as_bytes()).as_ref(), Ok(message));
        }
        Err(error) => check_error(&error.to_string()),
    }
    // The text before the first line feed is the partition key, so that the fuzzer also tries sources.
    let key = bytes.split(|byte| *byte == b'\n').next().map(String::from_utf8_lossy).unwrap_or_default();
    let record = UserRecord {
        record: 0,
        sequence: &SequenceNumber::ZERO,
        sub: 7,
        partition_key: &key,
        arrived_ms: 1,
        data: bytes,
    };
    match Content::of(&record) {
        Content::Message(message) => assert_eq!(Ok(MessageRef::from(&message)), parsed.as_ref().map(MessageRef::from)),
        Content::Foreign(foreign, problem) => {
            assert!(parsed.is_err());
            check_error(&problem.detail);
            assert_eq!((&*foreign.payload, foreign.received_at), (bytes, 1));
            assert!((1..=MAX_ID).contains(&foreign.device_id.len()));
        }
        Content::Unreadable(problem) => {
            assert!(parsed.is_err());
            check_error(&problem.detail);
        }
    }
}

/// Uses the bytes as a record of `readings`.
pub fn reading(bytes: &[u8]) {
    let Ok(reading) = Reading::parse(bytes) else { return };
    check_same_reading(&reading);
}

/// Checks that a reading that is written and parsed again is the same.
pub(super) fn check_same_reading<T: AsRef<str> + Debug + Serialize>(reading: &Reading<T>) {
    let again = reading.to_json().and_then(|json| Reading::parse(&json));
    let values = (serde_json::to_value(reading), serde_json::to_value(again.as_ref().ok()));
    let (Ok(one), Ok(other)) = values else { panic!("{reading:?} cannot be written") };
    assert!(near(&one, &other), "{one} is parsed as {again:?}");
}
