//! Master data read through Redis, which all functions share: a new function's first batch costs DynamoDB little.
//!
//! Redis is a help and nothing more. When it is down, slow, or holds what makes no sense, the store is read.

use super::document::{Key, Kind, Stored};
use super::{LONGEST_USE, MasterData, MasterDataWriter, NotPut, Page, negative_ms};
use crate::platform::errors::RemoteError;
use crate::platform::redis::{Connection, Patience};
use std::collections::HashMap;
use std::time::Duration;

/// Begins every key; the number goes up when the value's form changes.
const PREFIX: &str = "myaku:registry:1:";

/// A store with Redis in front of it, or without where none is given.
pub struct Shared<M> {
    store: M,
    cache: Option<Connection>,
    ttl_ms: i64,
    patience: Patience,
}

impl<M: MasterData> Shared<M> {
    /// `store`, with what it said kept in `cache` for `ttl`.
    pub fn new(store: M, cache: Option<Connection>, ttl: Duration) -> Self {
        let ttl_ms = ttl.min(LONGEST_USE).as_millis() as i64;
        Self { store, cache, ttl_ms, patience: Patience::new("registry") }
    }

    /// Redis, unless there is none or it failed a moment ago.
    fn cache(&self, now_ms: i64) -> Option<&Connection> {
        self.cache.as_ref().filter(|_| !self.patience.is_paused(now_ms))
    }

    /// What Redis knows of `keys` that is still young enough.
    async fn recall(&self, keys: &[Key], now_ms: i64) -> HashMap<Key, Stored> {
        let Some(cache) = self.cache(now_ms) else { return HashMap::new() };
        let names: Vec<_> = keys.iter().map(|key| format!("{PREFIX}{key}")).collect();
        let values = self.patience.wait(now_ms, cache.get_many(&names)).await.unwrap_or_default();
        let known = keys.iter().zip(values).filter_map(|(key, value)| {
            let stored = decode(&value?)?;
            let age_ms = now_ms - stored.read_ms;
            // A reading from the future comes of a clock that is wrong: it would be believed for too long.
            (age_ms >= 0 && age_ms < self.lifetime_ms(&stored)).then(|| (key.clone(), stored))
        });
        known.collect()
    }

    async fn remember(&self, read: &HashMap<Key, Stored>, now_ms: i64) {
        let Some(cache) = self.cache(now_ms) else { return };
        let (present, absent): (Vec<_>, Vec<_>) = read.iter().partition(|(_, stored)| stored.document.is_some());
        for (group, ttl_ms) in [(present, self.ttl_ms), (absent, negative_ms(self.ttl_ms))] {
            let entries: Vec<_> =
                group.into_iter().map(|(key, stored)| (format!("{PREFIX}{key}"), encode(stored))).collect();
            let ttl = Duration::from_millis(ttl_ms.max(1) as u64);
            if self.patience.wait(now_ms, cache.set_many(&entries, ttl)).await.is_none() {
                return;
            }
        }
    }

    const fn lifetime_ms(&self, stored: &Stored) -> i64 {
        if stored.document.is_some() { self.ttl_ms } else { negative_ms(self.ttl_ms) }
    }
}

impl<M: MasterData> MasterData for Shared<M> {
    async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Stored>, RemoteError> {
        let mut answer = self.recall(keys, now_ms).await;
        let missing: Vec<_> = keys.iter().filter(|key| !answer.contains_key(key)).cloned().collect();
        if missing.is_empty() {
            return Ok(answer);
        }
        let read = self.store.read(&missing, now_ms).await?;
        self.remember(&read, now_ms).await;
        answer.extend(read);
        Ok(answer)
    }
}

/// Behind the cache: what is written is live when its time is over, as everybody's.
impl<M: MasterDataWriter> MasterDataWriter for Shared<M> {
    async fn put(&self, documents: &[(Key, String)]) -> Result<(), NotPut> {
        self.store.put(documents).await
    }

    async fn list(&self, kind: Kind, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        self.store.list(kind, after, limit).await
    }
}

/// `<read, in milliseconds>+<document>`, or `<read, in milliseconds>-` for a document that is not there.
fn encode(stored: &Stored) -> Vec<u8> {
    let (sign, document) = stored.document.as_deref().map_or(('-', ""), |document| ('+', document));
    format!("{}{sign}{document}", stored.read_ms).into_bytes()
}

fn decode(value: &[u8]) -> Option<Stored> {
    let text = std::str::from_utf8(value).ok()?;
    let (read_ms, rest) = text.split_at(text.find(['+', '-'])?);
    let document = match rest.as_bytes().split_first()? {
        (b'+', _) => Some(rest[1..].to_owned()),
        (_, []) => None,
        _ => return None,
    };
    Some(Stored { document, read_ms: read_ms.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_value_of_ours_is_not_believed() {
        for bad in [&b""[..], b"12", b"-", b"+{}", b"x+{}", b"12-{}", b"1.5+{}", b"\xff+"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_went(read_ms in 0..i64::MAX, document in proptest::option::of("\\PC*")) {
            let stored = Stored { document, read_ms };
            prop_assert_eq!(decode(&encode(&stored)), Some(stored));
        }
    }
}
