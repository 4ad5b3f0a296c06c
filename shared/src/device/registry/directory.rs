//! The port that lists devices by the facility where they stand.

use super::Device;
use crate::platform::errors::RemoteError;

/// Lists facilities, and their devices. A device that was written before there was a directory is listed when it is written
/// again.
pub trait Directory: Send + Sync {
    /// At most `limit` facilities where a device was registered, in the order of their names, after `after` or from the first.
    /// All devices may have left one since.
    fn facilities(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;

    /// At most `limit` devices that stand in a facility, in the order of their ids, after `after` or from the first. The latest
    /// writes may be missing.
    fn devices_of(
        &self,
        facility: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Device>, RemoteError>> + Send;
}
