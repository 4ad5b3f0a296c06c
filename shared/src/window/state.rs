//! Per-device state between invocations: loaded for a whole batch in one round trip, committed in another, each device
//! by compare-and-set on what was loaded, so that a zombie changes nothing.

pub mod codec;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use super::DeviceState;
use crate::platform::errors::RemoteError;

/// What is kept for a device, and its version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The state; `None` when there is none, or none that can be read.
    pub state: Option<DeviceState>,
    /// What a commit names as the version it replaces.
    pub version: Version,
    /// There was something that is no state: it counts as lost.
    pub corrupted: bool,
}

/// The head of the stored bytes: the digest of a state, or whatever stands in its place; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(pub(crate) Vec<u8>);

/// A state to be committed.
#[derive(Clone, Debug)]
pub struct Commit<'a> {
    /// Whose it is.
    pub device_id: &'a str,
    /// The version it was computed from.
    pub replaces: &'a Version,
    /// The state.
    pub state: &'a DeviceState,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The state is kept. Doing it again is no conflict.
    Done,
    /// Somebody else's state is kept: load and compute again.
    Conflict,
}

/// The port to per-device state.
pub trait States: Send + Sync {
    /// Where a device's state is. Devices of one slot are best loaded and committed together.
    fn slot(&self, _device: &str) -> u8 {
        0
    }

    /// What is kept for each of `devices`, in their order, in one round trip.
    fn load(&self, devices: &[&str]) -> impl Future<Output = Result<Vec<Loaded>, RemoteError>> + Send;

    /// Commits each state if the version it replaces is still there, in one round trip; the answers are in the order
    /// of `commits`. After an error, any of them may have happened.
    fn commit(&self, commits: &[Commit<'_>]) -> impl Future<Output = Result<Vec<Committed>, RemoteError>> + Send;
}

/// What the stored bytes say.
pub(crate) fn read(stored: Option<&[u8]>) -> Loaded {
    let Some(stored) = stored else { return Loaded::default() };
    let version = Version(stored[..stored.len().min(codec::DIGEST)].to_vec());
    match codec::decode(stored) {
        Ok(state) => Loaded { state: Some(state), version, corrupted: false },
        Err(_) => Loaded { state: None, version, corrupted: true },
    }
}
