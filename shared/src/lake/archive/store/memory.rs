//! A lake in memory, for tests and simulations.

use super::{Lake, Put, Stored};
use crate::lake::archive::Metadata;
use crate::platform::errors::RemoteError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lake in memory; clones share their objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryLake(Arc<Mutex<BTreeMap<String, Stored>>>);

impl MemoryLake {
    /// All objects, by key.
    pub fn objects(&self) -> BTreeMap<String, Stored> {
        self.lock().clone()
    }

    /// Puts an object without a condition, as a foreign writer would: it replaces an object with the same key.
    pub fn overwrite(&self, key: &str, object: Stored) {
        self.lock().insert(key.to_owned(), object);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lake for MemoryLake {
    async fn put_if_absent(&self, key: &str, object: &Stored) -> Result<Put, RemoteError> {
        Ok(match self.lock().entry(key.to_owned()) {
            Entry::Occupied(_) => Put::Exists,
            Entry::Vacant(vacant) => {
                vacant.insert(object.clone());
                Put::Created
            }
        })
    }

    async fn metadata(&self, key: &str) -> Result<Option<Metadata>, RemoteError> {
        Ok(self.lock().get(key).map(|object| object.metadata.clone()))
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        Ok(self.lock().get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RemoteError> {
        let objects = self.lock();
        let from = objects.range(prefix.to_owned()..);
        Ok(from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_lake_conforms() {
        crate::lake::archive::conformance::lake(super::MemoryLake::default()).await;
    }
}
