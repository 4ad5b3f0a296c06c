//! The ports to the store of incidents: the last silence of each device, the last incident of each rule on each device, and which
//! incidents are open.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::{Acknowledgement, Incident};
use crate::platform::errors::RemoteError;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How many lanes the open incidents are spread over.
pub const LANES: u8 = 16;

/// What the open incidents of a list have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// They are silences.
    Silent,
    /// Rules found them.
    Rules,
}

impl Queue {
    /// The queue of an incident.
    pub const fn of(incident: &Incident) -> Self {
        if incident.rule.is_none() { Self::Silent } else { Self::Rules }
    }

    /// Its name in a store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Rules => "rules",
        }
    }
}

/// A position among the open incidents of a lane, which are ordered by when they were raised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the incident at this position was raised, in milliseconds since the epoch.
    pub raised_ms: i64,
    /// Its device.
    pub device_id: String,
    /// Its rule; `None` for a silence.
    pub rule: Option<String>,
}

impl Cursor {
    /// The position of an incident.
    pub fn of(incident: &Incident) -> Self {
        let Incident { raised_ms, device_id, rule, .. } = incident;
        Self { raised_ms: *raised_ms, device_id: device_id.clone(), rule: rule.clone() }
    }
}

/// `<raised>#<device>` of a silence: `<raised>#<rule>##<device>` of another incident, since a rule's name has no `#`.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#", self.raised_ms)?;
        if let Some(rule) = &self.rule {
            write!(f, "{rule}##")?;
        }
        f.write_str(&self.device_id)
    }
}

/// A text that is not a cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid incidents cursor")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (raised_ms, rest) = text.split_once('#').ok_or(InvalidCursor)?;
        let raised_ms = raised_ms.parse().map_err(|_| InvalidCursor)?;
        let (rule, device_id) = match rest.split_once("##") {
            Some((rule, device_id)) => (Some(rule.to_owned()), device_id),
            None => (None, rest),
        };
        Ok(Self { raised_ms, device_id: device_id.to_owned(), rule })
    }
}

/// A page of open incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The incidents, by when they were raised.
    pub incidents: Vec<Incident>,
    /// The position after which the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The incident is stored.
    Done,
    /// Nothing was written: the device has another silence or another incident of the rule, or this one is over already.
    Conflict,
}

/// The store of incidents.
pub trait Incidents: Send + Sync {
    /// The open silence of each of `device_ids`, in their order.
    fn open_of(&self, device_ids: &[&str]) -> impl Future<Output = Result<Vec<Option<Incident>>, RemoteError>> + Send;

    /// The last incident of a rule on a device, open or over.
    fn last(&self, device_id: &str, rule: &str) -> impl Future<Output = Result<Option<Incident>, RemoteError>> + Send;

    /// Stores a silence, or an incident of a rule: an open one if the device has no other open one of these, one that is over if it
    /// is the last one. Repeating a write succeeds. What is stored of its acknowledgement stays, whatever `incident` says of it.
    fn put(&self, incident: &Incident) -> impl Future<Output = Result<Written, RemoteError>> + Send;

    /// At most `limit` open incidents of a lane of `queue`, after a cursor or from the beginning. The latest writes may be missing.
    fn open(
        &self,
        queue: Queue,
        lane: u8,
        after: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}

/// Incidents as people read them, open ones and those that are over.
pub trait ReadIncidents: Send + Sync {
    /// The last silence of a device and the last incident of each rule on it, in no particular order.
    fn of_device(&self, device_id: &str) -> impl Future<Output = Result<Vec<Incident>, RemoteError>> + Send;

    /// Incidents that were raised in a facility within `raised_ms`, in milliseconds since the epoch, the newest first. At least
    /// `limit` of them, if there are so many, and all that were raised in the same millisecond as the last one. The latest writes
    /// may be missing.
    fn of_facility(
        &self,
        facility: &str,
        raised_ms: RangeInclusive<i64>,
        limit: usize,
    ) -> impl Future<Output = Result<Recent, RemoteError>> + Send;

    /// The open incidents that were raised in a facility, in no particular order. The latest writes may be missing.
    fn open_in(&self, facility: &str) -> impl Future<Output = Result<Vec<Incident>, RemoteError>> + Send;

    /// Notes that someone has taken notice of an incident: the one called `id`, if it is the device's last silence or its last
    /// incident of `rule`. An incident that is over, or that is acknowledged already, stays as it is.
    ///
    /// Returns the incident as it is stored now; `None` if the device has another one by now, or none.
    fn acknowledge(
        &self,
        device_id: &str,
        rule: Option<&str>,
        id: &str,
        acknowledgement: &Acknowledgement,
    ) -> impl Future<Output = Result<Option<Incident>, RemoteError>> + Send;
}

/// The newest incidents of a facility.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// The incidents, the newest first.
    pub incidents: Vec<Incident>,
    /// Whether older ones exist within the times that were asked for.
    pub has_more: bool,
}
