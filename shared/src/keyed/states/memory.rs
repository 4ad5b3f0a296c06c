//! States in memory, for tests and simulations.

use super::{Committed, LoadedSlot, SlotCommit, SlotDevices, States, read};
use crate::keyed::fence::Fences;
use crate::keyed::{State, codec};
use crate::platform::errors::RemoteError;
use crate::stream::slot::Slot;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// States in memory, as the bytes that a server would hold.
#[derive(Debug)]
pub struct MemoryStates<S> {
    slots: Mutex<Snapshot>,
    state: PhantomData<fn() -> S>,
}

/// All that is held, by slot.
pub type Snapshot = BTreeMap<Slot, StoredSlot>;

/// What is held of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSlot {
    /// The fences, by stream.
    fences: BTreeMap<String, Fences>,
    /// The bytes of each device's state.
    states: BTreeMap<String, Vec<u8>>,
}

impl StoredSlot {
    /// How many states are held.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no states are held.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

impl<S> Default for MemoryStates<S> {
    fn default() -> Self {
        Self { slots: Mutex::default(), state: PhantomData }
    }
}

impl<S> MemoryStates<S> {
    fn slots(&self) -> MutexGuard<'_, Snapshot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses everything, as a server without persistence does when it restarts.
    pub fn lose_everything(&self) {
        self.slots().clear();
    }

    /// What is held now. [`Self::restore`] puts it back: a server that loses its last writes.
    pub fn snapshot(&self) -> Snapshot {
        self.slots().clone()
    }

    /// Holds `snapshot` and nothing else.
    pub fn restore(&self, snapshot: Snapshot) {
        *self.slots() = snapshot;
    }

    /// Holds of `slot` what `snapshot` has of it.
    pub fn restore_slot(&self, slot: Slot, snapshot: &Snapshot) {
        self.slots().insert(slot, snapshot.get(&slot).cloned().unwrap_or_default());
    }

    /// Deletes the state of a device, and keeps the fences of its slot.
    pub fn evict(&self, device_id: &str) {
        self.slots().entry(Slot::of(device_id)).or_default().states.remove(device_id);
    }

    /// Stores `bytes` as a device's state.
    pub fn put_raw(&self, device_id: &str, bytes: &[u8]) {
        self.slots().entry(Slot::of(device_id)).or_default().states.insert(device_id.to_owned(), bytes.to_vec());
    }
}

impl<S: State> States for MemoryStates<S> {
    type State = S;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<S>>, RemoteError> {
        let held = self.slots();
        let nothing = StoredSlot::default();
        let load = |wanted: &SlotDevices<'_>| {
            let stored = held.get(&wanted.slot).unwrap_or(&nothing);
            let states = wanted.devices.iter().map(|device| read(stored.states.get(*device).map(Vec::as_slice)));
            LoadedSlot { fences: stored.fences.get(stream).cloned().unwrap_or_default(), states: states.collect() }
        };
        Ok(slots.iter().map(load).collect())
    }

    async fn commit(&self, stream: &str, commits: &[SlotCommit<'_, S>]) -> Result<Vec<Committed>, RemoteError> {
        let mut held = self.slots();
        let commit = |commit: &SlotCommit<'_, S>| {
            let stored = held.entry(commit.slot).or_default();
            let fences = stored.fences.entry(stream.to_owned()).or_default();
            let is_lower = |(shard, loaded): (&String, &super::Fence)| {
                fences.get(shard).is_none_or(|fence| fence.position < loaded.position)
            };
            if commit.fences.iter().any(is_lower) {
                return Committed::Conflict;
            }
            let mut changed = Vec::new();
            for state in &commit.states {
                let bytes = state.kept.map(codec::encode);
                let now = read::<S>(stored.states.get(state.device_id).map(Vec::as_slice)).version;
                let is_done = bytes.as_ref().is_some_and(|bytes| now.0 == bytes[..codec::DIGEST]);
                if now != *state.replaces && !is_done {
                    return Committed::Conflict;
                }
                changed.extend(bytes.map(|bytes| (state.device_id.to_owned(), bytes)));
            }
            stored.states.extend(changed);
            for shard in &commit.forgotten {
                fences.remove(*shard);
            }
            if let Some((shard, fence)) = commit.fence {
                let before = fences.get(shard);
                let fence = crate::keyed::fence::advance(before, fence.position, fence.lost_until);
                fences.insert(shard.to_owned(), fence);
            }
            Committed::Done
        };
        Ok(commits.iter().map(commit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        let states = MemoryStates::<conformance::Counted>::default();
        conformance::suite(&states, "test").await;
        states.put_raw("broken", b"neither a state nor long");
        conformance::corrupted(&states, "broken").await;
        states.put_raw("short", b"x");
        conformance::corrupted(&states, "short").await;
    }
}
