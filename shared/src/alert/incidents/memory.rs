//! Incidents in memory, for tests and simulations.

use super::{Acknowledgement, Cursor, Incident, Incidents, LANES, Page, Queue, ReadIncidents, Recent, Written};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::lane::lane;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// Incidents in memory.
#[derive(Debug, Default)]
pub struct MemoryIncidents(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By device and rule.
    incidents: BTreeMap<(String, Option<String>), Incident>,
    is_down: bool,
}

impl MemoryIncidents {
    /// Makes every call fail from now on, or none.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_down = is_down;
    }

    /// The last silence, and the last incident of each rule, of each device, sorted by device.
    pub fn all(&self) -> Vec<Incident> {
        self.with(|state| state.incidents.values().cloned().collect()).unwrap_or_default()
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> Result<T, RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_down {
            return Err(RemoteError::new("call the incidents", Remedy::Retry, "the store is down"));
        }
        Ok(f(&mut state))
    }
}

impl Incidents for MemoryIncidents {
    async fn open_of(&self, device_ids: &[&str]) -> Result<Vec<Option<Incident>>, RemoteError> {
        self.with(|state| {
            let last = |id: &&str| state.incidents.get(&((*id).to_owned(), None));
            device_ids.iter().map(|id| last(id).filter(|it| it.cleared_ms.is_none()).cloned()).collect()
        })
    }

    async fn last(&self, device_id: &str, rule: &str) -> Result<Option<Incident>, RemoteError> {
        self.with(|state| state.incidents.get(&(device_id.to_owned(), Some(rule.to_owned()))).cloned())
    }

    async fn put(&self, incident: &Incident) -> Result<Written, RemoteError> {
        self.with(|state| {
            let key = (incident.device_id.clone(), incident.rule.clone());
            let stored = state.incidents.get(&key);
            let is_allowed = match (stored, incident.cleared_ms) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(stored), None) if stored.id == incident.id => true,
                // A silence has no order.
                (Some(stored), None) => {
                    stored.cleared_ms.is_some() && (incident.order.is_none() || stored.order < incident.order)
                }
                (Some(stored), Some(_)) => stored.id == incident.id,
            };
            // An incident that is over never opens again.
            let is_over = stored.is_some_and(|stored| stored.id == incident.id && stored.cleared_ms.is_some());
            if !is_allowed || (is_over && incident.cleared_ms.is_none()) {
                return Written::Conflict;
            }
            let acknowledged = stored.filter(|stored| stored.id == incident.id).and_then(|it| it.acknowledged.clone());
            state.incidents.insert(key, Incident { acknowledged, ..incident.clone() });
            Written::Done
        })
    }

    async fn open(&self, queue: Queue, in_lane: u8, after: Option<&Cursor>, limit: usize) -> Result<Page, RemoteError> {
        self.with(|state| {
            let is_in_lane = |it: &&Incident| {
                it.cleared_ms.is_none() && Queue::of(it) == queue && lane(&it.device_id, LANES) == in_lane
            };
            let is_after = |it: &&Incident| after.is_none_or(|after| Cursor::of(it) > *after);
            let mut open: Vec<Incident> =
                state.incidents.values().filter(is_in_lane).filter(is_after).cloned().collect();
            open.sort_by_key(Cursor::of);
            let is_more = open.len() > limit;
            open.truncate(limit);
            Page { next: open.last().map(Cursor::of).filter(|_| is_more), incidents: open }
        })
    }
}

impl ReadIncidents for MemoryIncidents {
    async fn of_device(&self, device_id: &str) -> Result<Vec<Incident>, RemoteError> {
        self.with(|state| state.incidents.values().filter(|it| it.device_id == device_id).cloned().collect())
    }

    async fn of_facility(
        &self,
        facility: &str,
        raised_ms: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Recent, RemoteError> {
        self.with(|state| {
            let is_asked_for =
                |it: &&Incident| it.facility.as_deref() == Some(facility) && raised_ms.contains(&it.raised_ms);
            let mut incidents: Vec<Incident> = state.incidents.values().filter(is_asked_for).cloned().collect();
            incidents.sort_by_key(|it| std::cmp::Reverse(it.raised_ms));
            let count = incidents.len();
            if let Some(last_ms) = incidents.get(limit.max(1) - 1).map(|it| it.raised_ms) {
                incidents.retain(|it| it.raised_ms >= last_ms);
            }
            Recent { has_more: incidents.len() < count, incidents }
        })
    }

    async fn open_in(&self, facility: &str) -> Result<Vec<Incident>, RemoteError> {
        let recent = self.of_facility(facility, 0..=i64::MAX, usize::MAX).await?;
        Ok(recent.incidents.into_iter().filter(|it| it.cleared_ms.is_none()).collect())
    }

    async fn acknowledge(
        &self,
        device_id: &str,
        rule: Option<&str>,
        id: &str,
        acknowledgement: &Acknowledgement,
    ) -> Result<Option<Incident>, RemoteError> {
        self.with(|state| {
            let stored = state.incidents.get_mut(&(device_id.to_owned(), rule.map(str::to_owned)));
            let stored = stored.filter(|stored| stored.id == id)?;
            if stored.cleared_ms.is_none() && stored.acknowledged.is_none() {
                stored.acknowledged = Some(acknowledgement.clone());
            }
            Some(stored.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn memory_keeps_the_contract() {
        super::super::conformance::suite(&super::MemoryIncidents::default(), "test").await;
    }
}
