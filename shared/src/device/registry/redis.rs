//! Reads master data through Redis, which all functions share. So the first batch of a new function reads little from
//! DynamoDB.
//!
//! Redis is only a cache. If it is down, slow, or has invalid values, the store is read.

use super::document::{Key, Kind, Stored};
use super::{LONGEST_USE, MasterData, MasterDataWriter, NotPut, Page, negative_ms};
use crate::platform::errors::RemoteError;
use crate::platform::redis::{Connection, Patience};
use std::collections::HashMap;
use std::time::Duration;

/// The prefix of every key. Its number must be increased when the form of the values changes.
const PREFIX: &str = "myaku:registry:1:";

/// A store that is read through Redis, if there is one.
pub struct Shared<M> {
    store: M,
    cache: Option<Connection>,
    ttl_ms: i64,
    patience: Patience,
}

impl<M: MasterData> Shared<M> {
    /// Creates a store that keeps what it reads from `store` in `cache` for `ttl`.
    pub fn new(store: M, cache: Option<Connection>, ttl: Duration) -> Self {
        let ttl_ms = ttl.min(LONGEST_USE).as_millis() as i64;
        Self { store, cache, ttl_ms, patience: Patience::new("registry") }
    }

    /// Redis, unless there is none or it failed recently.
    fn cache(&self, now_ms: i64) -> Option<&Connection> {
        self.cache.as_ref().filter(|_| !self.patience.is_paused(now_ms))
    }

    /// Reads those entries of `keys` from Redis that are not too old.
    async fn recall(&self, keys: &[Key], now_ms: i64) -> HashMap<Key, Stored> {
        let Some(cache) = self.cache(now_ms) else { return HashMap::new() };
        let names: Vec<_> = keys.iter().map(|key| format!("{PREFIX}{key}")).collect();
        let values = self.patience.wait(now_ms, cache.get_many(&names)).await.unwrap_or_default();
        let known = keys.iter().zip(values).filter_map(|(key, value)| {
            let stored = decode(&value?)?;
            let age_ms = now_ms - stored.read_ms;
            // If the reading time is in the future, some clock is wrong, and the entry would be used for too long.
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

/// Writes directly to the store. A change takes effect when the cached entries expire, as any other change.
impl<M: MasterDataWriter> MasterDataWriter for Shared<M> {
    async fn put(&self, documents: &[(Key, String)]) -> Result<(), NotPut> {
        self.store.put(documents).await
    }

    async fn list(&self, kind: Kind, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        self.store.list(kind, after, limit).await
    }
}

/// Encodes a value: `<reading time in milliseconds>+<document>`, or `<reading time in milliseconds>-` if there is no
/// document.
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
    fn an_invalid_value_is_not_decoded() {
        for bad in [&b""[..], b"12", b"-", b"+{}", b"x+{}", b"12-{}", b"1.5+{}", b"\xff+"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_decoded_as_it_was_encoded(read_ms in 0..i64::MAX, document in proptest::option::of("\\PC*")) {
            let stored = Stored { document, read_ms };
            prop_assert_eq!(decode(&encode(&stored)), Some(stored));
        }
    }
}
