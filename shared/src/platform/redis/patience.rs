//! A time limit and a pause, for callers that are faster with Redis but work without it.
//!
//! They wait one second for an answer. After a failure they do not call Redis for a while.

use crate::platform::errors::{RemoteError, chain};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a call may take, a cold TLS connection included. A read from DynamoDB takes a hundredth of that.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long Redis is not called after a failure, so that a server that is down does not cost each batch the time limit.
const PAUSE_MS: i64 = 10_000;

/// One caller's time limit and pause.
#[derive(Debug)]
pub struct Patience {
    caller: &'static str,
    paused_until_ms: AtomicI64,
}

impl Patience {
    /// The patience of `caller`, which the log names.
    pub const fn new(caller: &'static str) -> Self {
        Self { caller, paused_until_ms: AtomicI64::new(i64::MIN) }
    }

    /// Whether Redis must not be called at `now_ms`.
    pub fn is_paused(&self, now_ms: i64) -> bool {
        now_ms < self.paused_until_ms.load(Ordering::Relaxed)
    }

    /// The value of a call. If the call fails or takes too long: `None`, and a pause begins.
    pub async fn wait<T>(&self, now_ms: i64, call: impl Future<Output = Result<T, RemoteError>>) -> Option<T> {
        let problem = match tokio::time::timeout(TIMEOUT, call).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} ms", TIMEOUT.as_millis()),
        };
        self.paused_until_ms.store(now_ms + PAUSE_MS, Ordering::Relaxed);
        tracing::warn!(error = problem, pause_ms = PAUSE_MS, "{} works without Redis for a while", self.caller);
        None
    }
}
