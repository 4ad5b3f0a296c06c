//! Metrics in CloudWatch's embedded metric format (EMF): handlers count, and each invocation logs one line.
//!
//! Outside a function no recorder is installed and counting costs nothing, so that the same handlers run in tests.

use std::io;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Myaku";

/// A metric. Each name is defined here only, so that alarms and dashboards can rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Records received, after de-aggregation. Count.
    Records,
    /// Bytes of those records. Bytes.
    Bytes,
    /// Readings decoded or used. Count.
    Readings,
    /// Dead letters that were written, one for each record. Count.
    DeadLetters,
    /// Records that were set aside unread, because they end the invocations that handle them. Count.
    Crashed,
    /// Readings of a kind or metric that the function does not use. Count.
    Skipped,
    /// Readings that were counted before, and so are not counted again. Count.
    Duplicates,
    /// Those of them whose value is not the one that was counted. Count.
    Contradictions,
    /// Readings that arrived after the allowed lateness. Count.
    TooLate,
    /// Readings that have the arrival's time, because the device's cannot be true. Count.
    ClockReplaced,
    /// From a reading's own time to its arrival. Milliseconds.
    LatenessMs,
    /// From the message's receipt to the written result. Milliseconds.
    EndToEndMs,
    /// Objects put to the lake. Count.
    Objects,
    /// Batches answered with "retry from here", and invocations that failed. Count.
    Retries,
    /// State commits that lost against another invocation. Count.
    Conflicts,
    /// Disconnects that took effect, because no reconnect came within the grace period. Count.
    Settled,
    /// Incidents that were raised. Count.
    Raised,
    /// Incidents that were cleared. Count.
    Cleared,
    /// Messages that were sent to contacts. Count.
    Notified,
    /// Messages that were given up: a contact does not hear of an alert. Count.
    NotNotified,
    /// From an alert to the message about it. Milliseconds.
    NotifyMs,
    /// Steps of a reshard that were started. Count.
    ReshardSteps,
    /// Calls that corrected a stream's alarms. Count.
    AlarmsChanged,
    /// Notifications of alarms that gave no reason to look at the stream. Count.
    IgnoredNotifications,
    /// Open shards. Count.
    ShardsOpen,
    /// Shards that the load requires. Count.
    ShardsWanted,
    /// Those of the required shards that are beyond the maximum. Count.
    ShardsOverMaximum,
    /// Requests that are wrong, or that the caller may not make. Count.
    Rejected,
    /// Items of requests that the stream was too busy to take. Count.
    Throttled,
    /// Items of requests that may not be on the stream, for another reason. A whole request that ran out of time counts
    /// as one. Count.
    Unavailable,
}

impl Metric {
    /// The metric's name in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Records => "Records",
            Self::Bytes => "Bytes",
            Self::Readings => "Readings",
            Self::DeadLetters => "DeadLetters",
            Self::Crashed => "Crashed",
            Self::Skipped => "Skipped",
            Self::Duplicates => "Duplicates",
            Self::Contradictions => "Contradictions",
            Self::TooLate => "TooLate",
            Self::ClockReplaced => "ClockReplaced",
            Self::LatenessMs => "LatenessMs",
            Self::EndToEndMs => "EndToEndMs",
            Self::Objects => "Objects",
            Self::Retries => "Retries",
            Self::Conflicts => "Conflicts",
            Self::Settled => "Settled",
            Self::Raised => "Raised",
            Self::Cleared => "Cleared",
            Self::Notified => "Notified",
            Self::NotNotified => "NotNotified",
            Self::NotifyMs => "NotifyMs",
            Self::ReshardSteps => "ReshardSteps",
            Self::AlarmsChanged => "AlarmsChanged",
            Self::IgnoredNotifications => "IgnoredNotifications",
            Self::ShardsOpen => "ShardsOpen",
            Self::ShardsWanted => "ShardsWanted",
            Self::ShardsOverMaximum => "ShardsOverMaximum",
            Self::Rejected => "Rejected",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// Adds `n` to a counter.
pub fn count(metric: Metric, n: usize) {
    if n > 0 {
        metrics::counter!(metric.name()).increment(n as u64);
    }
}

/// How many values of one metric a line can carry: the format's limit.
const VALUES_MAX: usize = 100;

/// Adds a batch's observations to a distribution. Call it once for each metric and invocation. If there are more than a
/// line can carry, it carries a sample: evenly spaced ones of the sorted values, the least and the greatest included.
pub fn observe(metric: Metric, values: impl IntoIterator<Item = f64>) {
    let histogram = metrics::histogram!(metric.name());
    for value in sample(values.into_iter().collect()) {
        histogram.record(value);
    }
}

fn sample(mut values: Vec<f64>) -> Vec<f64> {
    if values.len() <= VALUES_MAX {
        return values;
    }
    let last = values.len() - 1;
    let places = (0..VALUES_MAX).map(|index| index * last / (VALUES_MAX - 1)).collect::<Vec<_>>();
    select_places(&mut values, 0, &places);
    places.into_iter().map(|place| values[place]).collect()
}

/// Moves to each of `places`, which ascend, the value that sorting would put there. `values` begin at place `from`. The
/// middle one of the places is done first and divides the values into two halves, and then each half: less work than
/// sorting.
fn select_places(values: &mut [f64], from: usize, places: &[usize]) {
    let (before, rest) = places.split_at(places.len() / 2);
    let Some((&middle, after)) = rest.split_first() else { return };
    let (lower, _, upper) = values.select_nth_unstable_by(middle - from, f64::total_cmp);
    select_places(lower, from, before);
    select_places(upper, middle + 1, after);
}

/// The recorder of a function's metrics.
#[derive(Clone, Copy)]
pub struct Telemetry(&'static metrics_cloudwatch_embedded::Collector);

impl Telemetry {
    /// Installs the recorder for a function. Call it once, at the function's start.
    pub fn init(function: &'static str) -> Result<Self, metrics_cloudwatch_embedded::Error> {
        metrics_cloudwatch_embedded::Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("Function", function)
            .init()
            .map(Self)
    }

    /// Writes what was counted since the last flush: one EMF line on standard output, which Lambda's log carries to
    /// CloudWatch. An error is logged only, since it must not fail an invocation whose work is done.
    pub fn flush(self) {
        if let Err(error) = self.0.flush(io::stdout()) {
            tracing::warn!(error = %error, "cannot write the metrics");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_carries_a_sample_of_more_values_than_it_can_hold() {
        assert_eq!(sample(vec![3.0, 1.0]), [3.0, 1.0]);
        let many = sample((0..10_000).rev().map(f64::from).collect());
        assert_eq!((many.len(), many[0], many[99]), (VALUES_MAX, 0.0, 9_999.0));
        assert!(many.is_sorted());
    }

    proptest! {
        #[test]
        fn the_sample_is_the_one_that_sorting_all_values_gives(values in prop::collection::vec(-50..50_i32, 101..600)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let expected = (0..VALUES_MAX).map(|index| sorted[index * (sorted.len() - 1) / (VALUES_MAX - 1)]);
            prop_assert_eq!(sample(values), expected.collect::<Vec<_>>());
        }
    }
}
