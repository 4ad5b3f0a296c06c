//! Buckets and objects. The bytes are in files, the index is in memory, and one lock guards every change of both.

use md5::{Digest as _, Md5};
use myaku::platform::clock::{Now as _, SystemClock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory, beside the buckets, for bytes that are not an object yet. No bucket can have this name.
const INCOMING: &str = ".incoming";

pub(super) struct Store {
    root: PathBuf,
    incoming: AtomicU64,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

#[derive(Default)]
struct Bucket {
    created_ms: i64,
    objects: BTreeMap<String, Arc<Object>>,
}

/// An object without its bytes.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) size: u64,
    /// MD5 of the bytes, in hexadecimal.
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) attributes: Attributes,
}

/// The attributes that a writer gives an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) metadata: HashMap<String, String>,
}

/// The condition of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match`: an object with this MD5 must exist; `None` accepts any object.
    Matches(Option<String>),
}

#[derive(Debug)]
pub(super) enum Refusal {
    NoSuchBucket,
    NoSuchKey,
    BucketExists,
    BucketNotEmpty,
    PreconditionFailed,
    /// A name that cannot be a path below the bucket's directory.
    BadName,
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A page of a listing, in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Arc<Object>)>,
    pub(super) prefixes: BTreeSet<String>,
    /// The last key or prefix of this page, if there are more pages.
    pub(super) next: Option<String>,
}

impl Store {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root.join(INCOMING))?;
        Ok(Self { root: root.into(), incoming: AtomicU64::default(), buckets: Mutex::default() })
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        // Every change is one insertion or removal, so a panic cannot leave the map half changed.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        let path = self.path(bucket, None)?;
        let mut buckets = self.buckets();
        if buckets.contains_key(bucket) {
            return Err(Refusal::BucketExists);
        }
        std::fs::create_dir_all(path)?;
        buckets.insert(bucket.into(), Bucket { created_ms: SystemClock.now_ms(), objects: BTreeMap::new() });
        Ok(())
    }

    pub(super) fn delete_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        let mut buckets = self.buckets();
        if !buckets.get(bucket).ok_or(Refusal::NoSuchBucket)?.objects.is_empty() {
            return Err(Refusal::BucketNotEmpty);
        }
        std::fs::remove_dir_all(self.path(bucket, None)?)?;
        buckets.remove(bucket);
        Ok(())
    }

    /// Each bucket's name and creation time, in milliseconds since the epoch.
    pub(super) fn list_buckets(&self) -> Vec<(String, i64)> {
        self.buckets().iter().map(|(name, bucket)| (name.clone(), bucket.created_ms)).collect()
    }

    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        self.buckets().contains_key(bucket)
    }

    /// Writes an object, whole or not at all, if `condition` holds at that instant.
    pub(super) fn put(
        &self,
        bucket: &str,
        key: &str,
        bytes: &[u8],
        attributes: Attributes,
        condition: &Condition,
    ) -> Result<Arc<Object>, Refusal> {
        let path = self.path(bucket, Some(key))?;
        let object = Arc::new(Object {
            size: bytes.len() as u64,
            etag: hexadecimal(&Md5::digest(bytes)),
            modified_ms: SystemClock.now_ms(),
            attributes,
        });
        // Write the bytes before the lock is taken, so that it is held only for the rename.
        let incoming = self.root.join(INCOMING).join(self.incoming.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::write(&incoming, bytes)?;
        let placed = self.place(bucket, key, &incoming, &path, &object, condition);
        if placed.is_err() {
            // The caller needs the refusal; a left-over file does no harm.
            let _ = std::fs::remove_file(&incoming);
        }
        placed.map(|()| object)
    }

    /// Moves a written file to its place, if `condition` holds.
    fn place(
        &self,
        bucket: &str,
        key: &str,
        from: &Path,
        to: &Path,
        object: &Arc<Object>,
        condition: &Condition,
    ) -> Result<(), Refusal> {
        let mut buckets = self.buckets();
        let objects = &mut buckets.get_mut(bucket).ok_or(Refusal::NoSuchBucket)?.objects;
        let holds = match (condition, objects.get(key)) {
            (Condition::Always, _) | (Condition::Absent, None) | (Condition::Matches(None), Some(_)) => true,
            (Condition::Matches(Some(etag)), Some(current)) => *etag == current.etag,
            (Condition::Absent, Some(_)) => false,
            (Condition::Matches(_), None) => return Err(Refusal::NoSuchKey),
        };
        if !holds {
            return Err(Refusal::PreconditionFailed);
        }
        if let Some(directory) = to.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::rename(from, to)?;
        objects.insert(key.into(), object.clone());
        Ok(())
    }

    pub(super) fn head(&self, bucket: &str, key: &str) -> Result<Arc<Object>, Refusal> {
        let buckets = self.buckets();
        let objects = &buckets.get(bucket).ok_or(Refusal::NoSuchBucket)?.objects;
        objects.get(key).cloned().ok_or(Refusal::NoSuchKey)
    }

    /// An object and its open file. Later writes change neither.
    pub(super) fn open_object(&self, bucket: &str, key: &str) -> Result<(Arc<Object>, File), Refusal> {
        let path = self.path(bucket, Some(key))?;
        let buckets = self.buckets();
        let objects = &buckets.get(bucket).ok_or(Refusal::NoSuchBucket)?.objects;
        let object = objects.get(key).cloned().ok_or(Refusal::NoSuchKey)?;
        Ok((object, File::open(path)?))
    }

    /// Deletes an object if it exists.
    pub(super) fn delete(&self, bucket: &str, key: &str) -> Result<(), Refusal> {
        let path = self.path(bucket, Some(key))?;
        let mut buckets = self.buckets();
        let objects = &mut buckets.get_mut(bucket).ok_or(Refusal::NoSuchBucket)?.objects;
        if objects.remove(key).is_some() {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Up to `limit` keys and common prefixes that begin with `prefix` and come after `after`, in the order of their
    /// bytes. Keys that share the text up to the first `delimiter` after `prefix` appear as that text: a common prefix.
    pub(super) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, Refusal> {
        let buckets = self.buckets();
        let objects = &buckets.get(bucket).ok_or(Refusal::NoSuchBucket)?.objects;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page = Page::default();
        let mut last = None;
        for (key, object) in objects.range::<str, _>((from, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            let common = delimiter.and_then(|delimiter| {
                let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
                key.get(..end)
            });
            // A page that ends with a common prefix has passed all keys of that prefix.
            if common.is_some_and(|common| page.prefixes.contains(common) || after == Some(common)) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() >= limit {
                page.next = last;
                break;
            }
            if let Some(common) = common {
                page.prefixes.insert(common.into());
                last = Some(common.to_owned());
            } else {
                page.objects.push((key.clone(), object.clone()));
                last = Some(key.clone());
            }
        }
        Ok(page)
    }

    fn path(&self, bucket: &str, key: Option<&str>) -> Result<PathBuf, Refusal> {
        let mut path = self.root.clone();
        for part in [bucket].into_iter().chain(key.into_iter().flat_map(|key| key.split('/'))) {
            if part.is_empty() || part == "." || part == ".." || part == INCOMING || part.contains(['\0', '\\']) {
                return Err(Refusal::BadName);
            }
            path.push(part);
        }
        Ok(path)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
