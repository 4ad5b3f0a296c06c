//! Parses the event of the topic rule: the gateway's bytes, and who sent them, where and when.

use crate::ingest::message::{MAX_ID, topic_level};
use crate::lake::dead_letter::Reason;
use crate::platform::clock::MAX_MS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A gateway's MQTT message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where the gateway is, as its topic says.
    pub facility: String,
    /// The gateway, as its topic names it.
    pub gateway: String,
    /// The MQTT client that published.
    pub client_id: Option<String>,
    /// When AWS IoT received it, in milliseconds since the epoch.
    pub received_at: Option<i64>,
    /// Exactly what the gateway sent.
    pub payload: Vec<u8>,
}

/// Why an event is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct UploadError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl UploadError {
    /// The reason of its dead letter.
    pub const fn reason(&self) -> Reason {
        Reason::NotAMessage
    }
}

impl Upload {
    /// Parses an event: `{"facility", "gateway", "clientId", "receivedAt", "payload"}`. Other fields are ignored.
    ///
    /// A rule whose SQL is older than `encode(*, 'base64')` passes the payload as JSON, which is accepted too. So the
    /// function and the template can be deployed one after the other. Without `receivedAt`, the caller's time counts.
    ///
    /// # Errors
    /// A field is missing or not valid.
    pub fn parse(event: &Value) -> Result<Self, UploadError> {
        let wrong = |field, problem: &str| UploadError { field, problem: problem.to_owned() };
        let level = |field| {
            let text = event[field].as_str().ok_or_else(|| wrong(field, "it is missing or not a string"))?;
            topic_level(text).map(|()| text.to_owned()).map_err(|why| wrong(field, why))
        };
        let payload = match &event["payload"] {
            Value::String(encoded) => STANDARD.decode(encoded).map_err(|_| wrong("payload", "it is not base64"))?,
            json @ (Value::Array(_) | Value::Object(_)) => json.to_string().into_bytes(),
            _ => return Err(wrong("payload", "it is missing, or neither base64 nor a JSON array or object")),
        };
        let client_id = match &event["clientId"] {
            Value::Null => None,
            Value::String(id) if (1..=MAX_ID).contains(&id.len()) && !id.contains(char::is_control) => Some(id.clone()),
            _ => return Err(wrong("clientId", "it must be a string of 1 to 128 bytes without control characters")),
        };
        let received_at = match &event["receivedAt"] {
            Value::Null => None,
            time => Some(
                time.as_i64()
                    .filter(|ms| (0..=MAX_MS).contains(ms))
                    .ok_or_else(|| wrong("receivedAt", "it must be a time in milliseconds since the epoch"))?,
            ),
        };
        Ok(Self { facility: level("facility")?, gateway: level("gateway")?, client_id, received_at, payload })
    }
}
