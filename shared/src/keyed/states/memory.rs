//! State in memory, for tests and simulations.

use super::super::{State, codec};
use super::{Commit, Committed, Loaded, States, read};
use crate::platform::errors::RemoteError;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// State in memory, as the bytes that a server would hold.
#[derive(Debug)]
pub struct MemoryStates<S> {
    bytes: Mutex<HashMap<String, Vec<u8>>>,
    state: PhantomData<fn() -> S>,
}

impl<S> Default for MemoryStates<S> {
    fn default() -> Self {
        Self { bytes: Mutex::default(), state: PhantomData }
    }
}

impl<S> MemoryStates<S> {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses everything, as a server without persistence does when it restarts.
    pub fn lose_everything(&self) {
        self.map().clear();
    }

    /// What is held now. [`Self::restore`] puts it back: a server that loses its last writes.
    pub fn snapshot(&self) -> HashMap<String, Vec<u8>> {
        self.map().clone()
    }

    /// Holds `snapshot` and nothing else.
    pub fn restore(&self, snapshot: HashMap<String, Vec<u8>>) {
        *self.map() = snapshot;
    }

    /// Stores `bytes` as a device's state.
    pub fn put_raw(&self, device_id: &str, bytes: &[u8]) {
        self.map().insert(device_id.to_owned(), bytes.to_vec());
    }
}

impl<S: State> States for MemoryStates<S> {
    type State = S;

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<S>>, RemoteError> {
        let map = self.map();
        Ok(devices.iter().map(|device| read(map.get(*device).map(Vec::as_slice))).collect())
    }

    async fn commit(&self, commits: &[Commit<'_, S>]) -> Result<Vec<Committed>, RemoteError> {
        let mut map = self.map();
        Ok(commits
            .iter()
            .map(|commit| {
                let bytes = codec::encode(commit.state);
                let now = read::<S>(map.get(commit.device_id).map(Vec::as_slice)).version;
                if now != *commit.replaces && now.0 != bytes[..codec::DIGEST] {
                    return Committed::Conflict;
                }
                map.insert(commit.device_id.to_owned(), bytes);
                Committed::Done
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Counted};
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        let states = MemoryStates::<Counted>::default();
        conformance::suite(&states, "test").await;
        states.put_raw("broken", b"neither a state nor long");
        conformance::corrupted(&states, "broken").await;
        states.put_raw("short", b"x");
        conformance::corrupted(&states, "short").await;
    }
}
