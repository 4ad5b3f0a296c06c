//! Cases in memory, for tests and simulations.

use super::{Case, Cases, LANES, Stored};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::lane::lane;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Cases in memory.
#[derive(Debug, Default)]
pub struct MemoryCases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    cases: BTreeMap<String, Stored>,
    is_down: bool,
}

impl MemoryCases {
    /// Makes every call fail from now on, or none.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_down = is_down;
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Stored>) -> T) -> Result<T, RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_down {
            return Err(RemoteError::new("cases", Remedy::Retry, "the store is down"));
        }
        Ok(f(&mut state.cases))
    }
}

impl Cases for MemoryCases {
    async fn load(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        self.with(|cases| cases.get(key).cloned())
    }

    async fn store(&self, key: &str, case: &Case, version: Option<u64>) -> Result<bool, RemoteError> {
        self.with(|cases| {
            if cases.get(key).map(|stored| stored.version) != version {
                return false;
            }
            let version = version.map_or(0, |version| version + 1);
            cases.insert(key.to_owned(), Stored { case: case.clone(), version });
            true
        })
    }

    async fn due(&self, of: u8, now_ms: i64, limit: usize) -> Result<Vec<String>, RemoteError> {
        self.with(|cases| {
            let due = cases.iter().filter(|(key, _)| lane(key, LANES) == of);
            let due = due.filter_map(|(key, stored)| Some((stored.case.due_ms()?, key.clone())));
            let mut due: Vec<_> = due.filter(|(due_ms, _)| *due_ms <= now_ms).collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, key)| key).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::suite(&MemoryCases::default()).await;
    }
}
