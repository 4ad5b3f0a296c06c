//! The port to the lake's objects. They are created and never changed.

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

/// An object as it is stored in the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes.
    pub body: Bytes,
    /// Its user metadata.
    pub metadata: Metadata,
}

/// The outcome of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// This put created the object.
    Created,
    /// An object existed before, perhaps from an earlier attempt whose answer was lost. It is unchanged.
    Exists,
}

/// Objects by key.
pub trait Lake: Send + Sync {
    /// Puts `object` if no object has this key, atomically.
    fn put_if_absent(&self, key: &str, object: &Stored) -> impl Future<Output = Result<Put, RemoteError>> + Send;

    /// The metadata of the object under `key`, if it exists.
    fn metadata(&self, key: &str) -> impl Future<Output = Result<Option<Metadata>, RemoteError>> + Send;

    /// The object under `key`, if it exists.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send;

    /// All keys that begin with `prefix`, in ascending order. It has every object whose put was answered before.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;
}

/// What a listing says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// A tag of its bytes. Objects with the same bytes have the same one, except in a bucket that encrypts with keys of
    /// KMS or of its clients. Empty if the store gives none. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
    pub tag: String,
}

/// The port that looks over a lake, for audits.
pub trait Survey: Send + Sync {
    /// The objects whose keys begin with `prefix`, in ascending order of their keys; `None` if there are more than
    /// `max`. It reads no object.
    fn survey(&self, prefix: &str, max: usize)
    -> impl Future<Output = Result<Option<Vec<Listed>>, RemoteError>> + Send;
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
