//! Stores master data in memory, and simulates faults of a real store.

use super::document::{Key, Kind, Stored, facility_of, parse_device};
use super::{Device, Directory, MasterData, MasterDataWriter, NotPut, Page};
use crate::device::profile::ProfileDocument;
use crate::platform::errors::{Remedy, RemoteError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

/// A store of master data in memory.
#[derive(Debug, Default)]
pub struct MemoryMasterData(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    documents: BTreeMap<Key, String>,
    down: Option<Remedy>,
    hangs: bool,
    reads: Vec<Vec<Key>>,
}

impl MemoryMasterData {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a device without checking it.
    pub fn put_device(&self, device: &Device) {
        let json = serde_json::to_string(device).unwrap_or_default();
        self.put_document(Key::new(Kind::Device, &device.device_id), json);
    }

    /// Puts a profile without checking it.
    pub fn put_profile(&self, profile: &ProfileDocument) {
        let json = serde_json::to_string(profile).unwrap_or_default();
        self.put_document(Key::new(Kind::Profile, &profile.id), json);
    }

    /// Puts any text as a document.
    pub fn put_document(&self, key: Key, document: impl Into<String>) {
        self.with(|state| state.documents.insert(key, document.into()));
    }

    /// Removes the document at `key`.
    pub fn remove(&self, key: &Key) {
        self.with(|state| state.documents.remove(key));
    }

    /// Makes every later call fail.
    pub fn fail(&self, remedy: Remedy) {
        self.with(|state| state.down = Some(remedy));
    }

    /// Makes every later call wait forever.
    pub fn hang(&self) {
        self.with(|state| state.hangs = true);
    }

    /// Ends all simulated faults.
    pub fn recover(&self) {
        self.with(|state| (state.down, state.hangs) = (None, false));
    }

    /// The keys of each read so far, including reads that failed.
    pub fn reads(&self) -> Vec<Vec<Key>> {
        self.with(|state| state.reads.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, operation: &str) -> Result<(), RemoteError> {
        let (down, hangs) = self.with(|state| (state.down, state.hangs));
        if hangs {
            std::future::pending::<()>().await;
        }
        down.map_or(Ok(()), |remedy| Err(RemoteError::new(operation, remedy, "the store is down")))
    }
}

impl MasterData for MemoryMasterData {
    async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Stored>, RemoteError> {
        self.with(|state| state.reads.push(keys.to_vec()));
        self.answer("read master data").await?;
        Ok(self.with(|state| {
            let stored = |key: &Key| Stored { document: state.documents.get(key).cloned(), read_ms: now_ms };
            keys.iter().map(|key| (key.clone(), stored(key))).collect()
        }))
    }
}

impl<M: MasterData> MasterData for &M {
    async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Stored>, RemoteError> {
        (**self).read(keys, now_ms).await
    }
}

impl MasterDataWriter for MemoryMasterData {
    async fn put(&self, documents: &[(Key, String)]) -> Result<(), NotPut> {
        let not_put = |source| NotPut { keys: documents.iter().map(|(key, _)| key.clone()).collect(), source };
        self.answer("write master data").await.map_err(not_put)?;
        self.with(|state| state.documents.extend(documents.iter().cloned()));
        Ok(())
    }

    async fn list(&self, kind: Kind, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        self.answer("list master data").await?;
        let after = after.and_then(|after| Key::parse(&after));
        let from = after.map_or(Bound::Included(Key::new(kind, "")), Bound::Excluded);
        Ok(self.with(|state| {
            let mut rest = state.documents.range((from, Bound::Unbounded)).filter(|(key, _)| key.kind == kind);
            let documents: Vec<_> = rest.by_ref().take(limit).map(|(key, json)| (key.clone(), json.clone())).collect();
            let next = rest.next().and(documents.last()).map(|(key, _)| key.to_string());
            Page { documents, next }
        }))
    }
}

impl Directory for MemoryMasterData {
    async fn facilities(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, RemoteError> {
        self.answer("list facilities").await?;
        let name = |key: &Key, json: &str| match key.kind {
            Kind::Facility => Some(key.id.clone()),
            Kind::Device | Kind::Profile => facility_of(key, json),
        };
        let names: BTreeSet<String> =
            self.with(|state| state.documents.iter().filter_map(|(key, json)| name(key, json)).collect());
        Ok(names.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after)).take(limit).collect())
    }

    async fn devices_of(&self, facility: &str, after: Option<&str>, limit: usize) -> Result<Vec<Device>, RemoteError> {
        self.answer("list devices").await?;
        Ok(self.with(|state| {
            let devices = state.documents.iter().filter(|(key, _)| key.kind == Kind::Device);
            let devices = devices.filter_map(|(_, json)| parse_device(json).ok());
            let devices = devices.filter(|device| device.facility.as_deref() == Some(facility));
            devices.filter(|device| after.is_none_or(|after| device.device_id.as_str() > after)).take(limit).collect()
        }))
    }
}
