//! What a contact hears: facts for machines, and words for people.

use crate::alert::{Alert, Kind, Severity, in_words};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// How many devices of a flood a message names.
const NAMED: usize = 20;

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Something begins.
    Raised,
    /// It was not acknowledged in time.
    Escalated,
    /// It is over.
    Cleared,
}

impl Step {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Cleared => "cleared",
        }
    }
}

/// What a contact hears. Machines get it as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The id of the incident that began it, and the step: the same whenever the message comes. An incident that follows within a
    /// minute goes on under the id of the first.
    pub id: String,
    /// What the contact hears.
    pub step: Step,
    /// Whether the message may have been sent before.
    #[serde(default)]
    pub is_repetition: bool,
    /// The facility, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// What the alert is about.
    pub kind: Kind,
    /// How urgent it is.
    pub severity: Severity,
    /// The device; the first one of a flood.
    pub device_id: String,
    /// The rule of the profile that found it; missing for a silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The metric that the rule looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The value that it was raised for, if it is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit that the value is judged by, if it is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// How many alerts of a flood it stands for; missing for a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<usize>,
    /// When it began, in milliseconds since the epoch.
    pub since: i64,
    /// When its beginning or its end was detected, in milliseconds since the epoch.
    pub at: i64,
    /// The same in words.
    pub detail: String,
    /// `since` by the facility's clock.
    pub since_local: String,
}

impl Message {
    pub(super) fn of(alert: &Alert, step: Step, zone: &TimeZone) -> Self {
        let Alert { kind, severity, rule, device_id, facility, metric, value, limit, since, at, detail, .. } =
            alert.clone();
        Self {
            id: String::new(),
            step,
            is_repetition: false,
            facility,
            kind,
            severity,
            device_id,
            rule,
            metric,
            value,
            limit,
            alerts: None,
            since,
            at,
            detail,
            since_local: local(since, zone),
        }
    }

    /// Says that `minutes` have passed without an acknowledgement, if they are not 0.
    pub(super) fn waited(mut self, minutes: u32) -> Self {
        if minutes > 0 {
            let waited = in_words(i64::from(minutes) * 60_000);
            let _ = write!(self.detail, " Not acknowledged after {waited}.");
        }
        self
    }

    /// The message about `count` alerts on `devices`, of which the first was raised at `since`.
    pub(super) fn about_a_flood(self, count: usize, devices: &[&str], since: i64, zone: &TimeZone) -> Self {
        let mut names: Vec<&str> = devices.to_vec();
        names.sort_unstable();
        names.dedup();
        let listed = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let others = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        let since_local = local(since, zone);
        let place = self.facility.as_deref().map(|facility| format!(" in {facility}")).unwrap_or_default();
        let kind = self.kind.name();
        let detail = match self.step {
            Step::Cleared => format!("{count} alerts of the kind {kind}{place} are over, on {listed}{others}."),
            Step::Raised | Step::Escalated => {
                format!("{count} more alerts of the kind {kind}{place} since {since_local}, on {listed}{others}.")
            }
        };
        Self { alerts: Some(count), since, since_local, detail, ..self }
    }

    /// One line of at most `most` characters.
    pub fn line(&self, most: usize) -> String {
        let repetition = if self.is_repetition { "(again) " } else { "" };
        let text = format!("{repetition}{}: {}", self.severity.name(), self.detail);
        match text.char_indices().nth(most) {
            None => text,
            Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        }
    }

    /// The subject of a letter.
    pub fn subject(&self) -> String {
        let what = self.rule.as_deref().unwrap_or_else(|| self.kind.name());
        let on = self.alerts.map_or_else(|| self.device_id.clone(), |alerts| format!("{alerts} alerts"));
        format!("{} {}: {what}, {on}", self.severity.name(), self.step.name())
    }

    /// The whole text of a letter.
    pub fn letter(&self) -> String {
        let mut text = format!("{}\n\n", self.detail);
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {value}");
            }
        };
        line("Facility", self.facility.clone());
        line("Severity", Some(self.severity.name().to_owned()));
        line("Since", Some(self.since_local.clone()));
        line("Rule", self.rule.clone());
        line("Metric", self.metric.clone());
        line("Value", self.value.map(|value| value.to_string()));
        line("Limit", self.limit.map(|limit| limit.to_string()));
        line("Message", Some(self.id.clone()));
        if self.is_repetition {
            text.push_str("\nThis message may have been sent before.\n");
        }
        text
    }
}

/// A time by the clock of a zone.
fn local(at_ms: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
