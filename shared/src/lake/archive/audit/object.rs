//! An object of the lake, as an audit read it.

use crate::lake::archive::{Extent, ObjectKey, Stored, check};
use crate::platform::errors;

/// One object of a shard's hour, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its stored size in bytes.
    pub bytes: u64,
    /// What it covers according to its metadata, or what is wrong with them.
    pub extent: Result<Extent, String>,
    /// What is wrong with its bytes.
    pub problem: Option<String>,
}

impl AuditedObject {
    /// Decompresses, counts and hashes the object `stored` under `key`.
    pub fn of(key: ObjectKey, stored: &Stored) -> Self {
        let extent = Extent::from_metadata(&stored.metadata, &key.slot);
        let problem = extent.is_ok().then(|| check(&key, stored).err()).flatten();
        // A finding names the key already.
        let problem = problem.map(|error| errors::chain(&error).replacen(&key.to_string(), "it", 1));
        Self { key, bytes: stored.body.len() as u64, extent, problem }
    }
}
