//! Fuzz targets: checks of the code that reads bytes from outside.
//!
//! Each target accepts any bytes, and panics if a property does not hold. libFuzzer runs the targets (`make fuzz`). A
//! unit test also runs each target with its seeds and with damaged seeds. A target checks more than that the code does
//! not panic: what is parsed and written again is parsed the same, two implementations of the same function agree, and
//! limits hold.
//!
//! ```
//! let target = myaku::fuzz::TARGETS.iter().find(|target| target.name == "reading").expect("the target exists");
//! (target.seeds)().iter().for_each(|seed| (target.check)(seed));
//! ```

// Panics are how targets report failures.
#![allow(clippy::missing_panics_doc)]

mod aggregate;
mod alarm;
mod event;
mod gateway;
mod key;
mod lake;
mod letter;
mod message;
mod near;
mod payload;
mod presence;
mod profile;
mod seeds;
mod state;

pub use aggregate::aggregate;
pub use alarm::{expression, notification};
pub use event::event;
pub use gateway::{submission, upload};
pub use key::key;
pub use lake::lake;
pub use letter::letter;
pub use message::{message, reading};
pub use payload::payload;
pub use presence::presence;
pub use profile::profile;
pub use state::state;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The target's name, which is also the name of its function and of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Checks the target's properties for these bytes. Panics if one does not hold.
    pub check: fn(&[u8]),
    /// Makes the inputs to start from, out of the sample events.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The fuzzer's dictionary: words of the format that are unlikely to be found by chance.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("aggregate", aggregate, seeds::aggregates, &["\u{a}\u{1}k", "\u{1a}\u{4}\u{8}\0\u{1a}\0"]),
    target("event", event, seeds::events, EVENT),
    target("expression", expression, seeds::expressions, EXPRESSION),
    target("key", key, seeds::keys, KEY),
    target("lake", lake, seeds::lines, LINE),
    target("letter", letter, seeds::letters, LETTER),
    target("message", message, seeds::messages, MESSAGE),
    target("notification", notification, seeds::notifications, NOTIFICATION),
    target("payload", payload, seeds::payloads, PAYLOAD),
    target("presence", presence, seeds::lifecycles, &["connected", "disconnected", "versionNumber", MARK]),
    target("profile", profile, seeds::profiles, PROFILE),
    target("reading", reading, seeds::readings, &["out-of-range", "arrival", "ingest", "quality", MARK]),
    target("state", state, seeds::states, &[]),
    target("submission", submission, seeds::bodies, ITEM),
    target("upload", upload, seeds::uploads, ITEM),
];

/// A text that seeds have in values. It must not occur in error messages: they are logged, and values are personal
/// data, such as a pulse.
const MARK: &str = "s3cr3t";

const EVENT: &[&str] =
    &["\"Records\":[", "\"kinesis\":{", "arn:aws:kinesis:", ":stream/", "/consumer/", "84mawg", "\\/"];
const EXPRESSION: &[&str] =
    &["FILL(m1,", "REPEAT", "METRICS()", "PERIOD(", "IF(", "AVG(", "[m1,m2]", "AND", "OR", "e1", ">=", "1e9"];
const KEY: &[&str] = &[
    "raw/stream=",
    "dead-letters/reason=",
    "/dt=2026-11-20/hh=23/",
    ".ndjson.gz",
    "-end",
    "latest#",
    "history#",
    "device#",
];
const LINE: &[&str] = &["{\"seq\":\"", "\"sub\":", "\"key\":\"", "\"arrived\":", "\"json\":", "\"b64\":\"", "\\u001f"];
const LETTER: &[&str] = &["\"json\":", "\"text\":", "\"b64\":", "not-a-message", "\"index\":", "null"];
const MESSAGE: &[&str] =
    &["\"deliveryId\":", "\"receivedAt\":", "\"payload\":", "\"clientId\":null", "\"messageId\":", MARK];
const NOTIFICATION: &[&str] =
    &["\"Sns\":", "\"Message\":", "\"AlarmName\":", "\"alarmData\":", "\"detail\":", "StreamName"];
const PAYLOAD: &[&str] = &["\"samples\":", "\"schema\":", "\"vital\":", "\"gps\":", "null", "1e308", MARK];
const PROFILE: &[&str] = &[
    "\"each\":",
    "[*]",
    "\"calibration\":",
    "\"when\":",
    "\"format\":\"cbor\"",
    "\"bits\":",
    "\"step",
    "\"windows\":",
    "\"days\":",
];
const ITEM: &[&str] =
    &["\"payloadBase64\":", "\"payload\":", "\"messageId\":", "\"sequence\":", "\u{1f}\u{fffd}", "\n{"];

const fn target(
    name: &'static str,
    check: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    words: &'static [&'static str],
) -> Target {
    Target { name, check, seeds, words }
}

/// Checks that an error message is short and does not show values.
fn check_error(message: &str) {
    assert!(!message.contains(MARK), "the error message shows a value: {message}");
    assert!(message.len() <= 4_096, "the error message has {} bytes", message.len());
}

#[cfg(test)]
mod tests;
