//! So many records a second, and no more.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Lets records through at a rate.
pub(super) struct Pace {
    rate: f64,
    next: Instant,
}

impl Pace {
    /// `rate` records a second.
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// What may go at once: a second's worth.
    pub(super) fn burst(&self) -> usize {
        (self.rate as usize).max(1)
    }

    /// Waits until `count` records may go. What was not used is not saved up.
    pub(super) async fn admit(&mut self, count: usize) {
        sleep_until(self.next).await;
        self.next = Instant::now() + Duration::from_secs_f64(count as f64 / self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn records_go_at_the_rate_and_a_pause_saves_nothing_up() {
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
