//! Throttling of a route by a token bucket: a number of requests at once, and a number a second.

use std::sync::{Mutex, PoisonError};

/// How many requests a route accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests a second, in the long run.
    pub rate: f64,
    /// Requests at once.
    pub burst: f64,
}

/// A bucket of tokens. It fills at the rate, up to the burst, and each request takes one token.
#[derive(Debug)]
pub(super) struct Bucket {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    tokens: f64,
    at_ms: i64,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limits: Limits, now_ms: i64) -> Self {
        Self { limits, state: Mutex::new(State { tokens: limits.burst, at_ms: now_ms }) }
    }

    /// Takes a token. False if the bucket has none.
    pub(super) fn take(&self, now_ms: i64) -> bool {
        // No critical section panics half way.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed_s = (now_ms - state.at_ms).max(0) as f64 / 1_000.0;
        state.tokens = self.limits.burst.min(state.tokens + passed_s * self.limits.rate);
        state.at_ms = state.at_ms.max(now_ms);
        let has_token = state.tokens >= 1.0;
        if has_token {
            state.tokens -= 1.0;
        }
        has_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::new(Limits { rate: 2.0, burst: 3.0 }, 1_000);
        let taken = |now_ms, tries| (0..tries).filter(|_| bucket.take(now_ms)).count();
        assert_eq!(taken(1_000, 5), 3);
        assert_eq!(taken(1_400, 5), 0);
        assert_eq!(taken(1_500, 5), 1);
        // The bucket never has more than the burst, and a clock that goes back does not fill it.
        assert_eq!(taken(100_000, 5), 3);
        assert_eq!(taken(1_000, 5), 0);
    }
}
