//! Documents of the registry: profiles and devices.

use super::near::near;
use super::payload::{decode, message};
use crate::device::profile::{Problem, Profile, ProfileDocument};
use crate::device::registry::{device_document, parse_device, profile_document};

/// Bytes as a profile's document and, behind a NUL, a payload that it is to read; and as a device.
pub fn profile(bytes: &[u8]) {
    let (json, payload) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    match ProfileDocument::parse(json) {
        Ok(document) => sound(&document, payload),
        Err(problem) => named(&[problem]),
    }
    let Ok(json) = std::str::from_utf8(json) else { return };
    match parse_device(json) {
        Ok(device) => {
            let stored = device_document(&device).map(|(key, json)| (key.id, parse_device(&json)));
            assert_eq!(stored, Ok((device.device_id.clone(), Ok(device))));
        }
        Err(problems) => named(&problems),
    }
}

fn sound(document: &ProfileDocument, payload: &[u8]) {
    let Ok(json) = serde_json::to_vec(document) else { panic!("{document:?} cannot be written") };
    let again = ProfileDocument::parse(&json);
    let values = (serde_json::to_value(document), serde_json::to_value(again.as_ref().ok()));
    assert!(matches!(&values, (Ok(one), Ok(other)) if near(one, other)), "{document:?} reads as {again:?}");
    match Profile::compile(document) {
        Ok(profile) => {
            assert_eq!(profile.metrics().len(), document.metrics.len());
            assert!(document.metrics.keys().all(|name| profile.metric(name).is_some()));
            decode(&profile, &message(payload));
        }
        Err(problems) => {
            named(&problems);
            assert!(profile_document(document).is_err(), "what functions refuse is stored");
        }
    }
}

/// There is a problem, and each says something.
fn named(problems: &[Problem]) {
    assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty()));
}
