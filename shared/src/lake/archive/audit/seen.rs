//! An object as an audit saw it.

use crate::lake::archive::{Extent, ObjectKey, Stored, read};
use crate::platform::errors;

/// One object of a shard's hour, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its key.
    pub key: ObjectKey,
    /// Its size as it is stored, in bytes.
    pub bytes: u64,
    /// What its metadata say that it covers, or what is wrong with them.
    pub extent: Result<Extent, String>,
    /// What is wrong with its bytes.
    pub problem: Option<String>,
}

impl Seen {
    /// The object `stored` under `key`: its bytes are decompressed, counted and hashed.
    pub fn of(key: ObjectKey, stored: &Stored) -> Self {
        let extent = Extent::from_metadata(&stored.metadata, &key.slot);
        let problem = extent.is_ok().then(|| read(&key, stored).err()).flatten();
        // A finding has the key already.
        let problem = problem.map(|error| errors::chain(&error).replacen(&key.to_string(), "it", 1));
        Self { key, bytes: stored.body.len() as u64, extent, problem }
    }
}
