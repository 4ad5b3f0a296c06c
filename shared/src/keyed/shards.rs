//! Which slots a shard has.

use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::slot::{Slot, Slots};
use crate::stream::source::{Shard, Source};
use std::collections::HashMap;
use tokio::sync::Mutex;

/// The port to the list of a stream's shards. Each [`Source`] is one.
pub trait ListShards: Send + Sync {
    /// All shards that the stream still knows, closed ones included.
    fn list(&self) -> impl Future<Output = Result<Vec<Shard>, RemoteError>> + Send;
}

impl<S: Source> ListShards for S {
    async fn list(&self) -> Result<Vec<Shard>, RemoteError> {
        self.shards().await
    }
}

/// The shards of a stream, as they were listed last.
pub struct Shards<L> {
    port: L,
    known: Mutex<HashMap<String, Slots>>,
}

impl<L: ListShards> Shards<L> {
    /// The shards that `port` lists. Nothing is listed yet.
    pub fn new(port: L) -> Self {
        Self { port, known: Mutex::default() }
    }

    /// The slots of each shard that the stream still knows, `shard` among them. A shard's slots never change, so the shards
    /// are listed only when `shard` is new.
    pub async fn slots_with(&self, shard: &str) -> Result<HashMap<String, Slots>, RemoteError> {
        let mut known = self.known.lock().await;
        if !known.contains_key(shard) {
            let listed = self.port.list().await?;
            *known = listed.into_iter().map(|shard| (shard.id, Slot::within(shard.hash_keys).collect())).collect();
        }
        if !known.contains_key(shard) {
            return Err(RemoteError::new("ListShards", Remedy::Retry, format!("the stream does not list {shard}")));
        }
        Ok(known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::source::memory::MemoryStream;

    #[tokio::test]
    async fn shards_are_listed_when_one_is_new() {
        let stream = MemoryStream::new(1);
        let shards = Shards::new(stream.clone());
        let parent = stream.open_shards().remove(0);
        assert_eq!(shards.slots_with(&parent).await.unwrap()[&parent].to_string(), "00-ff");
        stream.split(&parent);
        let children = stream.open_shards();
        assert_eq!(shards.slots_with(&parent).await.unwrap().len(), 1, "the parent is known");
        let slots = shards.slots_with(&children[1]).await.unwrap();
        assert_eq!(
            (slots[&children[0]].to_string(), slots[&children[1]].to_string()),
            ("00-7f".into(), "80-ff".into())
        );
        assert!(shards.slots_with("unknown").await.is_err());
    }
}
