//! Caches entries in memory, within a bound: entries that were used recently stay.

use super::document::{Parse, Stored};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known about an entry.
#[derive(Debug)]
pub(super) enum Cached<T> {
    /// It does not exist.
    Absent,
    /// Its document is invalid: the problems.
    Invalid(Arc<str>),
    /// It is valid, and parsed.
    Valid(Arc<T>),
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Invalid(problems) => Self::Invalid(Arc::clone(problems)),
            Self::Valid(value) => Self::Valid(Arc::clone(value)),
        }
    }
}

#[derive(Debug)]
struct Entry<T> {
    cached: Cached<T>,
    /// The stored document, to detect whether it has changed.
    document: Option<Box<str>>,
    read_ms: i64,
}

/// A cache of two generations. When the young generation reaches half of the capacity, it becomes the old one. What is
/// left of the previous old generation, which was not used since, is dropped. So each access takes constant time, and
/// no order has to be maintained.
#[derive(Debug)]
pub(super) struct Cache<T> {
    young: HashMap<Box<str>, Entry<T>>,
    old: HashMap<Box<str>, Entry<T>>,
    half: usize,
}

impl<T: Parse> Cache<T> {
    /// A cache of at most `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    /// Returns the entry of `id`, and when it was read from the store, in milliseconds since the epoch.
    pub(super) fn get(&mut self, id: &str) -> Option<(Cached<T>, i64)> {
        if let Some((id, entry)) = self.old.remove_entry(id) {
            self.insert(id, entry);
        }
        self.young.get(id).map(|entry| (entry.cached.clone(), entry.read_ms))
    }

    /// Caches what is stored at `id`, and returns it parsed. A document that has not changed is not parsed again.
    pub(super) fn put(&mut self, id: &str, stored: Stored) -> Cached<T> {
        let before = self.young.remove(id).or_else(|| self.old.remove(id));
        let cached = match (before, stored.document.as_deref()) {
            (Some(before), Some(document)) if before.document.as_deref() == Some(document) => before.cached,
            (_, None) => Cached::Absent,
            (_, Some(document)) => match T::parse(id, document) {
                Ok(value) => Cached::Valid(Arc::new(value)),
                Err(problems) => Cached::Invalid(problems.into()),
            },
        };
        let entry =
            Entry { cached: cached.clone(), document: stored.document.map(Into::into), read_ms: stored.read_ms };
        self.insert(id.into(), entry);
        cached
    }

    fn insert(&mut self, id: Box<str>, entry: Entry<T>) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Parse for u32 {
        fn parse(_id: &str, document: &str) -> Result<Self, String> {
            document.parse().map_err(|error| format!("{error}"))
        }
    }

    fn stored(document: &str, read_ms: i64) -> Stored {
        Stored { document: Some(document.to_owned()), read_ms }
    }

    #[test]
    fn the_cache_stays_within_its_capacity_and_keeps_entries_that_are_used() {
        let mut cache = Cache::<u32>::new(10);
        cache.put("used", stored("1", 0));
        for n in 0..1_000 {
            cache.put(&n.to_string(), stored("2", 0));
            assert!(cache.get("used").is_some(), "after {n}");
            assert!(cache.young.len() + cache.old.len() <= 10);
        }
        assert!(cache.get("0").is_none());
        assert!(cache.get("999").is_some());
    }

    #[test]
    fn an_unchanged_document_is_not_parsed_again_but_its_reading_time_is_updated() {
        let mut cache = Cache::<u32>::new(10);
        let value = |cached| match cached {
            Cached::Valid(value) => value,
            other => panic!("{other:?}"),
        };
        let first: Arc<u32> = value(cache.put("a", stored("1", 5)));
        assert!(Arc::ptr_eq(&first, &value(cache.put("a", stored("1", 9)))));
        assert_eq!(cache.get("a").unwrap().1, 9);
        assert_eq!(*value(cache.put("a", stored("2", 10))), 2);
        assert!(matches!(cache.put("a", stored("x", 11)), Cached::Invalid(_)));
        assert!(matches!(cache.put("a", Stored { document: None, read_ms: 12 }), Cached::Absent));
    }
}
