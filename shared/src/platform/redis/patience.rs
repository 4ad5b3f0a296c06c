//! For those to whom Redis is a help and nothing more: they wait a second for it, and leave it alone for a while when it
//! does not answer.

use crate::platform::errors::{RemoteError, chain};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long Redis may take, a cold TLS connection included; a read of DynamoDB takes a hundredth.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it is left alone after a failure, so that a server that is down does not cost each batch its patience.
const PAUSE_MS: i64 = 10_000;

/// Somebody's patience with Redis.
#[derive(Debug)]
pub struct Patience {
    who: &'static str,
    paused_until_ms: AtomicI64,
}

impl Patience {
    /// The patience of `who`, for the log.
    pub const fn new(who: &'static str) -> Self {
        Self { who, paused_until_ms: AtomicI64::new(i64::MIN) }
    }

    /// Whether Redis is left alone at `now_ms`.
    pub fn is_paused(&self, now_ms: i64) -> bool {
        now_ms < self.paused_until_ms.load(Ordering::Relaxed)
    }

    /// The value of a call; or nothing, and a pause.
    pub async fn wait<T>(&self, now_ms: i64, call: impl Future<Output = Result<T, RemoteError>>) -> Option<T> {
        let problem = match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        self.paused_until_ms.store(now_ms + PAUSE_MS, Ordering::Relaxed);
        tracing::warn!(error = problem, pause_ms = PAUSE_MS, "{} goes without Redis for a while", self.who);
        None
    }
}
