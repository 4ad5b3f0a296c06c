//! The port to the lake's objects.

#[cfg(any(test, feature = "testing"))]
pub(super) mod conformance;
mod memory;
#[cfg(feature = "s3")]
mod s3;

pub use memory::MemoryLake;
#[cfg(feature = "s3")]
pub use s3::S3Lake;

use super::Metadata;
use crate::platform::errors::RemoteError;
use bytes::Bytes;
use std::future::Future;

/// An object as the lake keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes.
    pub body: Bytes,
    /// Its user metadata.
    pub metadata: Metadata,
}

/// What came of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there now, and this put it there.
    Created,
    /// An object was there before, perhaps of an earlier try whose answer was lost. It stays as it was.
    Exists,
}

/// Objects by key, which are made and never changed.
pub trait Lake: Send + Sync {
    /// Puts `object` if there is none under `key`, atomically.
    fn put_if_absent(&self, key: &str, object: &Stored) -> impl Future<Output = Result<Put, RemoteError>> + Send;

    /// The metadata of the object under `key`, if there is one.
    fn metadata(&self, key: &str) -> impl Future<Output = Result<Option<Metadata>, RemoteError>> + Send;

    /// The object under `key`, if there is one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send;

    /// All keys that begin with `prefix`, in ascending order. A put that was answered before is in it.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;
}

impl<L: Lake> Lake for &L {
    fn put_if_absent(&self, key: &str, object: &Stored) -> impl Future<Output = Result<Put, RemoteError>> + Send {
        (**self).put_if_absent(key, object)
    }

    fn metadata(&self, key: &str) -> impl Future<Output = Result<Option<Metadata>, RemoteError>> + Send {
        (**self).metadata(key)
    }

    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send {
        (**self).get(key)
    }

    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send {
        (**self).list(prefix)
    }
}
