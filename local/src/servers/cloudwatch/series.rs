//! Metrics as CloudWatch stores them: for each minute the count, sum, minimum and maximum of the values.

use myaku::scaling::alarms::{MetricId, Statistic};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A metric's resolution, in milliseconds: one minute.
pub const MINUTE_MS: i64 = 60_000;
/// How long values are kept, in milliseconds: the longest window of an alarm is a day, and this leaves room.
const RETENTION_MS: i64 = 2 * 86_400_000;

/// A statistic set: what is stored of the values of one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// The number of values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest value.
    pub least: f64,
    /// The largest value.
    pub greatest: f64,
}

impl Statistics {
    /// One value.
    pub const fn of(value: f64) -> Self {
        Self::repeated(value, 1.0)
    }

    /// One value, `count` times.
    pub const fn repeated(value: f64, count: f64) -> Self {
        Self { count, sum: value * count, least: value, greatest: value }
    }

    /// The set of both sets' values.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }

    /// One statistic; none if it is not defined.
    pub fn get(&self, statistic: Statistic) -> Option<f64> {
        Some(match statistic {
            Statistic::SampleCount => self.count,
            Statistic::Sum => self.sum,
            Statistic::Average if self.count > 0.0 => self.sum / self.count,
            Statistic::Average => return None,
            Statistic::Minimum => self.least,
            Statistic::Maximum => self.greatest,
        })
    }
}

/// All metrics.
#[derive(Debug, Default)]
pub(super) struct Series(HashMap<MetricId, BTreeMap<i64, Statistics>>);

impl Series {
    /// Adds values to the minute of `at_ms`, and drops minutes that are too old.
    pub(super) fn put(&mut self, metric: MetricId, at_ms: i64, statistics: Statistics) {
        let minute = at_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let minutes = self.0.entry(metric).or_default();
        minutes.entry(minute).and_modify(|known| *known = known.and(statistics)).or_insert(statistics);
        *minutes = minutes.split_off(&(minute - RETENTION_MS));
    }

    /// The values of the minutes that begin within a time, in milliseconds since the epoch; none if there are none.
    pub(super) fn sum(&self, metric: &MetricId, within_ms: Range<i64>) -> Option<Statistics> {
        let minutes = self.0.get(metric)?.range(within_ms);
        minutes.map(|(_, statistics)| *statistics).reduce(Statistics::and)
    }

    /// One statistic of a metric over aligned periods of `period_ms` that begin within a time, by each period's start.
    /// A period without data has no entry.
    pub(super) fn periods(
        &self,
        metric: &MetricId,
        statistic: Statistic,
        period_ms: i64,
        within_ms: Range<i64>,
    ) -> BTreeMap<i64, f64> {
        let first = within_ms.start.div_euclid(period_ms) * period_ms;
        let mut begins: Vec<i64> = self.0.get(metric).map_or_else(Vec::new, |minutes| {
            let minutes = minutes.range(first..within_ms.end.max(first));
            minutes.map(|(minute, _)| minute.div_euclid(period_ms) * period_ms).collect()
        });
        begins.dedup();
        let value = |begin: i64| self.sum(metric, begin..begin + period_ms)?.get(statistic);
        begins.into_iter().filter_map(|begin| Some((begin, value(begin)?))).collect()
    }

    /// All metrics.
    pub(super) fn ids(&self) -> impl Iterator<Item = &MetricId> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> MetricId {
        MetricId::with("AWS/Kinesis", "IncomingRecords", "StreamName", "ingest")
    }

    #[test]
    fn values_of_a_minute_form_one_set_and_minutes_add_up_to_periods() {
        let mut series = Series::default();
        for (at_ms, value) in [(0, 5.0), (59_999, 1.0), (60_000, 2.0), (300_000, 9.0)] {
            series.put(metric(), at_ms, Statistics::of(value));
        }
        let get = |statistic, period_ms| series.periods(&metric(), statistic, period_ms, 0..600_000);
        assert_eq!(get(Statistic::Sum, MINUTE_MS), BTreeMap::from([(0, 6.0), (60_000, 2.0), (300_000, 9.0)]));
        let five = 5 * MINUTE_MS;
        assert_eq!(get(Statistic::Sum, five), BTreeMap::from([(0, 8.0), (five, 9.0)]));
        assert_eq!(get(Statistic::Minimum, five), BTreeMap::from([(0, 1.0), (five, 9.0)]));
        assert_eq!(get(Statistic::Maximum, five), BTreeMap::from([(0, 5.0), (five, 9.0)]));
        assert_eq!(get(Statistic::SampleCount, five), BTreeMap::from([(0, 3.0), (five, 1.0)]));
    }

    #[test]
    fn the_same_name_with_other_dimensions_is_another_metric() {
        let mut series = Series::default();
        series.put(metric(), 0, Statistics::of(1.0));
        let other = MetricId::with("AWS/Kinesis", "IncomingRecords", "StreamName", "readings");
        assert_eq!(series.sum(&other, 0..MINUTE_MS), None);
        assert!(series.sum(&metric(), 0..MINUTE_MS).is_some());
    }

    #[test]
    fn values_that_are_too_old_are_dropped() {
        let mut series = Series::default();
        series.put(metric(), 0, Statistics::of(1.0));
        series.put(metric(), RETENTION_MS + MINUTE_MS, Statistics::of(1.0));
        assert_eq!(series.sum(&metric(), 0..2 * RETENTION_MS).map(|all| all.count), Some(1.0));
    }
}
