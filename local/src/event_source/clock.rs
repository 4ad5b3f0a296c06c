//! The port for time: what time it is, and waiting.

use myaku::clock::{Now, SystemClock};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that one can wait on.
pub trait Clock: Now {
    /// Completes when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Tokio's time: real, or paused and turned by a test.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
    origin_ms: i64,
}

impl TokioClock {
    /// A clock that starts at the machine's time and then goes with tokio's.
    pub fn start() -> Self {
        Self::starting_at(SystemClock.now_ms())
    }

    /// A clock that starts at `origin_ms`, in milliseconds since the epoch.
    pub fn starting_at(origin_ms: i64) -> Self {
        Self { origin: Instant::now(), origin_ms }
    }
}

impl Now for TokioClock {
    fn now_ms(&self) -> i64 {
        self.origin_ms + self.origin.elapsed().as_millis() as i64
    }
}

impl Clock for TokioClock {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}
