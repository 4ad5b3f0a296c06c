//! Stores connections in memory, for tests and simulations.

use super::super::Presence;
use super::{LANES, Presences, Stored, Written};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::lane::lane;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A store of connections in memory.
#[derive(Debug, Default)]
pub struct MemoryPresences(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    clients: BTreeMap<String, Stored>,
    is_down: bool,
}

impl MemoryPresences {
    /// Makes every later call fail, or succeed again.
    pub fn set_down(&self, is_down: bool) {
        let _ = self.with(|state| {
            state.is_down = is_down;
            Ok(())
        });
    }

    fn answer<T>(&self, operation: &str, f: impl FnOnce(&mut State) -> T) -> Result<T, RemoteError> {
        self.with(|state| {
            if state.is_down {
                return Err(RemoteError::new(operation, Remedy::Retry, "the store is down"));
            }
            Ok(f(state))
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Presences for MemoryPresences {
    async fn get(&self, client_id: &str) -> Result<Option<Stored>, RemoteError> {
        self.answer("get a presence", |state| state.clients.get(client_id).cloned())
    }

    async fn put(&self, presence: &Presence, over: Option<u64>) -> Result<Written, RemoteError> {
        self.answer("put a presence", |state| {
            let id = &presence.newest.client_id;
            if state.clients.get(id).map(|stored| stored.revision) != over {
                return Written::Conflict;
            }
            let revision = over.map_or(0, |revision| revision + 1);
            state.clients.insert(id.clone(), Stored { presence: presence.clone(), revision });
            Written::Done
        })
    }

    async fn due(&self, of: u8, now_ms: i64, limit: usize) -> Result<Vec<Stored>, RemoteError> {
        self.answer("list disconnects", |state| {
            let due = state.clients.values().filter(|stored| {
                let at_ms = stored.presence.settle_at_ms;
                at_ms.is_some_and(|at_ms| at_ms <= now_ms) && lane(&stored.presence.newest.client_id, LANES) == of
            });
            let mut due: Vec<Stored> = due.cloned().collect();
            due.sort_by_key(|stored| stored.presence.settle_at_ms);
            due.truncate(limit);
            due
        })
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_store_in_memory_passes_the_conformance_suite() {
        super::super::conformance::suite(&super::MemoryPresences::default(), "test").await;
    }
}
