//! Metrics in memory.

use super::{Metrics, Span, Wanted};
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::Statistic;
use crate::scaling::shards::Series;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Minutes = HashMap<Wanted, Vec<(i64, f64)>>;

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
            let mut periods: HashMap<i64, Vec<f64>> = HashMap::new();
            for (begin_ms, value) in minutes.get(wanted).into_iter().flatten() {
                periods.entry(begin_ms.div_euclid(span.period_ms) * span.period_ms).or_default().push(*value);
            }
            span.series(periods.into_iter().map(|(begin_ms, values)| (begin_ms, one(wanted.statistic, &values))))
        });
        Ok(series.collect())
    }
}

/// What the values of some minutes come to in a longer period.
fn one(statistic: Statistic, values: &[f64]) -> f64 {
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
    async fn metrics_in_memory_are_as_those_of_every_source() {
        let metrics = MemoryMetrics::default();
        let put = async |wanted: &Wanted, begin_ms, value| metrics.put(wanted.clone(), begin_ms, value);
        super::super::conformance::suite(&metrics, 1_795_219_200_000, put).await;
    }
}
