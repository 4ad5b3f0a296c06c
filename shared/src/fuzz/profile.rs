//! Checks the reading of the registry's documents: profiles and devices.

use super::near::near;
use super::payload::{decode, message};
use crate::device::profile::{Problem, Profile, ProfileDocument};
use crate::device::registry::{device_document, parse_device, profile_document};

/// Uses the bytes as a profile's document, followed by a NUL and a payload to decode; and as a device's document.
pub fn profile(bytes: &[u8]) {
    let (json, payload) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    match ProfileDocument::parse(json) {
        Ok(document) => check_document(&document, payload),
        Err(problem) => check_problems(&[problem]),
    }
    let Ok(json) = std::str::from_utf8(json) else { return };
    match parse_device(json) {
        Ok(device) => {
            let stored = device_document(&device).map(|(key, json)| (key.id, parse_device(&json)));
            assert_eq!(stored, Ok((device.device_id.clone(), Ok(device))));
        }
        Err(problems) => check_problems(&problems),
    }
}

fn check_document(document: &ProfileDocument, payload: &[u8]) {
    let Ok(json) = serde_json::to_vec(document) else { panic!("{document:?} cannot be written") };
    let again = ProfileDocument::parse(&json);
    let values = (serde_json::to_value(document), serde_json::to_value(again.as_ref().ok()));
    assert!(matches!(&values, (Ok(one), Ok(other)) if near(one, other)), "{document:?} is parsed as {again:?}");
    match Profile::compile(document) {
        Ok(profile) => {
            assert_eq!(profile.metrics().len(), document.metrics.len());
            assert!(document.metrics.keys().all(|name| profile.metric(name).is_some()));
            decode(&profile, &message(payload));
        }
        Err(problems) => {
            check_problems(&problems);
            assert!(profile_document(document).is_err(), "a document that functions reject can be stored");
        }
    }
}

/// Checks that there is a problem, and that each has a message.
fn check_problems(problems: &[Problem]) {
    assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty()));
}
