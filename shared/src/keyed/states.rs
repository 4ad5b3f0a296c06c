//! The state of each device between invocations, slot by slot.
//!
//! A batch loads the fences and the states of its slots in one round trip, and commits them in another. A slot is committed
//! whole or not at all: by compare-and-set on its fences and on the version of each state that was loaded. So an invocation
//! that should be dead changes nothing.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use super::fence::{Fence, Fences};
use super::{Kept, State, codec};
use crate::platform::errors::RemoteError;
use crate::stream::slot::Slot;

/// Devices of one slot.
#[derive(Clone, Debug)]
pub struct SlotDevices<'a> {
    /// The slot.
    pub slot: Slot,
    /// The devices; there may be none.
    pub devices: Vec<&'a str>,
}

/// What is stored of a slot. All of it was read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSlot<S> {
    /// The slot's fences for the shards of the stream.
    pub fences: Fences,
    /// What is stored for each of the devices, in the order in which they were asked for.
    pub states: Vec<Loaded<S>>,
}

/// What is stored for a device, and its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<S> {
    /// What is kept; `None` when there is nothing, or nothing that can be read.
    pub kept: Option<Kept<S>>,
    /// What a commit names as the version that it replaces.
    pub version: Version,
    /// The state counts as lost: something is stored that cannot be read.
    pub is_lost: bool,
}

impl<S> Default for Loaded<S> {
    fn default() -> Self {
        Self { kept: None, version: Version::default(), is_lost: false }
    }
}

/// The head of the stored bytes: the digest of a state, or whatever is stored instead; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(pub(crate) Vec<u8>);

/// A slot to be committed.
#[derive(Debug)]
pub struct SlotCommit<'a, S> {
    /// The slot.
    pub slot: Slot,
    /// The fences that were loaded. None of them may be lower by now.
    pub fences: &'a Fences,
    /// The fence to set, and its shard; `None` where no batch is processed.
    pub fence: Option<(&'a str, Fence)>,
    /// The shards whose fences are not needed any more.
    pub forgotten: Vec<&'a str>,
    /// The states.
    pub states: Vec<Commit<'a, S>>,
}

/// A state to be committed.
#[derive(Debug)]
pub struct Commit<'a, S> {
    /// The device.
    pub device_id: &'a str,
    /// The version that it was computed from.
    pub replaces: &'a Version,
    /// What to keep; `None` if it has not changed.
    pub kept: Option<&'a Kept<S>>,
}

/// What became of the commit of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is stored. Committing it again is not a conflict.
    Done,
    /// Another invocation has been here, or the store has lost something: nothing of the slot is changed. Load and compute
    /// again.
    Conflict,
}

/// The port to the states of a function.
pub trait States: Send + Sync {
    /// The state of a device.
    type State: State;

    /// What is stored of each slot, in the order of `slots`, in one round trip. `stream` names the fences.
    fn load(
        &self,
        stream: &str,
        slots: &[SlotDevices<'_>],
    ) -> impl Future<Output = Result<Vec<LoadedSlot<Self::State>>, RemoteError>> + Send;

    /// Commits each slot, if each fence is at least what was loaded, and each state is what was loaded or what is to be
    /// stored. The answers are in the order of `commits`, whose slots differ. After an error, any of them may have happened.
    fn commit(
        &self,
        stream: &str,
        commits: &[SlotCommit<'_, Self::State>],
    ) -> impl Future<Output = Result<Vec<Committed>, RemoteError>> + Send;
}

/// What the stored bytes say.
pub(crate) fn read<S: State>(stored: Option<&[u8]>) -> Loaded<S> {
    let Some(stored) = stored else { return Loaded::default() };
    let version = Version(stored[..stored.len().min(codec::DIGEST)].to_vec());
    match codec::decode(stored) {
        Ok(kept) => Loaded { kept: Some(kept), version, is_lost: false },
        Err(_) => Loaded { kept: None, version, is_lost: true },
    }
}
