//! The state of each device between invocations.
//!
//! A whole batch loads its states in one round trip and commits them in another. Each device is committed by
//! compare-and-set on the version that was loaded, so that an invocation that should be dead changes nothing.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use super::{State, codec};
use crate::platform::errors::RemoteError;

/// What is stored for a device, and its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<S> {
    /// The state; `None` when there is none, or none that can be read.
    pub state: Option<S>,
    /// What a commit names as the version that it replaces.
    pub version: Version,
    /// Something is stored that is not a state: the state counts as lost.
    pub corrupted: bool,
}

impl<S> Default for Loaded<S> {
    fn default() -> Self {
        Self { state: None, version: Version::default(), corrupted: false }
    }
}

/// The head of the stored bytes: the digest of a state, or whatever is stored instead; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(pub(crate) Vec<u8>);

/// A state to be committed.
#[derive(Debug)]
pub struct Commit<'a, S> {
    /// The device.
    pub device_id: &'a str,
    /// The version that it was computed from.
    pub replaces: &'a Version,
    /// The state.
    pub state: &'a S,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The state is stored. Committing it again is not a conflict.
    Done,
    /// Another invocation's state is stored: load and compute again.
    Conflict,
}

/// The port to per-device state.
pub trait States: Send + Sync {
    /// The state of a device.
    type State: State;

    /// The slot of a device's state. Devices of one slot are best loaded and committed together.
    fn slot(&self, _device: &str) -> u8 {
        0
    }

    /// What is stored for each of `devices`, in their order, in one round trip.
    fn load(&self, devices: &[&str]) -> impl Future<Output = Result<Vec<Loaded<Self::State>>, RemoteError>> + Send;

    /// Commits each state if the version that it replaces is still stored, in one round trip. The answers are in the order
    /// of `commits`. After an error, any of them may have happened.
    fn commit(
        &self,
        commits: &[Commit<'_, Self::State>],
    ) -> impl Future<Output = Result<Vec<Committed>, RemoteError>> + Send;
}

/// What the stored bytes say.
pub(crate) fn read<S: State>(stored: Option<&[u8]>) -> Loaded<S> {
    let Some(stored) = stored else { return Loaded::default() };
    let version = Version(stored[..stored.len().min(codec::DIGEST)].to_vec());
    match codec::decode(stored) {
        Ok(state) => Loaded { state: Some(state), version, corrupted: false },
        Err(_) => Loaded { state: None, version, corrupted: true },
    }
}
