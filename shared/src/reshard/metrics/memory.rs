//! Metrics in memory.

use super::{Metrics, Span, Wanted};
use crate::errors::{Remedy, RemoteError};
use crate::shards::Series;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Minutes = HashMap<Wanted, Vec<(i64, f64)>>;

/// Metrics in memory, by the minute; clones share them. Longer periods have the sum of their minutes.
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics {
    minutes: Arc<Mutex<Minutes>>,
    throttles: Arc<AtomicBool>,
}

impl MemoryMetrics {
    fn lock(&self) -> MutexGuard<'_, Minutes> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value of the minute that begins at `begin_ms`.
    pub fn put(&self, wanted: Wanted, begin_ms: i64, value: f64) {
        self.lock().entry(wanted).or_default().push((begin_ms, value));
    }

    /// Whether every read is refused from now on.
    pub fn throttle(&self, throttles: bool) {
        self.throttles.store(throttles, Ordering::SeqCst);
    }
}

impl Metrics for MemoryMetrics {
    async fn read(&self, wanted: &[Wanted], span: Span) -> Result<Vec<Series>, RemoteError> {
        if self.throttles.load(Ordering::SeqCst) {
            return Err(RemoteError::new("GetMetricData", Remedy::SlowDown, "Rate exceeded"));
        }
        let minutes = self.lock();
        let series = wanted.iter().map(|wanted| {
            let mut sums: HashMap<i64, f64> = HashMap::new();
            for (begin_ms, value) in minutes.get(wanted).into_iter().flatten() {
                *sums.entry(begin_ms.div_euclid(span.period_ms) * span.period_ms).or_default() += value;
            }
            span.series(sums)
        });
        Ok(series.collect())
    }
}
