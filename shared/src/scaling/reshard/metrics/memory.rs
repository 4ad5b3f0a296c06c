//! Metrics in memory.

use super::{Metrics, SeriesId, Span};
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::Statistic;
use crate::scaling::shards::Series;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Minutes = HashMap<SeriesId, Vec<(i64, f64)>>;

/// Metrics in memory, by the minute; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics {
    minutes: Arc<Mutex<Minutes>>,
    throttles: Arc<AtomicBool>,
}

impl MemoryMetrics {
    fn lock(&self) -> MutexGuard<'_, Minutes> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value into the minute that starts at `start_ms`, in milliseconds since the epoch.
    pub fn put(&self, id: SeriesId, start_ms: i64, value: f64) {
        self.lock().entry(id).or_default().push((start_ms, value));
    }

    /// Sets whether every read is refused from now on.
    pub fn throttle(&self, throttles: bool) {
        self.throttles.store(throttles, Ordering::SeqCst);
    }
}

impl Metrics for MemoryMetrics {
    async fn read(&self, ids: &[SeriesId], span: Span) -> Result<Vec<Series>, RemoteError> {
        if self.throttles.load(Ordering::SeqCst) {
            return Err(RemoteError::new("GetMetricData", Remedy::SlowDown, "Rate exceeded"));
        }
        let minutes = self.lock();
        let series = ids.iter().map(|id| {
            let mut periods: HashMap<i64, Vec<f64>> = HashMap::new();
            for (start_ms, value) in minutes.get(id).into_iter().flatten() {
                periods.entry(start_ms.div_euclid(span.period_ms) * span.period_ms).or_default().push(*value);
            }
            span.series(periods.into_iter().map(|(start_ms, values)| (start_ms, aggregate(id.statistic, &values))))
        });
        Ok(series.collect())
    }
}

/// Aggregates the values of some minutes to one of a longer period.
fn aggregate(statistic: Statistic, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    match statistic {
        Statistic::Sum | Statistic::SampleCount => sum,
        Statistic::Average => sum / values.len() as f64,
        Statistic::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
        Statistic::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_metrics_conform() {
        let metrics = MemoryMetrics::default();
        let put = async |id: &SeriesId, start_ms, value| metrics.put(id.clone(), start_ms, value);
        super::super::conformance::suite(&metrics, 1_795_219_200_000, put).await;
    }
}
