//! Master data: which devices there are and which profile each has, kept in memory for a short time.
//!
//! A change is live within a minute, everywhere: an entry's age counts from its reading of the store, whichever cache
//! it came through. An entry that is due while the store is down is used up to [`LONGEST_USE`], and not beyond; that
//! there is *no* such device or profile is believed for a third of the time, and never while the store is down.

#[cfg(feature = "dynamodb")]
mod batches;
mod cache;
mod device;
mod document;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;
#[cfg(feature = "redis")]
mod redis;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

pub use device::{Device, MAX_ID};
pub use document::{Key, Kind, MAX_DOCUMENT, Stored, device_document, parse_device, parse_profile, profile_document};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDb;
pub use memory::MemoryMasterData;
#[cfg(feature = "redis")]
pub use redis::Shared;

use crate::device::profile::Profile;
use crate::lake::dead_letter::{Problem, Reason};
use crate::platform::clock::Now;
use crate::platform::errors::{RemoteError, chain};
use cache::{Cache, Cached};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For how long what was read is used without asking again, unless set otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// For how long at most anything that was read is used, whatever happens: the promise that a change is live within a
/// minute.
pub const LONGEST_USE: Duration = Duration::from_mins(1);
/// How long a failed store is left alone while what is known still serves.
const PAUSE_MS: i64 = 5_000;
/// Devices kept in memory; some 300 bytes each.
const DEVICES: usize = 50_000;
/// Profiles kept in memory; some kilobytes each.
const PROFILES: usize = 1_000;

/// The port for reading master data.
pub trait MasterData: Send + Sync {
    /// What is stored at each of `keys`, all of which are different. An answer has every key, with
    /// [`Stored::document`] `None` where nothing is stored, and says when that was read: `now_ms`, or earlier if it
    /// comes from a cache.
    fn read(&self, keys: &[Key], now_ms: i64)
    -> impl Future<Output = Result<HashMap<Key, Stored>, RemoteError>> + Send;
}

/// The port for writing master data, for tools. What is written was made by [`device_document`] or
/// [`profile_document`], which check it as reading will.
pub trait MasterDataWriter: Send + Sync {
    /// Writes documents over what is there. Where a key occurs twice, the last counts.
    fn put(&self, documents: &[(Key, String)]) -> impl Future<Output = Result<(), NotPut>> + Send;

    /// The documents of `kind` after the place `after` (from the beginning without), some `limit` of them at a time.
    /// The order is the store's own.
    fn list(
        &self,
        kind: Kind,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}

/// Documents that may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("{} documents could not be written", keys.len())]
pub struct NotPut {
    /// Their keys.
    pub keys: Vec<Key>,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// Some documents of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each with its key. A page can be empty while there are more.
    pub documents: Vec<(Key, String)>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// What the registry knows of a device.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The device, with its profile ready for use.
    Known(Arc<Device>, Arc<Profile>),
    /// There is no such device.
    UnknownDevice,
    /// The device's entry cannot be used: the problems, by field.
    InvalidDevice(Arc<str>),
    /// The device has this profile, and there is none such.
    UnknownProfile(String),
    /// The device's profile cannot be used: its name and problems, by field.
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

/// The registry as a function uses it: master data with a bounded cache in front, which lives as long as the process.
pub struct Registry<M, N> {
    store: M,
    clock: N,
    ttl_ms: i64,
    devices: Mutex<Cache<Device>>,
    profiles: Mutex<Cache<Profile>>,
    /// Not asked before this time, in milliseconds since the epoch, if it can be avoided.
    paused_until_ms: AtomicI64,
}

/// The registry of a deployed function: DynamoDB, with Redis in front of it where there is one.
#[cfg(all(feature = "dynamodb", feature = "redis"))]
pub type Deployed = Registry<Shared<DynamoDb>, crate::platform::clock::SystemClock>;

#[cfg(all(feature = "dynamodb", feature = "redis"))]
impl Deployed {
    /// The registry in the DynamoDB table `table`. Nothing is read yet.
    pub fn connect(
        config: &aws_config::SdkConfig,
        table: impl Into<String>,
        cache: Option<crate::platform::redis::Connection>,
        ttl: Duration,
    ) -> Self {
        Self::new(Shared::new(DynamoDb::new(config, table), cache, ttl), crate::platform::clock::SystemClock, ttl)
    }
}

impl<M: MasterData, N: Now> Registry<M, N> {
    /// A registry over `store`, which is asked again about what is older than `ttl`. A `ttl` above [`LONGEST_USE`]
    /// counts as that.
    pub fn new(store: M, clock: N, ttl: Duration) -> Self {
        Self {
            store,
            clock,
            ttl_ms: ttl.min(LONGEST_USE).as_millis() as i64,
            devices: Mutex::new(Cache::new(DEVICES)),
            profiles: Mutex::new(Cache::new(PROFILES)),
            paused_until_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// The store, for those who need to look behind the cache.
    pub const fn store(&self) -> &M {
        &self.store
    }

    /// What is known of each of `device_ids`, which may repeat. At most two calls of the store: for the devices, and
    /// for their profiles.
    ///
    /// An error means that the store could not be asked about something that is not known well enough; nothing is
    /// half-resolved.
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

    /// The profiles of each of `names`, which may repeat, that can be used. At most one call of the store.
    pub async fn profiles<'a>(&self, names: &[&'a str]) -> Result<HashMap<&'a str, Arc<Profile>>, RemoteError> {
        let names: BTreeSet<&'a str> = names.iter().copied().collect();
        let loaded = self.load(&self.profiles, Kind::Profile, &names).await?;
        let valid = loaded.into_iter().filter_map(|(name, cached)| match cached {
            Cached::Valid(profile) => Some((name, profile)),
            Cached::Invalid(_) | Cached::Absent => None,
        });
        Ok(valid.collect())
    }

    /// The entries of `ids`, from the cache where they are fresh enough, else from the store.
    async fn load<'a, T: document::Parse>(
        &self,
        cache: &Mutex<Cache<T>>,
        kind: Kind,
        ids: &BTreeSet<&'a str>,
    ) -> Result<HashMap<&'a str, Cached<T>>, RemoteError> {
        let now_ms = self.clock.now_ms();
        let mut loaded = HashMap::with_capacity(ids.len());
        // Due for another look, and those among them without anything that serves until then.
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
                tracing::warn!(error = %chain(&error), entries = due.len(), "registry is down: what is known serves on");
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

    /// For how long `cached` is used without another look. What is missing or broken is looked for again sooner:
    /// somebody may be about to put it right.
    const fn fresh_ms<T>(&self, cached: &Cached<T>) -> i64 {
        match cached {
            Cached::Valid(_) => self.ttl_ms,
            Cached::Absent | Cached::Invalid(_) => negative_ms(self.ttl_ms),
        }
    }
}

/// For how long absence is believed, where presence is for `ttl_ms`.
const fn negative_ms(ttl_ms: i64) -> i64 {
    ttl_ms / 3
}

#[cfg(test)]
mod tests;
