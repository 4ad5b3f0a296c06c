//! Recognises a message on the stream, in the lake and among the dead letters by what the device sent.

use base64::Engine as _;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Identifies a record, by whichever way it came to the stream. For a message it is a hash of the device, the facility,
/// the kind and the bytes that the device sent, without the delivery id and the time, which are added on the way. For
/// any other record it is a hash of all bytes.
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
    /// The fingerprint of a record's bytes.
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
    fn a_fingerprint_covers_what_the_device_sent_and_nothing_that_was_added_on_the_way() {
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
