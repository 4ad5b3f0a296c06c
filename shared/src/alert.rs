//! Incidents, and the alerts that report them to people and machines: one when an incident begins, one when it is over.
//!
//! In reading order:
//!
//! - [`Incident`]: what is wrong with which device, and since when. [`incidents`] is the port to the store.
//! - [`Alert`]: the message that an incident begins or is over. [`topic`] is the port that publishes it.
//! - [`case`]: what the [`Contact`]s of a facility hear of alerts, when, and in which words. [`cases`] is the port to the store, and
//!   [`messenger`] the one that sends.
//! - [`Finding`]: what a rule of a stateful function finds out. A [`Reporter`] makes incidents and alerts of findings.
//!
//! A function publishes the alert *before* it stores the incident. A crash between the two repeats the alert under the
//! same key, and never loses it. So a consumer that remembers [`Alert::key`] acts once.
//!
//! ```
//! use myaku::alert::{Cleared, Incident};
//! use std::time::Duration;
//!
//! // A device sends every 30 s. It was last heard at 60 s, so it was expected by 90 s; now it is 130 s.
//! let incident = Incident::silence("bed-17", 90_000, Duration::from_secs(30), Some("home-3"), 130_000);
//! assert_eq!(incident.raised().detail, "bed-17 has not been heard for 70 s.");
//!
//! // Another check detects the same silence later: the alert's key is the same.
//! let again = Incident::silence("bed-17", 90_000, Duration::from_secs(30), Some("home-3"), 135_000);
//! assert_eq!(again.raised().key(), incident.raised().key());
//!
//! let (alert, closed) = incident.cleared(Cleared::Returned, 180_000);
//! assert_eq!(alert.detail, "bed-17 is heard again, after 2 minutes.");
//! assert_eq!(closed.cleared_ms, Some(180_000));
//! ```

pub mod case;
pub mod cases;
mod contact;
mod finding;
mod incident;
pub mod incidents;
mod kind;
pub mod messenger;
mod reporter;
#[cfg(feature = "sns")]
mod sns;
pub mod topic;

pub use contact::{Contact, ContactProblem, Quiet, Via};
pub use finding::{Begin, Ends, Finding};
pub use incident::{Acknowledgement, Cleared, Incident, in_words};
pub use kind::{Kind, Severity};
pub use reporter::{Findings, FoundOn, MemoryReporter, Reporter};

use serde::{Deserialize, Serialize};

/// Whether an incident begins or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It begins.
    Raised,
    /// It is over.
    Cleared,
}

impl State {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

/// An incident begins or is over: the message of the topic `alerts`, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The incident's id, which is the same in all its alerts.
    pub id: String,
    /// Whether the incident begins or is over.
    pub state: State,
    /// What it is about.
    pub kind: Kind,
    /// How urgent it is.
    #[serde(default)]
    pub severity: Severity,
    /// The rule of the profile that found it; missing for a silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The device.
    pub device_id: String,
    /// Where the device stands, if the registry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// The metric that the rule looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The value that the incident was raised for, in the metric's unit, if it is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit that the value is judged by, if it is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// When the incident began, in milliseconds since the epoch: for a silent device, when it was last heard.
    pub since: i64,
    /// When its beginning or its end was detected, in milliseconds since the epoch.
    pub at: i64,
    /// The same in words, for people.
    pub detail: String,
}

impl Alert {
    /// The alert's identity. A consumer that remembers it recognises a repeated alert.
    pub fn key(&self) -> String {
        format!("{}#{}", self.id, self.state.name())
    }
}

#[cfg(test)]
mod tests;
