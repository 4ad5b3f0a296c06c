//! What holds of bytes from outside, whatever they are.
//!
//! Each target takes any bytes and panics where something does not hold. libFuzzer drives them (`make fuzz`), and a test
//! tries the seeds of each, whole and spoilt, beside all other tests. A target asks for more than that nothing panics: what
//! was read is written and reads the same, two ways to the same end lead there, and limits hold.

// To panic is what targets are for.
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
    /// Its name: that of its function, and of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics where something does not hold of the bytes.
    pub check: fn(&[u8]),
    /// Inputs to begin from, made of the sample events.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that inputs are made of and that nobody guesses.
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

/// A text that seeds hide in values. It must show in no error's words: those go to logs, and values are somebody's pulse.
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
const PROFILE: &[&str] =
    &["\"each\":", "[*]", "\"calibration\":", "\"when\":", "\"format\":\"cbor\"", "\"bits\":", "\"step"];
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

/// Words that tell what is wrong: short, and without what stands in values.
fn told(words: &str) {
    assert!(!words.contains(MARK), "a value shows in: {words}");
    assert!(words.len() <= 4_096, "{} bytes tell what is wrong", words.len());
}

#[cfg(test)]
mod tests;
