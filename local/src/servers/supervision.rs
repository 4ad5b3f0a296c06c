//! Starts again what has ended by itself: reports it, and pauses longer each time.

use anyhow::Result;
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What runs so long is healthy: the next pause is the shortest again.
const HEALTHY: Duration = Duration::from_mins(1);

/// The pauses before the restarts of one server.
#[derive(Debug)]
pub(super) struct Restarts {
    name: String,
    pause: Duration,
    began: Instant,
}

impl Restarts {
    /// A server that begins to run now. `name` is for the log.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), pause: PAUSE_MIN, began: Instant::now() }
    }

    /// Reports that the server has ended, and waits for the time of its restart.
    pub(super) async fn pause(&mut self, why: &str) {
        if self.began.elapsed() >= HEALTHY {
            self.pause = PAUSE_MIN;
        }
        let pause_ms = self.pause.as_millis() as u64;
        tracing::error!(server = self.name, why, pause_ms, "a server has ended by itself, and is started again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.began = Instant::now();
    }
}

/// What has ended a server: `serving` never panics, and its end is said in words.
pub(super) async fn end_of(serving: impl Future<Output = Result<()>>) -> String {
    match AssertUnwindSafe(serving).catch_unwind().await {
        Ok(Ok(())) => "it stopped serving".to_owned(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "it panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_half_a_minute_and_begin_again_after_a_healthy_minute() {
        let mut restarts = Restarts::new("s");
        let mut pauses = Vec::new();
        for ran in [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 59, 60] {
            tokio::time::sleep(Duration::from_secs(ran)).await;
            let before = Instant::now();
            restarts.pause("test").await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 100]);
    }
}
