//! Checks the reading of lifecycle events of AWS IoT.

use crate::device::presence::{Lifecycle, MAX_AHEAD_MS};
use crate::device::registry::MAX_ID;
use serde_json::json;

const NOW_MS: i64 = 1_795_218_892_020;

/// Uses the bytes as a lifecycle event.
pub fn presence(bytes: &[u8]) {
    let Ok(event) = Lifecycle::parse(bytes, NOW_MS) else { return };
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(), "the event is not valid JSON");
    assert!((1..=MAX_ID).contains(&event.client_id.len()) && (1..=MAX_ID).contains(&event.session.len()));
    assert!(event.reason.len() <= MAX_ID && (1..=NOW_MS + MAX_AHEAD_MS).contains(&event.at_ms));
    let again = json!({
        "clientId": event.client_id,
        "eventType": event.change.name(),
        "timestamp": event.at_ms,
        "versionNumber": event.version,
        "sessionIdentifier": event.session,
        "disconnectReason": event.reason,
    });
    assert_eq!(Lifecycle::parse(again.to_string().as_bytes(), NOW_MS), Ok(event));
}
