//! What a reader may see, and the forms of devices and alerts in answers.

use crate::answer::Problem;
use crate::{Context, Ports};
use myaku::alert::Incident;
use myaku::device::registry::{Device, MAX_ID};
use myaku::http::{Facilities, Reader};
use serde::Serialize;
use std::sync::Arc;

/// Whether a reader may see what belongs to a facility; what belongs to none is for readers of all facilities.
pub(crate) fn sees(reader: &Reader, facility: Option<&str>) -> bool {
    match &reader.facilities {
        Facilities::All => true,
        some @ Facilities::Some(_) => facility.is_some_and(|facility| some.contain(facility)),
    }
}

/// Whether a reader who may see `device` may see what it shows now and sent through `facility`. A device that roams belongs to
/// where it is registered. What is kept of its past belongs to where it was sent: see [`sees`].
pub(crate) fn sees_present(reader: &Reader, device: &Device, facility: &str) -> bool {
    sees(reader, Some(facility)) || device.takes_from(facility, None).is_ok()
}

/// Whether a device can have this id. What cannot is not there, before any store is asked.
pub(crate) fn can_be_an_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
}

/// The device called `id`, if the reader may see it.
pub(crate) async fn device<P: Ports>(context: &Context<P>, reader: &Reader, id: &str) -> Result<Arc<Device>, Problem> {
    if !can_be_an_id(id) {
        return Err(Problem::not_found("the device"));
    }
    let device = context.registry.devices(&[id]).await?.remove(id);
    device.filter(|device| sees(reader, device.facility.as_deref())).ok_or_else(|| Problem::not_found("the device"))
}

/// A device in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceView {
    pub(crate) device_id: String,
    pub(crate) facility: Option<String>,
    pub(crate) profile: String,
    pub(crate) status: StatusView,
    pub(crate) metrics: Vec<MetricView>,
    pub(crate) open_alerts: usize,
    /// Those that are not over, where one device is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alerts: Option<Vec<AlertView>>,
}

/// Whether a device is there.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView {
    /// `None` for a device that has never connected by itself.
    pub(crate) connected: Option<bool>,
    /// It was not heard for longer than its profile expects.
    pub(crate) silent: bool,
    /// Milliseconds since the epoch.
    pub(crate) last_heard_at: Option<i64>,
}

/// The present value of a metric.
#[derive(Debug, Serialize)]
pub(crate) struct MetricView {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) at: i64,
    /// Whose clock `at` is.
    pub(crate) clock: &'static str,
    pub(crate) freshness: &'static str,
    pub(crate) partial: bool,
    pub(crate) average: AverageView,
}

/// The moving average of a metric.
#[derive(Debug, Serialize)]
pub(crate) struct AverageView {
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) stddev: f64,
    pub(crate) count: u32,
}

/// An incident in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertView {
    id: String,
    kind: &'static str,
    rule: Option<String>,
    severity: &'static str,
    subject: Subject,
    state: &'static str,
    since: i64,
    raised_at: i64,
    cleared_at: Option<i64>,
    acknowledged_by: Option<String>,
    acknowledged_at: Option<i64>,
    message: String,
    evidence: Option<Evidence>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Subject {
    device_id: String,
    facility: Option<String>,
}

#[derive(Debug, Serialize)]
struct Evidence {
    metric: String,
    value: Option<f64>,
    limit: Option<f64>,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    Acknowledged,
    Cleared,
}

impl Standing {
    /// All of them, by their names.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("open", Self::Open), ("acknowledged", Self::Acknowledged), ("cleared", Self::Cleared)];

    pub(crate) const fn of(incident: &Incident) -> Self {
        match (incident.cleared_ms, &incident.acknowledged) {
            (Some(_), _) => Self::Cleared,
            (None, Some(_)) => Self::Acknowledged,
            (None, None) => Self::Open,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

impl AlertView {
    pub(crate) fn of(incident: &Incident) -> Self {
        let Incident { metric, value, limit, acknowledged, .. } = incident;
        let acknowledged = acknowledged.as_ref();
        Self {
            id: AlertId::of(incident).to_text(),
            kind: incident.kind.name(),
            rule: incident.rule.clone(),
            severity: incident.severity.name(),
            subject: Subject { device_id: incident.device_id.clone(), facility: incident.facility.clone() },
            state: Standing::of(incident).name(),
            since: incident.since_ms,
            raised_at: incident.raised_ms,
            cleared_at: incident.cleared_ms,
            acknowledged_by: acknowledged.map(|it| it.by.clone()),
            acknowledged_at: acknowledged.map(|it| it.at_ms),
            message: incident.detail.clone(),
            evidence: metric.clone().map(|metric| Evidence { metric, value: *value, limit: *limit }),
        }
    }
}

/// The id of an alert in the API: the incident's, and where the store has it. `<incident>.<place>`, so that it begins with the id that
/// messages of the topic have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AlertId {
    pub(crate) incident: String,
    pub(crate) device_id: String,
    pub(crate) rule: Option<String>,
}

impl AlertId {
    fn of(incident: &Incident) -> Self {
        let Incident { id, device_id, rule, .. } = incident;
        Self { incident: id.clone(), device_id: device_id.clone(), rule: rule.clone() }
    }

    fn to_text(&self) -> String {
        format!("{}.{}", self.incident, crate::query::cursor(&(&self.device_id, &self.rule)))
    }

    /// Reads an id; `None` if the text is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (incident, place) = text.split_once('.')?;
        let (device_id, rule) = crate::query::place(place)?;
        Some(Self { incident: incident.to_owned(), device_id, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_alert_says_where_it_is_stored() {
        for rule in [None, Some("fever".to_owned())] {
            let id = AlertId { incident: "0f90".to_owned(), device_id: "bed ü".to_owned(), rule };
            assert_eq!(AlertId::parse(&id.to_text()), Some(id));
        }
        for wrong in ["", "0f90", "0f90.", "0f90.!!"] {
            assert_eq!(AlertId::parse(wrong), None, "{wrong}");
        }
    }
}
