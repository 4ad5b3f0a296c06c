//! An incident, which is raised once and cleared once.

use super::finding::Begin;
use super::kind::{Kind, Severity};
use super::{Alert, State};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// Bytes of an incident's id: enough that no two incidents ever share one.
const ID_BYTES: usize = 16;

/// Why a silence is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// The device was heard.
    Returned,
    /// It is not expected any more: it or its profile is not in the registry, or its profile expects no interval.
    NotExpected,
}

/// That someone has taken notice of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who: the subject of a token, or an ARN.
    pub by: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

/// What is wrong with a device, over or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its id. Every detection of the same incident gives the same id.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// How urgent it is.
    pub severity: Severity,
    /// The rule of the profile that found it; `None` for a silence.
    pub rule: Option<String>,
    /// The device.
    pub device_id: String,
    /// Where the device stands, if the registry says so.
    pub facility: Option<String>,
    /// The metric that the rule looks at; `None` for a silence.
    pub metric: Option<String>,
    /// The value that it was raised for, and the limit that the value is judged by, if they are numbers.
    pub value: Option<f64>,
    /// See `value`.
    pub limit: Option<f64>,
    /// When it began, in milliseconds since the epoch: for a silence, when the device was last heard.
    pub since_ms: i64,
    /// When it was detected, in milliseconds since the epoch.
    pub raised_ms: i64,
    /// What is wrong, in words.
    pub detail: String,
    /// When it was over, in milliseconds since the epoch; `None` while it is open.
    pub cleared_ms: Option<i64>,
    /// The position of the record that showed its beginning or its end, whichever was last, as a text; `None` for a silence.
    pub order: Option<String>,
    /// Who has taken notice of it, if anyone has. Only [`ReadIncidents::acknowledge`](super::incidents::ReadIncidents::acknowledge)
    /// sets it.
    pub acknowledged: Option<Acknowledgement>,
}

impl Incident {
    /// The silence of a device that was expected by `by_ms`, which is `interval` after it was last heard. It is
    /// detected at `now_ms`.
    pub fn silence(device_id: &str, by_ms: i64, interval: Duration, facility: Option<&str>, now_ms: i64) -> Self {
        let since_ms = by_ms.saturating_sub(interval.as_millis() as i64);
        let silent_ms = now_ms.saturating_sub(since_ms);
        Self {
            id: id(Kind::DeviceSilent.name(), device_id, &by_ms.to_string()),
            kind: Kind::DeviceSilent,
            severity: Severity::Warning,
            rule: None,
            device_id: device_id.to_owned(),
            facility: facility.map(str::to_owned),
            metric: None,
            value: None,
            limit: None,
            since_ms,
            raised_ms: now_ms,
            detail: format!("{device_id} has not been heard for {}.", in_words(silent_ms)),
            cleared_ms: None,
            order: None,
            acknowledged: None,
        }
    }

    /// What a rule has found on a device, at `now_ms`. `order` is the position of the record that shows it.
    pub fn found(begin: &Begin, device_id: &str, facility: Option<&str>, order: &str, now_ms: i64) -> Self {
        let Begin { rule, kind, severity, metric, since_ms, value, limit, detail } = begin;
        Self {
            // A rule's name has no `#`, so no other kind's name begins like this.
            id: id(&format!("rule#{rule}"), device_id, order),
            kind: *kind,
            severity: *severity,
            rule: Some(rule.clone()),
            device_id: device_id.to_owned(),
            facility: facility.map(str::to_owned),
            metric: Some(metric.clone()),
            value: *value,
            limit: *limit,
            since_ms: *since_ms,
            raised_ms: now_ms,
            detail: detail.clone(),
            cleared_ms: None,
            order: Some(order.to_owned()),
            acknowledged: None,
        }
    }

    /// The alert that the incident begins.
    pub fn raised(&self) -> Alert {
        self.alert(State::Raised, self.raised_ms, self.detail.clone())
    }

    /// The alert that a silence is over, and the incident with its end.
    pub fn cleared(&self, why: Cleared, now_ms: i64) -> (Alert, Self) {
        let lasted = in_words(now_ms.saturating_sub(self.since_ms));
        let detail = match why {
            Cleared::Returned => format!("{} is heard again, after {lasted}.", self.device_id),
            Cleared::NotExpected => format!("{} is not expected to be heard any more.", self.device_id),
        };
        self.over(detail, now_ms)
    }

    /// The alert that what a rule found is over, in words, and the incident with its end. `order` is the position of the record that
    /// shows it.
    pub fn ended(&self, detail: String, order: &str, now_ms: i64) -> (Alert, Self) {
        let (alert, incident) = self.over(detail, now_ms);
        (alert, Self { order: Some(order.to_owned()), ..incident })
    }

    fn over(&self, detail: String, now_ms: i64) -> (Alert, Self) {
        (self.alert(State::Cleared, now_ms, detail), Self { cleared_ms: Some(now_ms), ..self.clone() })
    }

    fn alert(&self, state: State, at_ms: i64, detail: String) -> Alert {
        Alert {
            id: self.id.clone(),
            state,
            kind: self.kind,
            severity: self.severity,
            rule: self.rule.clone(),
            device_id: self.device_id.clone(),
            facility: self.facility.clone(),
            metric: self.metric.clone(),
            value: self.value,
            limit: self.limit,
            since: self.since_ms,
            at: at_ms,
            detail,
        }
    }
}

/// The id of what `what` finds on a device, which began with `beginning`. `what` separates it from other incidents of the device. The length
/// separates `bed-1` from a device whose id continues with a `#` and digits.
fn id(what: &str, device_id: &str, beginning: &str) -> String {
    let text = format!("{what}#{}#{device_id}#{beginning}", device_id.len());
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in &Sha256::digest(text.as_bytes())[..ID_BYTES] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// A duration in words, in the largest unit of which it has at least two.
pub fn in_words(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    for (unit, name) in [(86_400, "days"), (3_600, "hours"), (60, "minutes")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
}
