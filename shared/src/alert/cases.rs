//! The port to the store of cases: what contacts heard of alerts, and what they will hear.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::case::Case;
use crate::platform::errors::RemoteError;

/// How many lanes the cases that have something due are spread over.
pub const LANES: u8 = 8;

/// A case as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The case.
    pub case: Case,
    /// How often it was written.
    pub version: u64,
}

/// The store of cases.
pub trait Cases: Send + Sync {
    /// The case of a key, as the last write left it.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, RemoteError>> + Send;

    /// Stores a case if what is stored still has `version`, or if nothing is stored and `version` is `None`. Returns whether it was
    /// stored.
    fn store(
        &self,
        key: &str,
        case: &Case,
        version: Option<u64>,
    ) -> impl Future<Output = Result<bool, RemoteError>> + Send;

    /// The keys of at most `limit` cases of a lane that have something due by `now_ms`, the longest due first. The latest writes may be
    /// missing.
    fn due(&self, lane: u8, now_ms: i64, limit: usize)
    -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;
}

/// How often a change is tried while others change the same case.
const ROUNDS: usize = 50;

/// Loads a case, changes it and stores it; again, if another invocation changed it meanwhile. A change that changes nothing is not
/// stored.
pub async fn change<T: Send>(
    cases: &impl Cases,
    key: &str,
    mut change: impl FnMut(&mut Case) -> T + Send,
) -> Result<T, RemoteError> {
    for _ in 0..ROUNDS {
        let (before, version) = match cases.load(key).await? {
            Some(Stored { case, version }) => (case, Some(version)),
            None => (Case::default(), None),
        };
        let mut case = before.clone();
        let result = change(&mut case);
        if case == before || cases.store(key, &case, version).await? {
            return Ok(result);
        }
    }
    Err(RemoteError::new(format!("change case {key}"), crate::platform::errors::Remedy::Retry, "others change it"))
}
