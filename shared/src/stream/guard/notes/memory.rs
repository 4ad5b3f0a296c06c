//! Notes in memory, for tests and simulations.

use super::{Notes, Suspect};
use crate::platform::errors::{Remedy, RemoteError};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Notes in memory.
#[derive(Debug, Default)]
pub struct MemoryNotes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    noted: HashMap<String, BTreeSet<String>>,
    calls: usize,
    is_down: bool,
    keeps: bool,
}

impl MemoryNotes {
    /// Whether each call fails from now on.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_down = is_down;
    }

    /// Whether striking off fails from now on.
    pub fn keep(&self, keeps: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keeps = keeps;
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).calls
    }

    fn call<T>(&self, f: impl FnOnce(&mut HashMap<String, BTreeSet<String>>) -> T) -> Result<T, RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls += 1;
        if state.is_down {
            return Err(RemoteError::new("note", Remedy::Retry, "the notes are down"));
        }
        Ok(f(&mut state.noted))
    }
}

fn key(Suspect { function, stream, shard, sequence, .. }: &Suspect<'_>) -> String {
    format!("{function}/{stream}/{shard}/{sequence}")
}

impl Notes for MemoryNotes {
    async fn note(&self, suspect: &Suspect<'_>, invocation: &str) -> Result<usize, RemoteError> {
        self.call(|noted| {
            let invocations = noted.entry(key(suspect)).or_default();
            invocations.insert(invocation.to_owned());
            invocations.len() - 1
        })
    }

    async fn strike_off(&self, suspect: &Suspect<'_>) -> Result<(), RemoteError> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).keeps {
            return Err(RemoteError::new("strike off", Remedy::Retry, "deletions fail"));
        }
        self.call(|noted| drop(noted.remove(&key(suspect))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::suite(&MemoryNotes::default()).await;
    }
}
