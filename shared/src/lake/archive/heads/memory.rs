//! Heads in memory, for tests and simulations.

use super::{AllHeads, Head, Heads, HeadsKeeper};
use crate::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Items = HashMap<(String, String), Head>;

/// Heads in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryHeads(Arc<Mutex<Items>>);

impl MemoryHeads {
    /// Deletes all heads, like the loss of the table.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heads for MemoryHeads {
    async fn get(&self, stream: &str, shard: &str) -> Result<Option<Head>, RemoteError> {
        Ok(self.lock().get(&(stream.to_owned(), shard.to_owned())).copied())
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) -> Result<(), RemoteError> {
        let mut items = self.lock();
        let known = items.entry((stream.to_owned(), shard.to_owned())).or_insert(head);
        *known = head.max(*known);
        Ok(())
    }
}

impl HeadsKeeper for MemoryHeads {
    async fn all(&self, stream: &str) -> Result<AllHeads, RemoteError> {
        let items = self.lock();
        let of_stream = items.iter().filter(|((of, _), _)| of == stream);
        let mut heads: Vec<_> = of_stream.map(|((_, shard), head)| (shard.clone(), Ok(*head))).collect();
        heads.sort();
        Ok(heads)
    }

    async fn replace(&self, stream: &str, shard: &str, head: Option<Head>) -> Result<(), RemoteError> {
        let key = (stream.to_owned(), shard.to_owned());
        match head {
            Some(head) => self.lock().insert(key, head),
            None => self.lock().remove(&key),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_heads_conform() {
        crate::lake::archive::conformance::heads(super::MemoryHeads::default()).await;
    }
}
