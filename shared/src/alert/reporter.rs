//! Makes incidents and alerts of what rules find.

use super::finding::Finding;
use super::incidents::memory::MemoryIncidents;
use super::incidents::{Incidents, Written};
use super::topic::Topic;
use super::topic::memory::MemoryTopic;
use super::{Alert, Incident};
use crate::platform::clock::{ManualClock, Now};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::telemetry::{Metric, count};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;
use std::fmt;

/// How often a finding is decided on, while other invocations change its incident.
const ROUNDS: usize = 3;
/// How many devices' findings are reported at the same time.
const CONCURRENCY: usize = 16;

/// A finding with its device.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundOn {
    device_id: String,
    /// Where the device stands.
    facility: String,
    /// Later findings of a rule on a device have greater ones.
    order: String,
    /// The finding.
    finding: Finding,
}

impl FoundOn {
    /// A finding on a device that stands in `facility`. `position` is that of the record that shows it: as a text, those of a device
    /// grow.
    pub fn new(device_id: &str, facility: &str, position: impl fmt::Display, finding: Finding) -> Self {
        // A record that begins an incident may have ended the one before.
        let step = u8::from(matches!(finding, Finding::Begins(_)));
        let order = format!("{position}.{step}");
        Self { device_id: device_id.to_owned(), facility: facility.to_owned(), order, finding }
    }
}

/// The port to which rules report what they find.
pub trait Findings: Send + Sync {
    /// Reports findings: those of one device in their order. Reporting one again has no effect.
    fn report(&self, found: Vec<FoundOn>) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// Publishes alerts, and stores the incidents that they are about.
#[derive(Clone, Debug)]
pub struct Reporter<I, T, N> {
    /// The store of incidents.
    pub incidents: I,
    /// The topic of alerts.
    pub topic: T,
    /// The wall clock.
    pub clock: N,
}

/// A reporter in memory, for tests and simulations.
pub type MemoryReporter = Reporter<MemoryIncidents, MemoryTopic, ManualClock>;

impl<I: Incidents, T: Topic, N: Now> Findings for Reporter<I, T, N> {
    async fn report(&self, found: Vec<FoundOn>) -> Result<(), RemoteError> {
        let mut of_devices: BTreeMap<String, Vec<FoundOn>> = BTreeMap::new();
        for found in found {
            of_devices.entry(found.device_id.clone()).or_default().push(found);
        }
        let reports = of_devices.into_values().map(|found| async move {
            for found in found {
                self.report_one(&found).await?;
            }
            Ok(())
        });
        // The requests are made before the stream: a closure of the stream would be general over lifetimes.
        let reports: Vec<_> = reports.collect();
        stream::iter(reports).buffer_unordered(CONCURRENCY).try_collect().await
    }
}

impl<I: Incidents, T: Topic, N: Now> Reporter<I, T, N> {
    /// Publishes the alert of a finding, and then stores its incident. So a crash repeats the alert under its key, and never
    /// loses it. Where another invocation was faster, it looks again.
    async fn report_one(&self, found: &FoundOn) -> Result<(), RemoteError> {
        for _ in 0..ROUNDS {
            let last = self.incidents.last(&found.device_id, found.finding.rule()).await?;
            let mut written = Written::Done;
            for (alert, incident) in news(found, last.as_ref(), self.clock.now_ms()) {
                self.topic.publish(&alert).await?;
                written = self.incidents.put(&incident).await?;
                if written == Written::Conflict {
                    break;
                }
                count(if incident.cleared_ms.is_some() { Metric::Cleared } else { Metric::Raised }, 1);
            }
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(RemoteError::new("store an incident", Remedy::Retry, "other invocations change the same incident"))
    }
}

/// What a finding changes, after the last incident of its rule: alerts, and the incidents to store. Nothing if it is not newer than
/// what is stored, or if it begins what is open already: the rule's state was lost, and it sees the same incident again.
fn news(found: &FoundOn, last: Option<&Incident>, now_ms: i64) -> Vec<(Alert, Incident)> {
    let FoundOn { device_id, facility, order, finding } = found;
    if last.is_some_and(|last| last.order.as_ref() >= Some(order)) {
        return Vec::new();
    }
    let open = last.filter(|last| last.cleared_ms.is_none());
    match finding {
        Finding::Begins(begin) => {
            // The rule's name stood for another metric before.
            let other = open.filter(|open| open.metric.as_ref() != Some(&begin.metric));
            if open.is_some() && other.is_none() {
                return Vec::new();
            }
            let facility = Some(facility.as_str()).filter(|facility| !facility.is_empty());
            let incident = Incident::found(begin, device_id, facility, order, now_ms);
            let over = other.map(|other| {
                let detail = format!("{} is over: the rule looks at {} now.", begin.rule, begin.metric);
                other.ended(detail, order, now_ms)
            });
            over.into_iter().chain([(incident.raised(), incident)]).collect()
        }
        Finding::Ends(ends) => {
            let same = open.filter(|open| open.metric.as_ref() == Some(&ends.metric));
            same.map(|open| open.ended(ends.detail.clone(), order, now_ms)).into_iter().collect()
        }
    }
}

/// A function that reports nothing has no reporter.
impl<F: Findings> Findings for Option<F> {
    async fn report(&self, found: Vec<FoundOn>) -> Result<(), RemoteError> {
        match self {
            Some(findings) => findings.report(found).await,
            None if found.is_empty() => Ok(()),
            None => Err(RemoteError::new("report findings", Remedy::GiveUp, "the function says that it has none")),
        }
    }
}
