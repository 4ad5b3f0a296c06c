//! The registry of devices and profiles: reads the master data through caches.
//!
//! Every message needs its device and its profile, and reading them from the store each time would be slow and costly.
//!
//! A change takes effect everywhere within a minute: the age of an entry counts from its reading from the store,
//! whichever cache it comes from. If the store is down, an entry that is due to be read again is used until it is
//! [`LONGEST_USE`] old, and no longer. That a device or profile does *not* exist is cached for a third of the time, and
//! not used while the store is down.
//!
//! ```
//! use myaku::device::registry::{Device, MemoryMasterData, Registry, Resolved};
//! use myaku::platform::clock::SystemClock;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), myaku::platform::errors::RemoteError> {
//! let store = MemoryMasterData::new();
//! store.put_device(&Device::new("bed-17", "vital-band", Some("home-3")));
//! let registry = Registry::new(store, SystemClock, Duration::from_secs(30));
//! let resolved = registry.resolve(&["bed-17", "bed-18"]).await?;
//! assert!(matches!(&resolved["bed-17"], Resolved::UnknownProfile(name) if name == "vital-band"));
//! assert!(matches!(&resolved["bed-18"], Resolved::UnknownDevice));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "dynamodb")]
mod batches;
mod cache;
mod device;
mod directory;
mod document;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod facility;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod right;
mod settings;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

pub use device::{ANYWHERE, Device, MAX_ID};
pub use directory::Directory;
pub use document::{
    Key, Kind, MAX_DOCUMENT, Stored, device_document, facility_document, parse_device, parse_facility, parse_profile,
    profile_document,
};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDb;
pub use facility::{Facility, MAX_CONTACTS};
pub use memory::MemoryMasterData;
#[cfg(feature = "redis")]
pub use redis::Shared;
pub use right::WrongFacility;
pub use settings::Settings;

use crate::device::profile::Profile;
use crate::lake::dead_letter::{Problem, Reason};
use crate::platform::clock::Now;
use crate::platform::errors::{RemoteError, chain};
use cache::{Cache, Cached};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an entry is used before it is read again, by default.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// The longest time that an entry is used, even while the store is down. This keeps the promise that a change takes
/// effect within a minute.
pub const LONGEST_USE: Duration = Duration::from_mins(1);
/// How long a store that failed is not called, if cached entries are enough until then.
const PAUSE_MS: i64 = 5_000;
/// The greatest number of devices in memory; each takes about 300 bytes.
const DEVICES: usize = 50_000;
/// The greatest number of profiles in memory; each takes some kilobytes.
const PROFILES: usize = 1_000;
/// The greatest number of facilities in memory; each takes a kilobyte or two.
const FACILITIES: usize = 5_000;

/// The port for reading master data.
pub trait MasterData: Send + Sync {
    /// Reads what is stored at each of `keys`, which must all be different. The answer contains every key; its
    /// [`Stored::document`] is `None` if nothing is stored. It also says when each was read: at `now_ms`, or earlier if
    /// it comes from a cache.
    fn read(&self, keys: &[Key], now_ms: i64)
    -> impl Future<Output = Result<HashMap<Key, Stored>, RemoteError>> + Send;
}

/// The port for writing master data, for tools. The documents come from [`device_document`], [`profile_document`] or
/// [`facility_document`], which check them in the same way as reading does.
pub trait MasterDataWriter: Send + Sync {
    /// Writes documents, and replaces those that exist. If a key occurs twice, the last document counts. The facilities of devices
    /// are noted by their names, where they are not known yet.
    fn put(&self, documents: &[(Key, String)]) -> impl Future<Output = Result<(), NotPut>> + Send;

    /// Lists about `limit` documents of `kind`, starting after the cursor `after`, or at the beginning if it is `None`.
    /// The store defines the order.
    fn list(
        &self,
        kind: Kind,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}

/// A write failed: these documents may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("{} documents could not be written", keys.len())]
pub struct NotPut {
    /// Their keys.
    pub keys: Vec<Key>,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The documents, each with its key. A page that is not the last can be empty.
    pub documents: Vec<(Key, String)>,
    /// The cursor after which the next page starts; `None` on the last page.
    pub next: Option<String>,
}

/// What the registry knows about a device.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The device, with its profile ready for use.
    Known(Arc<Device>, Arc<Profile>),
    /// The device is not registered.
    UnknownDevice,
    /// The device's document is invalid: its problems, by field.
    InvalidDevice(Arc<str>),
    /// The device has a profile of this name, which is not registered.
    UnknownProfile(String),
    /// The document of the device's profile is invalid: its name and problems, by field.
    InvalidProfile(Arc<str>),
}

