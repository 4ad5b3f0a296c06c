//! Knows when each device is expected again, to detect silence.
//!
//! The watch is only an index. It may lose everything: messages that arrive and the walk through the registry fill it
//! again. An incident keeps what was reported about a device's silence, see [`crate::alert`].

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use crate::platform::errors::RemoteError;
use std::time::Duration;

/// The number of lanes of the watch. With six million devices, each lane has about 100,000.
pub const LANES: u8 = 64;

/// A message that was received longer ago than this, in milliseconds, does not show that its device is alive: it comes
/// again from the lake, or the pipeline is catching up.
const HEARD_WITHIN_MS: i64 = 15 * 60 * 1_000;

/// A device, and when it is expected again at the latest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The device's id.
    pub device_id: String,
    /// The latest time, in milliseconds since the epoch.
    pub by_ms: i64,
}

/// Returns by when a device is expected again after a message that was received at `received_ms`; `None` if the message
/// is too old to show that the device is alive. The `interval` counts from now, so that devices do not become silent
/// because the pipeline lags.
pub fn expected_by(received_ms: i64, now_ms: i64, interval: Duration) -> Option<i64> {
    let is_sign_of_life = now_ms.saturating_sub(received_ms) <= HEARD_WITHIN_MS;
    is_sign_of_life.then(|| now_ms.saturating_add(interval.as_millis() as i64))
}

/// The port for functions that hear devices.
pub trait Hears: Send + Sync {
    /// Records that each device was heard, and by when it is expected again. A later time that is already recorded
    /// stays.
    fn heard(&self, expected: &[Expected]) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// The port for the sweep, which looks for silent devices.
pub trait Watch: Hears {
    /// Lists at most `limit` devices of `lane` whose time is before `now_ms`, the most overdue first.
    fn overdue(
        &self,
        lane: u8,
        now_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Expected>, RemoteError>> + Send;

    /// Reads by when each of `device_ids` is expected, in their order; `None` for a device that is not watched.
    fn expected(&self, device_ids: &[&str]) -> impl Future<Output = Result<Vec<Option<i64>>, RemoteError>> + Send;

    /// Stops watching each of these devices, unless its time has changed because it was heard since.
    fn drop_unheard(&self, expected: &[Expected]) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// Reads the sweep's place that is stored under `name`; `None` if it has expired or was lost.
    fn place(&self, name: &str) -> impl Future<Output = Result<Option<String>, RemoteError>> + Send;

    /// Stores a place of the sweep under `name` for `ttl`.
    fn keep_place(
        &self,
        name: &str,
        place: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

impl<H: Hears> Hears for Option<H> {
    async fn heard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        match self {
            Some(hears) => hears.heard(expected).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recent_message_shows_that_a_device_is_alive() {
        let (now_ms, interval) = (1_795_218_892_020, Duration::from_secs(30));
        assert_eq!(expected_by(now_ms - 15 * 60_000, now_ms, interval), Some(now_ms + 30_000));
        assert_eq!(expected_by(now_ms - 15 * 60_000 - 1, now_ms, interval), None);
        assert_eq!(expected_by(0, now_ms, interval), None);
        // The producer's clock is ahead.
        assert_eq!(expected_by(i64::MAX, now_ms, interval), Some(now_ms + 30_000));
    }
}
