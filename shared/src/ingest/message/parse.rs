//! Parses a record of `ingest`. Every field has a limit, and an error names its field.

use super::{BorrowedMessage, MAX_ID, MAX_MESSAGE_ID, MAX_PAYLOAD, MAX_SENDER};
use crate::lake::dead_letter::Reason;
use crate::platform::clock::MAX_MS;
use crate::platform::json;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The length of the longest payload in base64, in characters.
const MAX_ENCODED: usize = MAX_PAYLOAD.div_ceil(3) * 4;

/// Why a record is not a valid message. An error never shows the record's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not a JSON object.
    #[error("the record is not a message: {0}")]
    NotAnObject(String),
    /// A field is missing, has another type, or is not valid.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, as JSON names it.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A field is larger than its limit.
    #[error("{field}: it has {length} bytes; the limit is {limit}")]
    TooLarge {
        /// The field, as JSON names it.
        field: &'static str,
        /// Its length in bytes. The payload's length is that of its base64.
        length: usize,
        /// The greatest length.
        limit: usize,
    },
    /// The time of receipt is impossible.
    #[error("receivedAt: {0} is not from 0 to {MAX_MS} milliseconds since the epoch")]
    Time(i64),
}

impl MessageError {
    /// The reason of its dead letter.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotAnObject(_) | Self::Invalid { .. } => Reason::NotAMessage,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Time(_) => Reason::TimeBeyondBelief,
        }
    }

    fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}

/// The wire form, borrowed from the record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    delivery_id: Cow<'a, str>,
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    #[serde(borrow)]
    facility: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    client_id: Option<Cow<'a, str>>,
    received_at: i64,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow, default)]
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sender: Option<Cow<'a, str>>,
}

pub(super) fn message(record: &[u8]) -> Result<BorrowedMessage<'_>, MessageError> {
    let wire: Wire<'_> = serde_json::from_slice(record).map_err(|error| diagnose(record, &error))?;
    if !(0..=MAX_MS).contains(&wire.received_at) {
        return Err(MessageError::Time(wire.received_at));
    }
    text("deliveryId", &wire.delivery_id, MAX_ID)?;
    level("deviceId", &wire.device_id)?;
    level("facility", &wire.facility)?;
    level("kind", &wire.kind)?;
    wire.client_id.as_ref().map_or(Ok(()), |id| text("clientId", id, MAX_ID))?;
    let payload = payload(&wire.payload)?;
    wire.message_id.as_ref().map_or(Ok(()), |id| text("messageId", id, MAX_MESSAGE_ID))?;
    wire.sender.as_ref().map_or(Ok(()), |sender| text("sender", sender, MAX_SENDER))?;
    Ok(BorrowedMessage {
        delivery_id: wire.delivery_id,
        device_id: wire.device_id,
        facility: wire.facility,
        kind: wire.kind,
        client_id: wire.client_id,
        received_at: wire.received_at,
        payload: Cow::Owned(payload),
        message_id: wire.message_id,
        sender: wire.sender,
    })
}

fn payload(encoded: &str) -> Result<Vec<u8>, MessageError> {
    if encoded.len() > MAX_ENCODED {
        return Err(MessageError::TooLarge { field: "payload", length: encoded.len(), limit: MAX_ENCODED });
    }
    // The decoder's own error would show a byte of the payload.
    let bytes = base64_simd::STANDARD
        .decode_to_vec(encoded)
        .map_err(|_| MessageError::invalid("payload", "it is not base64"))?;
    if bytes.len() > MAX_PAYLOAD {
        return Err(MessageError::TooLarge { field: "payload", length: encoded.len(), limit: MAX_ENCODED });
    }
    Ok(bytes)
}

fn text(field: &'static str, value: &str, limit: usize) -> Result<(), MessageError> {
    if value.len() > limit {
        return Err(MessageError::TooLarge { field, length: value.len(), limit });
    }
    if value.is_empty() {
        return Err(MessageError::invalid(field, "it is empty"));
    }
    if has_control(value) {
        return Err(MessageError::invalid(field, "it has a control character"));
    }
    Ok(())
}

/// Checks a level of a topic. Commands go back to the device under the same name.
fn level(field: &'static str, value: &str) -> Result<(), MessageError> {
    text(field, value, MAX_ID)?;
    topic_level(value).map_err(|problem| MessageError::invalid(field, problem))
}

