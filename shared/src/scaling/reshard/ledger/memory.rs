//! Entries in memory.

use super::{Entry, Ledger, Versioned};
use crate::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Mutex<HashMap<String, Versioned>>>);

impl MemoryLedger {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Versioned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for MemoryLedger {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        Ok(self.lock().get(stream).cloned().unwrap_or_default())
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        let mut entries = self.lock();
        let known = entries.entry(stream.to_owned()).or_default();
        if known.version != replaces {
            return Ok(None);
        }
        *known = Versioned { version: replaces + 1, entry: entry.clone() };
        Ok(Some(known.version))
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_ledger_conforms() {
        crate::scaling::reshard::ledger::conformance::suite(&super::MemoryLedger::default()).await;
    }
}
