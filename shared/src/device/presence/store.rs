//! The port for storing what is known about connections.
//!
//! Each write depends on the revision that was read. So several invocations can handle events of one client at the same
//! time: an invocation whose write conflicts reads and decides again.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::Presence;
use crate::platform::errors::RemoteError;

/// The number of lanes in which disconnects wait to be settled.
pub const LANES: u8 = 16;

/// What is stored for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is known.
    pub presence: Presence,
    /// The revision, which grows with each write.
    pub revision: u64,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The presence is stored.
    Done,
    /// Another invocation has written since the read: read again.
    Conflict,
}

/// The port for reading and writing what is known about connections.
pub trait Presences: Send + Sync {
    /// Reads what is stored for a client. The result includes all earlier writes.
    fn get(&self, client_id: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send;

    /// Writes `presence` if the stored revision is still `over`, or if nothing is stored and `over` is `None`.
    fn put(&self, presence: &Presence, over: Option<u64>) -> impl Future<Output = Result<Written, RemoteError>> + Send;

    /// Lists at most `limit` clients of `lane` whose disconnect is to be settled by `now_ms`, the earliest first. The
    /// list may be older than the latest writes. Settling a disconnect again is then a conflict.
    fn due(&self, lane: u8, now_ms: i64, limit: usize)
    -> impl Future<Output = Result<Vec<Stored>, RemoteError>> + Send;
}

impl<P: Presences> Presences for &P {
    fn get(&self, client_id: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send {
        (**self).get(client_id)
    }

    fn put(&self, presence: &Presence, over: Option<u64>) -> impl Future<Output = Result<Written, RemoteError>> + Send {
        (**self).put(presence, over)
    }

    fn due(
        &self,
        lane: u8,
        now_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored>, RemoteError>> + Send {
        (**self).due(lane, now_ms, limit)
    }
}
