//! The time that an invocation has left.
//!
//! Lambda ends an invocation at its deadline, whatever it is doing. So work stops [`MARGIN`] before: what is done by then
//! is answered, and the metrics are written.

use super::clock::Now;
use super::errors::{Remedy, RemoteError};
use std::time::Duration;

/// What is kept of an invocation's time for its answer and its metrics.
pub const MARGIN: Duration = Duration::from_secs(1);

/// When the work of an invocation must stop.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    ends_ms: i64,
}

impl Deadline {
    /// The deadline of an invocation that Lambda ends at `ends_ms`, in milliseconds since the epoch.
    pub const fn at(ends_ms: i64) -> Self {
        Self { ends_ms }
    }

    /// How much time is left for work.
    ///
    /// ```
    /// use myaku::platform::clock::ManualClock;
    /// use myaku::platform::deadline::Deadline;
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::at(5_000);
    /// assert_eq!(Deadline::at(9_000).left(&clock), Duration::from_secs(3));
    /// assert_eq!(Deadline::at(5_500).left(&clock), Duration::ZERO);
    /// ```
    pub fn left(self, clock: &impl Now) -> Duration {
        let left_ms = self.ends_ms.saturating_sub(clock.now_ms());
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).saturating_sub(MARGIN)
    }

    /// Does `work` until the time is up; `None` if it was not done by then. Without any time left, only work that never
    /// waits is done.
    ///
    /// Work that is stopped halfway looks like a crash, so it must be safe to cancel anywhere.
    pub async fn limit<T>(self, clock: &impl Now, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.left(clock), work).await.ok()
    }
}

/// The error of `operation`, for which there was not enough time. The next delivery tries again.
pub fn out_of_time(operation: &str) -> RemoteError {
    RemoteError::new(operation, Remedy::Retry, "the invocation's time is nearly over")
}
