//! The port to metrics, by the minute or by longer periods.

#[cfg(feature = "cloudwatch")]
mod cloudwatch;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;

#[cfg(feature = "cloudwatch")]
pub use cloudwatch::CloudWatchMetrics;
pub use memory::MemoryMetrics;

use crate::platform::errors::RemoteError;
use crate::scaling::alarms::{MetricId, Statistic};
use crate::scaling::shards::Series;
use std::future::Future;

/// The identity of a series: a metric and a statistic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId {
    /// The metric.
    pub metric: MetricId,
    /// The statistic.
    pub statistic: Statistic,
}

impl SeriesId {
    /// A statistic of a stream's metric.
    pub fn of_stream(stream: &str, name: &str, statistic: Statistic) -> Self {
        Self { metric: MetricId::with("AWS/Kinesis", name, "StreamName", stream), statistic }
    }

    /// A statistic of a stream's metric with another dimension, such as a shard or a consumer.
    pub fn within_stream(stream: &str, (dimension, value): (&str, &str), name: &str, statistic: Statistic) -> Self {
        let mut id = Self::of_stream(stream, name, statistic);
        id.metric.dimensions.insert(dimension.to_owned(), value.to_owned());
        id
    }

    /// A statistic of a function's metric.
    pub fn of_function(function: &str, name: &str, statistic: Statistic) -> Self {
        Self { metric: MetricId::with("AWS/Lambda", name, "FunctionName", function), statistic }
    }
}

/// Consecutive periods of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The end of the last period, in milliseconds since the epoch; a multiple of the length.
    pub end_ms: i64,
    /// The length, in milliseconds; a multiple of a minute.
    pub period_ms: i64,
    /// The number of periods.
    pub periods: u32,
}

impl Span {
    /// The start of the first period, in milliseconds since the epoch.
    pub const fn start_ms(&self) -> i64 {
        self.end_ms - self.period_ms * self.periods as i64
    }

    /// The series over the span, from values with the starts of their periods. Values outside of the span are left out.
    pub fn series(&self, values: impl IntoIterator<Item = (i64, f64)>) -> Series {
        let mut all = vec![None; self.periods as usize];
        for (start_ms, value) in values {
            let index = (start_ms - self.start_ms()).div_euclid(self.period_ms);
            if let Some(slot) = usize::try_from(index).ok().and_then(|index| all.get_mut(index)) {
                *slot = Some(value);
            }
        }
        Series { end_ms: self.end_ms, period_ms: self.period_ms, values: all }
    }
}

/// A source of metrics.
pub trait Metrics: Send + Sync {
    /// Reads one series for each id, in order. A period without a data point has no value.
    fn read(&self, ids: &[SeriesId], span: Span) -> impl Future<Output = Result<Vec<Series>, RemoteError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_the_period_that_starts_with_it_and_other_periods_are_missing() {
        let span = Span { end_ms: 240_000, period_ms: 60_000, periods: 3 };
        let series = span.series([(0, 9.0), (60_000, 1.0), (180_000, 3.0), (240_000, 9.0)]);
        assert_eq!(series, Series::minutes(240_000, vec![Some(1.0), None, Some(3.0)]));
        assert_eq!(series.ending_at(240_000), Some(3.0));
    }
}
