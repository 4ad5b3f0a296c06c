//! A watch in memory, for tests and simulations.

use super::{Expected, Hears, LANES, Watch};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::lane::lane;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A watch in memory. It keeps places until [`Self::lose_memory`], whatever their `ttl`.
#[derive(Debug, Default)]
pub struct MemoryWatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    expected: BTreeMap<String, i64>,
    places: BTreeMap<String, String>,
    is_down: bool,
}

impl MemoryWatch {
    /// Forgets everything, as Redis may.
    pub fn lose_memory(&self) {
        let _ = self.with(|state| (state.expected.clear(), state.places.clear()));
    }

    /// Makes every later call fail, or succeed again.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_down = is_down;
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> Result<T, RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_down {
            return Err(RemoteError::new("call the watch", Remedy::Retry, "the watch is down"));
        }
        Ok(f(&mut state))
    }
}

impl Hears for MemoryWatch {
    async fn heard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        self.with(|state| {
            for Expected { device_id, by_ms } in expected {
                let known = state.expected.entry(device_id.clone()).or_insert(*by_ms);
                *known = (*known).max(*by_ms);
            }
        })
    }
}

impl Watch for MemoryWatch {
    async fn overdue(&self, of: u8, now_ms: i64, limit: usize) -> Result<Vec<Expected>, RemoteError> {
        self.with(|state| {
            let overdue = state.expected.iter().filter(|(id, by_ms)| **by_ms < now_ms && lane(id, LANES) == of);
            let expected = |(id, by_ms): (&String, &i64)| Expected { device_id: id.clone(), by_ms: *by_ms };
            let mut overdue: Vec<_> = overdue.map(expected).collect();
            overdue.sort_by_key(|expected| expected.by_ms);
            overdue.truncate(limit);
            overdue
        })
    }

    async fn expected(&self, device_ids: &[&str]) -> Result<Vec<Option<i64>>, RemoteError> {
        self.with(|state| device_ids.iter().map(|id| state.expected.get(*id).copied()).collect())
    }

    async fn drop_unheard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        self.with(|state| {
            for Expected { device_id, by_ms } in expected {
                if state.expected.get(device_id) == Some(by_ms) {
                    state.expected.remove(device_id);
                }
            }
        })
    }

    async fn place(&self, name: &str) -> Result<Option<String>, RemoteError> {
        self.with(|state| state.places.get(name).cloned())
    }

    async fn keep_place(&self, name: &str, place: &str, _ttl: Duration) -> Result<(), RemoteError> {
        self.with(|state| {
            state.places.insert(name.to_owned(), place.to_owned());
        })
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_watch_in_memory_passes_the_conformance_suite() {
        super::super::conformance::suite(&super::MemoryWatch::default(), "test").await;
    }
}
