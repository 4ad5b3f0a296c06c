//! Dead letters in memory, with switches for the faults of a real store. For tests and simulations.

use super::{DeadLetter, DeadLetterReader, DeadLetterStore, PREFIX, Reason};
use crate::platform::errors::{Remedy, RemoteError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryDeadLetters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    refused: Option<(String, Remedy)>,
    hangs: bool,
    puts: usize,
}

impl MemoryDeadLetters {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses letters from now on whose key contains `part`. An empty text refuses all letters.
    pub fn refuse(&self, part: &str, remedy: Remedy) {
        self.with(|state| state.refused = Some((part.to_owned(), remedy)));
    }

    /// Never answers a put from now on.
    pub fn hang(&self) {
        self.with(|state| state.hangs = true);
    }

    /// Ends the faults.
    pub fn recover(&self) {
        self.with(|state| (state.refused, state.hangs) = (None, false));
    }

    /// The number of attempted puts.
    pub fn puts(&self) -> usize {
        self.with(|state| state.puts)
    }

    /// All letters, in the order of their keys.
    pub fn letters(&self) -> Vec<DeadLetter> {
        self.with(|state| state.objects.values().filter_map(|bytes| DeadLetter::from_json(bytes).ok()).collect())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DeadLetterStore for MemoryDeadLetters {
    async fn put(&self, letter: &DeadLetter) -> Result<(), RemoteError> {
        let key = letter.key();
        let hangs = self.with(|state| {
            state.puts += 1;
            if let Some((part, remedy)) = &state.refused
                && key.contains(part.as_str())
            {
                return Err(RemoteError::new(format!("put {key}"), *remedy, "refused"));
            }
            if !state.hangs {
                state.objects.insert(key, letter.to_json());
            }
            Ok(state.hangs)
        })?;
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl DeadLetterReader for MemoryDeadLetters {
    async fn keys(&self, reason: Option<Reason>) -> Result<Vec<String>, RemoteError> {
        let prefix = super::prefix(reason);
        Ok(self.with(|state| state.objects.keys().filter(|key| key.starts_with(&prefix)).cloned().collect()))
    }

    async fn get(&self, key: &str) -> Result<DeadLetter, RemoteError> {
        let wrong = |source: Box<dyn std::error::Error + Send + Sync>| {
            RemoteError::new(format!("get {key}"), Remedy::GiveUp, source)
        };
        let bytes = self.with(|state| state.objects.get(key).cloned());
        let bytes = bytes.ok_or_else(|| wrong(format!("no such letter under {PREFIX}").into()))?;
        DeadLetter::from_json(&bytes).map_err(|error| wrong(error.into()))
    }
}