impl Resolved {
    /// The device and its profile.
    ///
    /// # Errors
    /// Why the device called `device_id` has none that can be used: the reason of its dead letters, and the same in words.
    pub fn known(&self, device_id: &str) -> Result<(&Arc<Device>, &Arc<Profile>), Problem> {
        let (reason, detail) = match self {
            Self::Known(device, profile) => return Ok((device, profile)),
            Self::UnknownDevice => return Err(Self::unknown_device(device_id)),
            Self::InvalidDevice(problems) => (Reason::InvalidDevice, problems.to_string()),
            Self::UnknownProfile(name) => {
                let detail = format!("device {device_id:?} has the profile {name:?}, which is not registered");
                (Reason::UnknownProfile, detail)
            }
            Self::InvalidProfile(problems) => (Reason::InvalidProfile, problems.to_string()),
        };
        Err(Problem { reason, detail })
    }

    /// Why the messages of a device that is not registered cannot be used.
    pub(crate) fn unknown_device(device_id: &str) -> Problem {
        Problem { reason: Reason::UnknownDevice, detail: format!("device {device_id:?} is not registered") }
    }
}

/// The registry as a function uses it: a store of master data, and a bounded cache in memory that lives as long as the
/// process.
pub struct Registry<M, N> {
    store: M,
    clock: N,
    ttl_ms: i64,
    devices: Mutex<Cache<Device>>,
    profiles: Mutex<Cache<Profile>>,
    facilities: Mutex<Cache<Facility>>,
    /// After a failure the store is not called before this time, in milliseconds since the epoch, if the cache is
    /// enough.
    paused_until_ms: AtomicI64,
}

/// The registry of a deployed function: DynamoDB, read through Redis if there is one.
#[cfg(all(feature = "dynamodb", feature = "redis"))]
pub type Deployed = Registry<Shared<DynamoDb>, crate::platform::clock::SystemClock>;

#[cfg(all(feature = "dynamodb", feature = "redis"))]
impl Deployed {
    /// Creates the registry of the DynamoDB table that `settings` name. Does not read anything yet.
    pub fn connect(
        config: &aws_config::SdkConfig,
        settings: &Settings,
        cache: Option<crate::platform::redis::Connection>,
    ) -> Self {
        let store = Shared::new(DynamoDb::new(config, &settings.table), cache, settings.ttl);
        Self::new(store, crate::platform::clock::SystemClock, settings.ttl)
    }
}

