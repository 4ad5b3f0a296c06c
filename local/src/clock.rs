//! The port for time: the current time, and waiting.

use myaku::platform::clock::{Now, SystemClock};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that can also wait.
pub trait Clock: Now {
    /// Completes after `duration` on this clock.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Tokio's time, at its own rate or faster. A test can pause and advance it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
    origin_ms: i64,
    rate: f64,
}

impl TokioClock {
    /// A clock that starts at the machine's time and then follows tokio's.
    pub fn start() -> Self {
        Self::starting_at(SystemClock.now_ms())
    }

    /// A clock that starts at `origin_ms`, in milliseconds since the epoch.
    pub fn starting_at(origin_ms: i64) -> Self {
        Self { origin: Instant::now(), origin_ms, rate: 1.0 }
    }

    /// The same clock, `rate` times as fast from its start: at 60, a minute takes a second. A rate that is not above
    /// zero counts as 1.
    #[must_use]
    pub fn at_rate(self, rate: f64) -> Self {
        Self { rate: if rate.is_finite() && rate > 0.0 { rate } else { 1.0 }, ..self }
    }
}

impl Now for TokioClock {
    fn now_ms(&self) -> i64 {
        self.origin_ms + (self.origin.elapsed().as_secs_f64() * self.rate * 1_000.0) as i64
    }
}

impl Clock for TokioClock {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration.div_f64(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_takes_a_second_at_rate_60() {
        let clock = TokioClock::starting_at(1_000).at_rate(60.0);
        let began = Instant::now();
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        assert_eq!(clock.now_ms(), 61_000);
    }
}
