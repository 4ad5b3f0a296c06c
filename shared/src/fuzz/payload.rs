//! Checks the decoding of payloads with profiles.

use super::message::check_same_reading;
use super::{check_error, seeds};
use crate::device::profile::document::Format;
use crate::device::profile::{Decoded, MAX_VALUES, Profile, ProfileDocument};
use crate::ingest::message::Message;
use std::collections::HashSet;
use std::sync::LazyLock;

/// When the messages of targets were received and arrived, in milliseconds since the epoch.
const RECEIVED_MS: i64 = 1_795_218_892_020;

/// The sample profiles.
static PROFILES: LazyLock<Vec<Profile>> =
    LazyLock::new(|| seeds::PROFILES.iter().filter_map(|json| Profile::parse(json.as_bytes()).ok()).collect());

/// A profile for JSON, and the same profile for CBOR.
static TWINS: LazyLock<Option<(Profile, Profile)>> = LazyLock::new(|| {
    let mut document = ProfileDocument::parse(seeds::PROFILES[0].as_bytes()).ok()?;
    let json = Profile::compile(&document).ok()?;
    document.versions.iter_mut().for_each(|version| version.format = Format::Cbor);
    Some((json, Profile::compile(&document).ok()?))
});

/// Uses the first byte to choose a sample profile, and the others as a payload that it decodes.
pub fn payload(bytes: &[u8]) {
    assert_eq!(PROFILES.len(), seeds::PROFILES.len());
    let Some((first, payload)) = bytes.split_first() else { return };
    for rejected in decode(&PROFILES[usize::from(*first) % PROFILES.len()], &message(payload)).rejected {
        check_error(&rejected.detail);
    }
    check_json_as_cbor(payload);
}

/// Makes the message of a device with this payload.
pub(super) fn message(payload: &[u8]) -> Message {
    Message {
        delivery_id: "7d0c2a55".to_owned(),
        device_id: "bed-17".to_owned(),
        facility: "home-3".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: RECEIVED_MS,
        payload: payload.to_vec(),
        message_id: None,
        sender: None,
    }
}

/// Decodes a message, and checks the result.
pub(super) fn decode<'a>(profile: &'a Profile, message: &'a Message) -> Decoded<'a> {
    let decoded = profile.decode(message, RECEIVED_MS);
    assert_eq!(profile.decode(message, RECEIVED_MS), decoded);
    // In addition to values, the records as a whole and a cut record can be rejected.
    assert!(decoded.readings.len() + decoded.rejected.len() <= MAX_VALUES + 3);
    let ids: HashSet<_> = decoded.readings.iter().map(|reading| reading.id.as_str()).collect();
    assert_eq!(ids.len(), decoded.readings.len(), "two readings have the same id");
    decoded.readings.iter().for_each(check_same_reading);
    decoded
}

/// Checks that a payload means the same in JSON and in CBOR.
fn check_json_as_cbor(payload: &[u8]) {
    let Some((json, cbor)) = &*TWINS else { panic!("the sample profile does not compile for both formats") };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(payload) else { return };
    let mut encoded = Vec::new();
    if ciborium::into_writer(&value, &mut encoded).is_err() {
        return;
    }
    let summarize = |profile: &Profile, payload: &[u8]| {
        let message = message(payload);
        let decoded = decode(profile, &message);
        let rejected: Vec<_> = decoded.rejected.into_iter().map(|it| (it.reason, it.index, it.metric)).collect();
        let readings: Vec<_> = decoded
            .readings
            .into_iter()
            .map(|it| (it.metric.to_owned(), it.value, it.at, it.clock, it.quality))
            .collect();
        (readings, rejected)
    };
    assert_eq!(summarize(json, payload), summarize(cbor, &encoded));
}
