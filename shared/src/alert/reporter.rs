//! Makes incidents and alerts of what rules find.

use super::Incident;
use super::finding::Finding;
use super::incidents::memory::MemoryIncidents;
use super::incidents::{Incidents, Written};
use super::topic::Topic;
use super::topic::memory::MemoryTopic;
use crate::platform::clock::{ManualClock, Now};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::telemetry::{Metric, count};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;

/// How many devices' findings are reported at the same time.
const CONCURRENCY: usize = 16;

/// A finding with its device.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundOn {
    /// The device.
    pub device_id: String,
    /// Where the device stands.
    pub facility: String,
    /// The finding.
    pub finding: Finding,
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
    /// loses it. A finding that says nothing new does nothing.
    async fn report_one(&self, found: &FoundOn) -> Result<(), RemoteError> {
        let FoundOn { device_id, facility, finding } = found;
        let last = self.incidents.last(device_id, finding.rule()).await?;
        let now_ms = self.clock.now_ms();
        let (alert, incident) = match (finding, last) {
            // It is the last one or an older one, or the rule's state was lost and it sees the open one again.
            (Finding::Begins(begin), Some(last)) if last.cleared_ms.is_none() || last.since_ms >= begin.since_ms => {
                return Ok(());
            }
            (Finding::Begins(begin), _) => {
                let facility = Some(facility.as_str()).filter(|facility| !facility.is_empty());
                let incident = Incident::found(begin, device_id, facility, now_ms);
                (incident.raised(), incident)
            }
            (Finding::Ends(ends), Some(last)) if last.cleared_ms.is_none() && last.since_ms <= ends.at_ms => {
                last.ended(ends, now_ms)
            }
            (Finding::Ends(_), _) => return Ok(()),
        };
        self.topic.publish(&alert).await?;
        if self.incidents.put(&incident).await? == Written::Done {
            count(if incident.cleared_ms.is_some() { Metric::Cleared } else { Metric::Raised }, 1);
        }
        Ok(())
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
