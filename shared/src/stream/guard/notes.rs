//! The port to the notes of suspects.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::Suspect;
use crate::platform::errors::RemoteError;

/// Which invocations handle which suspects.
pub trait Notes: Send + Sync {
    /// Notes that `invocation` is about to handle `suspect`. Returns how many others have noted it since it was last struck
    /// off. The same note again changes nothing.
    fn note(&self, suspect: &Suspect<'_>, invocation: &str) -> impl Future<Output = Result<usize, RemoteError>> + Send;

    /// Forgets all notes of `suspect`.
    fn strike_off(&self, suspect: &Suspect<'_>) -> impl Future<Output = Result<(), RemoteError>> + Send;
}
