//! The port for the current time, with three clocks: the machine's, one for tests, and one that runs faster.

mod scaled;

pub use scaled::{ParseClockError, ScaledClock};

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The last millisecond of the year 9999. No record has a later time, so a time always fits into 15 digits.
pub const MAX_MS: i64 = 253_402_300_799_999;

/// The wall clock. Handlers take it as an argument, so that a simulation can set the time.
pub trait Now: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;
}

/// The parts of a test share a clock.
impl<N: Now> Now for &N {
    fn now_ms(&self) -> i64 {
        (**self).now_ms()
    }
}

impl<N: Now> Now for Arc<N> {
    fn now_ms(&self) -> i64 {
        (**self).now_ms()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Now for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the adapter to the wall clock")]
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock at `ms`.
    pub const fn at(ms: i64) -> Self {
        Self(AtomicI64::new(ms))
    }

    /// Sets the clock to `ms`.
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Now for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
