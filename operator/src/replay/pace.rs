//! Limits how many records are sent in a second.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A limit on the rate of records.
pub(super) struct Pace {
    rate: f64,
    next: Instant,
}

impl Pace {
    /// Allows `rate` records a second.
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// Returns how many records may be sent at once: those of one second.
    pub(super) fn burst(&self) -> usize {
        (self.rate as usize).max(1)
    }

    /// Waits until `count` records may be sent. Unused time does not add up.
    pub(super) async fn admit(&mut self, count: usize) {
        sleep_until(self.next).await;
        self.next = Instant::now() + Duration::from_secs_f64(count as f64 / self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn records_are_admitted_at_the_rate_and_a_pause_allows_no_burst() {
        let began = Instant::now();
        let mut pace = Pace::new(100.0);
        for _ in 0..5 {
            pace.admit(50).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let began = Instant::now();
        for _ in 0..3 {
            pace.admit(50).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