impl<M: MasterData, N: Now> Registry<M, N> {
    /// Creates a registry over `store`, which reads entries again when they are older than `ttl`. The longest possible
    /// `ttl` is [`LONGEST_USE`].
    pub fn new(store: M, clock: N, ttl: Duration) -> Self {
        Self {
            store,
            clock,
            ttl_ms: ttl.min(LONGEST_USE).as_millis() as i64,
            devices: Mutex::new(Cache::new(DEVICES)),
            profiles: Mutex::new(Cache::new(PROFILES)),
            facilities: Mutex::new(Cache::new(FACILITIES)),
            paused_until_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// The store, for reading without the cache in memory.
    pub const fn store(&self) -> &M {
        &self.store
    }

    /// Returns what is known about each of `device_ids`, which may repeat. Calls the store at most twice: for the
    /// devices, and for their profiles.
    ///
    /// # Errors
    /// The store could not be read, and the cache is not enough. Then no device is resolved.
    pub async fn resolve<'a>(&self, device_ids: &[&'a str]) -> Result<HashMap<&'a str, Resolved>, RemoteError> {
        let ids: BTreeSet<&'a str> = device_ids.iter().copied().collect();
        let devices = self.load(&self.devices, Kind::Device, &ids).await?;
        let names: BTreeSet<&str> = devices
            .values()
            .filter_map(|cached| match cached {
                Cached::Valid(device) => Some(device.profile.as_str()),
                _ => None,
            })
            .collect();
        let profiles = self.load(&self.profiles, Kind::Profile, &names).await?;
        let resolved = devices.iter().map(|(id, device)| {
            let resolved = match device {
                Cached::Absent => Resolved::UnknownDevice,
                Cached::Invalid(problems) => Resolved::InvalidDevice(Arc::clone(problems)),
                Cached::Valid(device) => match profiles.get(device.profile.as_str()) {
                    Some(Cached::Valid(profile)) => Resolved::Known(Arc::clone(device), Arc::clone(profile)),
                    Some(Cached::Invalid(problems)) => Resolved::InvalidProfile(Arc::clone(problems)),
                    Some(Cached::Absent) | None => Resolved::UnknownProfile(device.profile.clone()),
                },
            };
            (*id, resolved)
        });
        Ok(resolved.collect())
    }

    /// Returns those devices of `ids`, which may repeat, that are registered and valid. Calls the store at most once.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn devices<'a>(&self, ids: &[&'a str]) -> Result<HashMap<&'a str, Arc<Device>>, RemoteError> {
        self.load_valid(&self.devices, Kind::Device, ids).await
    }

    /// Returns those profiles of `names`, which may repeat, that exist and are valid. Calls the store at most once.
    pub async fn profiles<'a>(&self, names: &[&'a str]) -> Result<HashMap<&'a str, Arc<Profile>>, RemoteError> {
        self.load_valid(&self.profiles, Kind::Profile, names).await
    }

    /// Returns those facilities of `names`, which may repeat, that are known and valid. Calls the store at most once.
    pub async fn facilities<'a>(&self, names: &[&'a str]) -> Result<HashMap<&'a str, Arc<Facility>>, RemoteError> {
        self.load_valid(&self.facilities, Kind::Facility, names).await
    }

    async fn load_valid<'a, T: document::Parse>(
        &self,
        cache: &Mutex<Cache<T>>,
        kind: Kind,
        ids: &[&'a str],
    ) -> Result<HashMap<&'a str, Arc<T>>, RemoteError> {
        let ids: BTreeSet<&'a str> = ids.iter().copied().collect();
        let valid = self.load(cache, kind, &ids).await?.into_iter().filter_map(|(id, cached)| match cached {
            Cached::Valid(value) => Some((id, value)),
            Cached::Invalid(_) | Cached::Absent => None,
        });
        Ok(valid.collect())
    }

    /// Loads the entries of `ids`: from the cache if they are fresh enough, else from the store.
    async fn load<'a, T: document::Parse>(
        &self,
        cache: &Mutex<Cache<T>>,
        kind: Kind,
        ids: &BTreeSet<&'a str>,
    ) -> Result<HashMap<&'a str, Cached<T>>, RemoteError> {
        let now_ms = self.clock.now_ms();
        let mut loaded = HashMap::with_capacity(ids.len());
        // The entries to read again, and how many of them the cache cannot replace if the store is down.
        let (mut due, mut lacking) = (Vec::new(), 0_usize);
        {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            for id in ids {
                match cache.get(id) {
                    Some((cached, read_ms)) if now_ms - read_ms < self.fresh_ms(&cached) => {
                        loaded.insert(*id, cached);
                        continue;
                    }
                    Some((cached @ Cached::Valid(_), read_ms)) if now_ms - read_ms < LONGEST_USE.as_millis() as i64 => {
                        loaded.insert(*id, cached);
                    }
                    _ => lacking += 1,
                }
                due.push(Key::new(kind, *id));
            }
        }
        let paused = now_ms < self.paused_until_ms.load(Ordering::Relaxed);
        if due.is_empty() || (lacking == 0 && paused) {
            return Ok(loaded);
        }
        let mut answer = match self.store.read(&due, now_ms).await {
            Ok(answer) => answer,
            Err(error) if lacking == 0 => {
                self.paused_until_ms.store(now_ms + PAUSE_MS, Ordering::Relaxed);
                let entries = due.len();
                tracing::warn!(error = %chain(&error), entries, "cannot read the registry: cached entries are used");
                return Ok(loaded);
            }
            Err(error) => return Err(error),
        };
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if let Some(stored) = answer.remove(&Key::new(kind, *id)) {
                loaded.insert(*id, cache.put(id, stored));
            }
        }
        Ok(loaded)
    }

    /// How long `cached` is used before it is read again. A missing or invalid entry is read again sooner, because an
    /// operator may be about to correct it.
    const fn fresh_ms<T>(&self, cached: &Cached<T>) -> i64 {
        match cached {
            Cached::Valid(_) => self.ttl_ms,
            Cached::Absent | Cached::Invalid(_) => negative_ms(self.ttl_ms),
        }
    }
}

/// How long it is cached that an entry does not exist, if entries that exist are cached for `ttl_ms`.
const fn negative_ms(ttl_ms: i64) -> i64 {
    ttl_ms / 3
}

#[cfg(test)]
mod tests;
