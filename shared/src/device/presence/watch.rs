//! By when each device must be heard again.
//!
//! The watch is an index and no record: it may lose everything, and is filled again by what is heard and by the walk over
//! the registry. What was told of a device's silence is the incident's business, see [`crate::alert`].

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use crate::platform::errors::RemoteError;
use std::time::Duration;

/// Lanes of the watch: some 100,000 devices in each where there are six million.
pub const LANES: u8 = 64;

/// A message received longer ago than this is no sign of life, in milliseconds: it is sent again from the lake, or the
/// pipeline is catching up.
const HEARD_WITHIN_MS: i64 = 15 * 60 * 1_000;

/// A device and by when it must be heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The device.
    pub device_id: String,
    /// By when, in milliseconds since the epoch.
    pub by_ms: i64,
}

/// By when a device whose message was received at `received_ms` is expected again, at `interval` or sooner; `None` where
/// that message says nothing about now. Counted from now, so that a pipeline that lags behind makes no device silent.
pub fn expected_by(received_ms: i64, now_ms: i64, interval: Duration) -> Option<i64> {
    let is_sign_of_life = now_ms.saturating_sub(received_ms) <= HEARD_WITHIN_MS;
    is_sign_of_life.then(|| now_ms.saturating_add(interval.as_millis() as i64))
}

/// The port of those who hear devices.
pub trait Hears: Send + Sync {
    /// Each device was heard, and is expected again by its time. A time that is there already and later stays.
    fn heard(&self, expected: &[Expected]) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// The port of the one who looks for silence.
pub trait Watch: Hears {
    /// At most `limit` devices of `lane` whose time is before `now_ms`, the most overdue first.
    fn overdue(
        &self,
        lane: u8,
        now_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Expected>, RemoteError>> + Send;

    /// By when each of `device_ids` is expected, in their order; `None` for one that is not watched.
    fn expected(&self, device_ids: &[&str]) -> impl Future<Output = Result<Vec<Option<i64>>, RemoteError>> + Send;

    /// Watches each of these no more, unless it was heard since and has another time.
    fn drop_unheard(&self, expected: &[Expected]) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// A place that was kept under `name`; `None` where its time is over or the memory lost.
    fn place(&self, name: &str) -> impl Future<Output = Result<Option<String>, RemoteError>> + Send;

    /// Keeps a place for `ttl`.
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
    fn only_a_message_of_late_is_a_sign_of_life() {
        let (now_ms, interval) = (1_795_218_892_020, Duration::from_secs(30));
        assert_eq!(expected_by(now_ms - 15 * 60_000, now_ms, interval), Some(now_ms + 30_000));
        assert_eq!(expected_by(now_ms - 15 * 60_000 - 1, now_ms, interval), None);
        assert_eq!(expected_by(0, now_ms, interval), None);
        // From a producer whose clock is ahead.
        assert_eq!(expected_by(i64::MAX, now_ms, interval), Some(now_ms + 30_000));
    }
}
