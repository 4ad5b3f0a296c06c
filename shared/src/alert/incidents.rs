//! The port to the store of incidents: the last incident of each device, and which incidents are open.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::Incident;
use crate::platform::errors::RemoteError;
use std::fmt;
use std::str::FromStr;

/// How many lanes the open incidents are spread over.
pub const LANES: u8 = 16;

/// A position among the open incidents of a lane, which are ordered by when they were raised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the incident at this position was raised, in milliseconds since the epoch.
    pub raised_ms: i64,
    /// Its device.
    pub device_id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.raised_ms, self.device_id)
    }
}

/// A text that is not a cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid incidents cursor")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (raised_ms, device_id) = text.split_once('#').ok_or(InvalidCursor)?;
        Ok(Self { raised_ms: raised_ms.parse().map_err(|_| InvalidCursor)?, device_id: device_id.to_owned() })
    }
}

/// A page of open incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Nothing was written: the device has another incident, or this one is over already.
    Conflict,
}

/// The store of incidents.
pub trait Incidents: Send + Sync {
    /// The open incident of each of `device_ids`, in their order.
    fn open_of(&self, device_ids: &[&str]) -> impl Future<Output = Result<Vec<Option<Incident>>, RemoteError>> + Send;

    /// Stores an incident: an open one if the device has no other open one, one that is over if it is the device's last
    /// one. Repeating a write succeeds.
    fn put(&self, incident: &Incident) -> impl Future<Output = Result<Written, RemoteError>> + Send;

    /// At most `limit` open incidents of `lane`, after a cursor or from the beginning. It may lag behind writes.
    fn open(
        &self,
        lane: u8,
        after: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}