/// Checks whether a text can be a level of a topic, and so the id of a device.
///
/// # Errors
/// What is wrong with it, in words.
pub fn topic_level(value: &str) -> Result<(), &'static str> {
    if value.is_empty() || value.len() > MAX_ID {
        Err("it must have 1 to 128 bytes")
    } else if has_control(value) || value.bytes().any(|byte| matches!(byte, b'/' | b'+' | b'#')) {
        Err("it has a control character or one of `/`, `+` and `#`, which a topic level cannot have")
    } else {
        Ok(())
    }
}

/// Whether the text has a control character. Most texts are ASCII, for which a look at their bytes is enough.
fn has_control(value: &str) -> bool {
    !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.chars().any(char::is_control)
}

/// The fields that a message has.
const FIELDS: [&str; 9] =
    ["deliveryId", "deviceId", "facility", "kind", "payload", "clientId", "messageId", "receivedAt", "sender"];

/// Reads the known fields of an object, and forgets the others: there can be any number. The last of equal names counts.
fn known_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<&'static str, &'de RawValue>, D::Error> {
    struct Known;

    impl<'de> Visitor<'de> for Known {
        type Value = HashMap<&'static str, &'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = HashMap::new();
            while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &RawValue>()? {
                if let Some(known) = FIELDS.into_iter().find(|known| *known == name) {
                    fields.insert(known, value);
                }
            }
            Ok(fields)
        }
    }

    deserializer.deserialize_map(Known)
}

