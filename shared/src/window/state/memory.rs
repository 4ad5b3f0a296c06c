//! State in memory, for tests and simulations.

use super::{Commit, Committed, Loaded, States, codec, read};
use crate::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// State in memory, as the bytes that a server would hold.
#[derive(Debug, Default)]
pub struct MemoryStates(Mutex<HashMap<String, Vec<u8>>>);

impl MemoryStates {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses everything, as a server without persistence does when it starts anew.
    pub fn lose_everything(&self) {
        self.map().clear();
    }

    /// What is held now, to be put back by [`Self::restore`]: a server that loses its last writes.
    pub fn snapshot(&self) -> HashMap<String, Vec<u8>> {
        self.map().clone()
    }

    /// Holds `snapshot` and nothing else.
    pub fn restore(&self, snapshot: HashMap<String, Vec<u8>>) {
        *self.map() = snapshot;
    }

    /// Puts `bytes` in the place of a device's state.
    pub fn put_raw(&self, device_id: &str, bytes: &[u8]) {
        self.map().insert(device_id.to_owned(), bytes.to_vec());
    }
}

impl States for MemoryStates {
    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded>, RemoteError> {
        let map = self.map();
        Ok(devices.iter().map(|device| read(map.get(*device).map(Vec::as_slice))).collect())
    }

    async fn commit(&self, commits: &[Commit<'_>]) -> Result<Vec<Committed>, RemoteError> {
        let mut map = self.map();
        Ok(commits
            .iter()
            .map(|commit| {
                let bytes = codec::encode(commit.state);
                let now = read(map.get(commit.device_id).map(Vec::as_slice)).version;
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
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        let states = MemoryStates::default();
        conformance::suite(&states, "test").await;
        states.put_raw("broken", b"neither a state nor long");
        conformance::corrupted(&states, "broken").await;
        states.put_raw("short", b"x");
        conformance::corrupted(&states, "short").await;
    }
}
