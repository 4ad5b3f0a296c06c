//! What a facility's contacts hear of alerts: which of them, when, and in which words.
//!
//! A [`Case`] has the incidents that are announced together, and a [`Notice`] for each contact and step. Most cases are about one rule on
//! one device. If it flaps, its incidents follow one another within [`Recipients::settle_ms`] and are one round of the case: its contacts hear
//! once that it begins, and once that it is over. The other cases are floods: of the alerts of a kind and facility that arrive within a
//! minute, the first [`ALONE`] are announced one by one, and the others together, when the minute is over.
//!
//! Everything here is pure. Its caller stores a case by compare-and-set, claims what is due, sends it, and stores what came of it:
//!
//! - A notice that was claimed, and of which nothing is known when its invocation must have ended, is sent again, marked as a repetition.
//! - A notice that cannot be sent is tried again, [`TRIES`] times within about two hours.
//! - A contact hears of what happens in its order, and that an alert is over only if it heard of the alert.
//! - Alerts may come again, and in any order.
//!
//! ```
//! use myaku::alert::case::{Case, Outcome, Recipients};
//! use myaku::alert::{Contact, Incident, Via};
//! use jiff::tz::TimeZone;
//! use std::time::Duration;
//!
//! let contacts = [Contact::new("nurse", Via::Topic, None)];
//! let recipients = Recipients { contacts: &contacts, zone: &TimeZone::UTC, settle_ms: 60_000 };
//! let incident = Incident::silence("bed-17", 90_000, Duration::from_secs(30), Some("home-3"), 130_000);
//!
//! let mut case = Case::default();
//! case.raise(&incident.raised(), &recipients, 130_500);
//! let due = case.claim(130_500, 190_000, false);
//! assert_eq!(due[0].message.detail, "bed-17 has not been heard for 70 s.");
//! assert_eq!(due[0].contact.name, "nurse");
//! case.finish(&due[0].id, Outcome::Sent, 130_700);
//! assert!(case.claim(300_000, 360_000, false).is_empty());
//! ```

mod flood;
mod message;
mod notice;
mod plan;

pub use flood::{ALONE, Way, flood_key};
pub use message::{Message, Step};
pub use notice::{Claimed, Notice, NoticeId, Outcome, Progress, TRIES, Withdrawn};
pub use plan::Recipients;

use super::{Alert, Severity};
use crate::platform::json::is_default;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many incidents that are over a case remembers from earlier rounds, to recognise their alerts.
const REMEMBERED: usize = 32;

/// An incident of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its device.
    pub device_id: String,
    /// The rule that found it; `None` for a silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// When its alert was made, in milliseconds since the epoch.
    pub at: i64,
    /// The key of the flood that it may be, or is, announced with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flood: Option<String>,
    /// Whether this case announces it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_announced: bool,
    /// Whether it is over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_over: bool,
    /// The alert that it is over, if that came before the one that it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Box<Alert>>,
}

/// Incidents that are announced together, and what contacts heard and will hear of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// How often it began.
    round: u32,
    /// The incident with which this round began.
    #[serde(default)]
    began: String,
    /// Its incidents, by their ids: of this round, those that are open, and the last ones of earlier rounds.
    incidents: BTreeMap<String, Member>,
    /// The newest alert that began one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Alert>,
    /// The highest severity of this round.
    #[serde(default)]
    severity: Severity,
    /// What contacts hear: of this round, and what is not settled of those before.
    notices: Vec<Notice>,
    /// In the case of a flood, the incidents of its minute that are announced one by one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    alone: BTreeSet<String>,
    /// In the case of a flood, how many incidents it has that it does not list.
    #[serde(default, skip_serializing_if = "is_default")]
    more: u32,
}

/// The key of the case of a rule on a device, or of its silence.
pub fn device_key(device_id: &str, rule: Option<&str>) -> String {
    // Neither ids nor names of rules have a `#`.
    format!("device#{device_id}#{}", rule.unwrap_or_default())
}

impl Case {
    /// The notices.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The incident of this id.
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.incidents.get(id)
    }

    /// The open incidents that it announces, with their ids.
    pub fn open(&self) -> impl Iterator<Item = (&str, &Member)> {
        let open = self.incidents.iter().filter(|(_, member)| member.is_announced && !member.is_over);
        open.map(|(id, member)| (id.as_str(), member))
    }

    /// The facility; `None` if there is none.
    pub fn facility(&self) -> Option<&str> {
        self.newest.as_ref()?.facility.as_deref()
    }

    /// When something is next to be done, in milliseconds since the epoch; `None` if nothing is.
    pub fn due_ms(&self) -> Option<i64> {
        let notices = self.notices.iter().enumerate().filter(|(index, _)| !self.is_blocked(*index));
        notices.filter_map(|(_, notice)| notice.next_ms()).min()
    }

    fn is_open(&self) -> bool {
        self.open().next().is_some()
    }
}

#[cfg(test)]
mod tests;
