//! The port to what is known of connections.
//!
//! Each write is conditional on the revision that was read, so that events handled at the same time by several
//! invocations converge: the one that loses reads again and decides anew.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::Presence;
use crate::platform::errors::RemoteError;

/// Lanes in which disconnects wait for their second look.
pub const LANES: u8 = 16;

/// What is stored of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is known.
    pub presence: Presence,
    /// Grows with each write.
    pub revision: u64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// Somebody else wrote since: read again.
    Conflict,
}

/// The port.
pub trait Presences: Send + Sync {
    /// What is stored of a client; never an old state.
    fn get(&self, client_id: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send;

    /// Writes `presence` over the revision that was read, `None` where nothing was there.
    fn put(&self, presence: &Presence, over: Option<u64>) -> impl Future<Output = Result<Written, RemoteError>> + Send;

    /// At most `limit` clients of `lane` whose disconnect is to be looked at by `now_ms`, the earliest first. It may lag
    /// behind the writes: what is settled already is then refused as a conflict.
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
