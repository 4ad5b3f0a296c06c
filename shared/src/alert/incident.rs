//! An incident, which is raised once and cleared once.

use super::{Alert, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// Bytes of an incident's id: enough that no two incidents ever share one.
const ID_BYTES: usize = 16;

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device was not heard for longer than its profile expects.
    DeviceSilent,
}

impl Kind {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceSilent => "device-silent",
        }
    }
}

/// Why an incident is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// The device was heard.
    Returned,
    /// It is not expected any more: it or its profile is not in the registry, or its profile expects no interval.
    NotExpected,
}

/// The silence of a device, over or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its id. Every detection of the same silence gives the same id.
    pub id: String,
    /// The device.
    pub device_id: String,
    /// Where the device stands, if the registry says so.
    pub facility: Option<String>,
    /// When it was last heard, in milliseconds since the epoch.
    pub since_ms: i64,
    /// When the silence was detected, in milliseconds since the epoch.
    pub raised_ms: i64,
    /// When it was over, in milliseconds since the epoch; `None` while it is open.
    pub cleared_ms: Option<i64>,
}

impl Incident {
    /// The silence of a device that was expected by `by_ms`, which is `interval` after it was last heard. It is
    /// detected at `now_ms`.
    pub fn silence(device_id: &str, by_ms: i64, interval: Duration, facility: Option<&str>, now_ms: i64) -> Self {
        // The kind's name separates this id from those of other kinds. The length separates `bed-1` from a device whose
        // id continues with a `#` and digits.
        let text = format!("{}#{}#{device_id}#{by_ms}", Kind::DeviceSilent.name(), device_id.len());
        let mut id = String::with_capacity(2 * ID_BYTES);
        for byte in &Sha256::digest(text.as_bytes())[..ID_BYTES] {
            let _ = write!(id, "{byte:02x}");
        }
        Self {
            id,
            device_id: device_id.to_owned(),
            facility: facility.map(str::to_owned),
            since_ms: by_ms.saturating_sub(interval.as_millis() as i64),
            raised_ms: now_ms,
            cleared_ms: None,
        }
    }

    /// The alert that the incident begins.
    pub fn raised(&self) -> Alert {
        let silent_ms = self.raised_ms.saturating_sub(self.since_ms);
        let detail = format!("{} has not been heard for {}.", self.device_id, in_words(silent_ms));
        self.alert(State::Raised, self.raised_ms, detail)
    }

    /// The alert that the incident is over, and the incident with its end.
    pub fn cleared(&self, why: Cleared, now_ms: i64) -> (Alert, Self) {
        let lasted = in_words(now_ms.saturating_sub(self.since_ms));
        let detail = match why {
            Cleared::Returned => format!("{} is heard again, after {lasted}.", self.device_id),
            Cleared::NotExpected => format!("{} is not expected to be heard any more.", self.device_id),
        };
        (self.alert(State::Cleared, now_ms, detail), Self { cleared_ms: Some(now_ms), ..self.clone() })
    }

    fn alert(&self, state: State, at_ms: i64, detail: String) -> Alert {
        Alert {
            id: self.id.clone(),
            state,
            kind: Kind::DeviceSilent,
            device_id: self.device_id.clone(),
            facility: self.facility.clone(),
            since: self.since_ms,
            at: at_ms,
            detail,
        }
    }
}

/// A duration in words, in the largest unit of which it has at least two.
fn in_words(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    for (unit, name) in [(86_400, "days"), (3_600, "hours"), (60, "minutes")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
}
