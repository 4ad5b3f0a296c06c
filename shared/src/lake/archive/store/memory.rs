//! A lake in memory, for tests and simulations.

use super::{Lake, Listed, Put, Stored, Survey};
use crate::lake::archive::Metadata;
use crate::platform::errors::RemoteError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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

impl Survey for MemoryLake {
    async fn survey(&self, prefix: &str, max: usize) -> Result<Option<Vec<Listed>>, RemoteError> {
        let objects = self.lock();
        let tag = |stored: &Stored| {
            let mut hasher = DefaultHasher::new();
            stored.body.hash(&mut hasher);
            hasher.finish().to_string()
        };
        let found = objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(max.saturating_add(1));
        let found: Vec<_> = found.map(|(key, stored)| Listed { key: key.clone(), tag: tag(stored) }).collect();
        Ok((found.len() <= max).then_some(found))
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_lake_conforms() {
        crate::lake::archive::conformance::lake(super::MemoryLake::default()).await;
    }
}