/// Finds the field that is wrong. It parses the record again, which only failures pay for, and keeps nothing of it.
fn diagnose(record: &[u8], error: &serde_json::Error) -> MessageError {
    if let Err(error) = json::check(record) {
        return MessageError::NotAnObject(format!("it is not JSON: {error}"));
    }
    let Ok(fields) = known_fields(&mut serde_json::Deserializer::from_slice(record)) else {
        return MessageError::NotAnObject("it is JSON, but not an object".to_owned());
    };
    let is_string = |value: &&RawValue| value.get().starts_with('"');
    for field in ["deliveryId", "deviceId", "facility", "kind", "payload"] {
        match fields.get(field) {
            Some(value) if is_string(value) => {}
            Some(_) => return MessageError::invalid(field, "it is not a string"),
            None => return MessageError::invalid(field, "it is missing"),
        }
    }
    for field in ["clientId", "messageId", "sender"] {
        if !fields.get(field).is_none_or(|value| value.get() == "null" || is_string(value)) {
            return MessageError::invalid(field, "it is not a string");
        }
    }
    match fields.get("receivedAt") {
        None => MessageError::invalid("receivedAt", "it is missing"),
        Some(time) if time.get().parse::<i64>().is_err() => {
            MessageError::invalid("receivedAt", "it is not a whole number")
        }
        // The remaining cause is a duplicate key. If its values have two types, the parser's error would show the first
        // value.
        Some(_) if error.to_string().starts_with("duplicate field") => MessageError::NotAnObject(error.to_string()),
        Some(_) => MessageError::NotAnObject("a key occurs twice, once with a value of another type".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn with(field: &str, value: Value) -> Vec<u8> {
        let mut record = json!({"deliveryId": "d-1", "deviceId": "bed-17", "facility": "home-3", "kind": "vital",
            "clientId": null, "receivedAt": 1_795_218_892_020_i64, "payload": ""});
        record[field] = value;
        serde_json::to_vec(&record).unwrap()
    }

    fn error(record: &[u8]) -> (String, Reason) {
        let error = message(record).unwrap_err();
        (error.to_string(), error.reason())
    }

    #[test]
    fn the_error_of_a_broken_limit_names_the_field() {
        for (field, value, words, reason) in [
            ("deviceId", json!("x".repeat(10_000)), "deviceId: it has 10000 bytes; the limit is 128", Reason::TooLarge),
            ("deviceId", json!("bed\u{0}17"), "deviceId: it has a control character", Reason::NotAMessage),
            ("deviceId", json!(""), "deviceId: it is empty", Reason::NotAMessage),
            ("deviceId", json!(17), "deviceId: it is not a string", Reason::NotAMessage),
            ("deliveryId", json!("d\u{9b}"), "deliveryId: it has a control character", Reason::NotAMessage),
            ("messageId", json!("m".repeat(257)), "messageId: it has 257 bytes; the limit is 256", Reason::TooLarge),
            ("sender", json!("s".repeat(257)), "sender: it has 257 bytes; the limit is 256", Reason::TooLarge),
            ("sender", json!(7), "sender: it is not a string", Reason::NotAMessage),
            ("clientId", json!(["gw"]), "clientId: it is not a string", Reason::NotAMessage),
            ("payload", json!("a"), "payload: it is not base64", Reason::NotAMessage),
            ("payload", json!(null), "payload: it is not a string", Reason::NotAMessage),
            ("receivedAt", json!("now"), "receivedAt: it is not a whole number", Reason::NotAMessage),
            ("receivedAt", json!(1.5), "receivedAt: it is not a whole number", Reason::NotAMessage),
            ("receivedAt", json!(u64::MAX), "receivedAt: it is not a whole number", Reason::NotAMessage),
        ] {
            assert_eq!(error(&with(field, value)), (words.to_owned(), reason));
        }
        for (field, level) in [("kind", "a/b"), ("facility", "+"), ("deviceId", "bed#17")] {
            let (words, _) = error(&with(field, json!(level)));
            assert!(words.starts_with(&format!("{field}: it has a control character or one of")), "{words}");
        }
        for time in [-1, MAX_MS + 1, i64::MIN] {
            let expected = format!("receivedAt: {time} is not from 0 to 253402300799999 milliseconds since the epoch");
            assert_eq!(error(&with("receivedAt", json!(time))), (expected, Reason::TimeBeyondBelief));
        }
    }

    #[test]
    fn a_payload_has_at_most_a_mebibyte() {
        let fits = STANDARD.encode(vec![7; MAX_PAYLOAD]);
        assert_eq!(message(&with("payload", json!(fits))).unwrap().payload.len(), MAX_PAYLOAD);
        for length in [MAX_PAYLOAD + 1, MAX_PAYLOAD * 2] {
            let (words, reason) = error(&with("payload", json!(STANDARD.encode(vec![7; length]))));
            assert!(words.starts_with("payload: it has "), "{words}");
            assert_eq!(reason, Reason::TooLarge);
        }
    }

    proptest! {
        #[test]
        fn base64_is_checked_as_strictly_as_by_another_decoder(
            text in "[A-Da-d0-2+/=]{0,9}",
            bytes: Vec<u8>,
            damage in prop::option::of((any::<prop::sample::Index>(), "[A-Z=_ -]")),
        ) {
            let mut encoded = STANDARD.encode(bytes);
            if let Some((at, with)) = damage.filter(|_| !encoded.is_empty()) {
                let at = at.index(encoded.len());
                encoded.replace_range(at..=at, &with);
            }
            for text in [text, encoded] {
                prop_assert_eq!(payload(&text).ok(), STANDARD.decode(&text).ok(), "{}", text);
            }
        }
    }

    #[test]
    fn the_error_for_a_record_that_is_not_a_message_does_not_show_the_record() {
        for record in [&b""[..], b"secret", b"[1]", b"\xff\xfe", b"{\"deviceId\":", b"null"] {
            let (words, reason) = error(record);
            assert!(words.starts_with("the record is not a message: "), "{words}");
            assert!(!words.contains("secret"));
            assert_eq!(reason, Reason::NotAMessage);
        }
        assert_eq!(error(b"{}").0, "deliveryId: it is missing");
        let deep = "[".repeat(200_000);
        assert!(error(deep.as_bytes()).0.contains("it nests too deeply"));
    }

    #[test]
    fn the_error_for_a_duplicate_key_does_not_show_its_values() {
        let twice = |first: &str| {
            let record = String::from_utf8(with("traceId", Value::Null)).unwrap();
            error(record.replacen('{', &format!("{{\"kind\":{first},"), 1).as_bytes()).0
        };
        assert!(twice("\"secret\"").contains("duplicate field `kind`"), "{}", twice("\"secret\""));
        for first in ["[\"secret\"]", "17"] {
            assert_eq!(
                twice(first),
                "the record is not a message: a key occurs twice, once with a value of another type",
                "{first}"
            );
        }
        let time = br#"{"receivedAt":"secret","deliveryId":"d","deviceId":"b","facility":"h","kind":"v","payload":"","receivedAt":1}"#;
        assert!(!error(time).0.contains("secret"));
    }

    #[test]
    fn unknown_keys_and_null_client_ids_are_allowed() {
        assert_eq!(message(&with("traceId", json!("t"))).unwrap().client_id, None);
    }
}
