//! What a run leaves behind, read back with parsers of its own: the code under test is no witness. Of the lake it is the
//! audit that tells, as it does in production.

pub mod aggregate;
pub mod letters;
mod objects;
pub mod results;
pub mod stream;

use crate::traffic::Planned;
use base64::Engine as _;
use myaku_operator::audit;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Everything that is compared.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What was sent, in the order of sending.
    pub sent: Vec<Sent>,
    /// The user records of the stream of messages, aggregates taken apart.
    pub stream: Vec<stream::Record>,
    /// What the audit says of the lake, held against the stream.
    pub audit: audit::Report,
    /// The user records of the stream of readings.
    pub readings: Vec<stream::Record>,
    /// The first and last hash key of each shard of that stream.
    pub readings_ranges: BTreeMap<String, (u128, u128)>,
    /// The dead letters.
    pub letters: Vec<letters::Letter>,
    /// The rows that hold the latest averages.
    pub results: Vec<results::Latest>,
    /// Whether Redis lost something of its memory, and nobody has rebuilt it.
    pub memory_lost: bool,
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The message, and what must come of it.
    pub planned: Planned,
    /// When it was handed to its client, in milliseconds since the epoch.
    pub published_ms: i64,
    /// Which record of the stream it is, by its bytes.
    pub fingerprint: Fingerprint,
}

impl Sent {
    /// `planned`, handed over at `published_ms`.
    pub fn new(planned: Planned, published_ms: i64) -> Self {
        let fingerprint = Fingerprint::of_record(&planned.record(published_ms));
        Self { planned, published_ms, fingerprint }
    }
}

/// What a record is, whoever put it on the stream: of a message, its device, facility, kind and the very bytes that
/// the device sent (its delivery id and time are made on the way); of anything else, all its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    device_id: String,
    facility: String,
    kind: String,
    payload: String,
}

impl Fingerprint {
    /// That of a record's bytes.
    pub fn of_record(data: &[u8]) -> Self {
        let envelope = serde_json::from_slice::<Envelope>(data).ok();
        let message = envelope.and_then(|envelope| {
            let payload = base64::engine::general_purpose::STANDARD.decode(&envelope.payload).ok()?;
            Some(Self::of_parts(&[
                envelope.device_id.as_bytes(),
                envelope.facility.as_bytes(),
                envelope.kind.as_bytes(),
                &payload,
            ]))
        });
        message.unwrap_or_else(|| Self::of_parts(&[data]))
    }

    fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_by_what_the_device_sent_and_not_by_what_was_added_on_the_way() {
        let message = |delivery: &str, payload: &str| {
            format!(
                r#"{{"deliveryId":"{delivery}","deviceId":"a","facility":"f","kind":"vital","receivedAt":1,"payload":"{payload}"}}"#
            )
        };
        let first = Fingerprint::of_record(message("1", "aGk=").as_bytes());
        assert_eq!(first, Fingerprint::of_record(message("2", "aGk=").as_bytes()));
        assert_ne!(first, Fingerprint::of_record(message("1", "aGkh").as_bytes()));
    }
}
