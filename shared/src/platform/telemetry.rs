//! Metrics in CloudWatch's embedded metric format (EMF): the handlers count, one line per invocation carries the counts.
//!
//! Outside a function nothing is installed and counting costs nothing, so that the same handlers run in tests.

use std::io;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Myaku";

/// What is measured. Each name stands once, so that alarms and dashboards can rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Records taken in, after de-aggregation. Count.
    Records,
    /// Bytes of those records. Bytes.
    Bytes,
    /// Readings made or used. Count.
    Readings,
    /// Records or readings sent to the dead letters. Count.
    DeadLetters,
    /// Readings of a kind or metric that the function has no use for. Count.
    Skipped,
    /// Readings that were counted before and so not again. Count.
    Duplicates,
    /// Readings that came behind the allowed lateness. Count.
    TooLate,
    /// How far behind its arrival a reading's own time was. Milliseconds.
    LatenessMs,
    /// From the message's receipt to the written result. Milliseconds.
    EndToEndMs,
    /// Objects put to the lake. Count.
    Objects,
    /// Batches answered with "retry from here", and invocations that failed. Count.
    Retries,
    /// State commits that lost against another invocation. Count.
    Conflicts,
    /// Disconnects that count, since no reconnect came within their grace. Count.
    Settled,
    /// Incidents that were raised. Count.
    Raised,
    /// Incidents that were cleared. Count.
    Cleared,
    /// Steps of a reshard that were begun. Count.
    ReshardSteps,
    /// Calls that it took to make a stream's alarms right. Count.
    AlarmsChanged,
    /// Notifications of alarms that were no reason to look. Count.
    IgnoredNotifications,
    /// Shards that were open. Count.
    ShardsOpen,
    /// Shards that the load called for. Count.
    ShardsWanted,
    /// Of these, those beyond the maximum. Count.
    ShardsOverMaximum,
    /// Requests that are wrong, or not the caller's to make. Count.
    Rejected,
    /// Items of requests that the stream was too busy for. Count.
    Throttled,
    /// Items of requests that are not known to be on the stream for another reason; a whole request that ran out of
    /// time counts as one. Count.
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
            Self::Skipped => "Skipped",
            Self::Duplicates => "Duplicates",
            Self::TooLate => "TooLate",
            Self::LatenessMs => "LatenessMs",
            Self::EndToEndMs => "EndToEndMs",
            Self::Objects => "Objects",
            Self::Retries => "Retries",
            Self::Conflicts => "Conflicts",
            Self::Settled => "Settled",
            Self::Raised => "Raised",
            Self::Cleared => "Cleared",
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

/// Adds to a counter.
pub fn count(metric: Metric, n: usize) {
    if n > 0 {
        metrics::counter!(metric.name()).increment(n as u64);
    }
}

/// Values of one metric that a line can carry: the format's own limit.
const VALUES_MAX: usize = 100;

/// Adds a batch's observations to a distribution; once for each metric and invocation. More than a line can carry are
/// told by as many evenly spaced ones of them in order, the least and the greatest included.
pub fn observe(metric: Metric, values: impl IntoIterator<Item = f64>) {
    let histogram = metrics::histogram!(metric.name());
    for value in spread(values.into_iter().collect()) {
        histogram.record(value);
    }
}

fn spread(mut values: Vec<f64>) -> Vec<f64> {
    if values.len() <= VALUES_MAX {
        return values;
    }
    let last = values.len() - 1;
    let places = (0..VALUES_MAX).map(|index| index * last / (VALUES_MAX - 1)).collect::<Vec<_>>();
    put_in_place(&mut values, 0, &places);
    places.into_iter().map(|place| values[place]).collect()
}

/// Puts into each of `places`, which ascend, what sorting would put there: of `values`, which begin at place `from`. Half of
/// the places are on either side of the one in the middle, whose sides are told apart first: less than sorting.
fn put_in_place(values: &mut [f64], from: usize, places: &[usize]) {
    let (before, rest) = places.split_at(places.len() / 2);
    let Some((&middle, behind)) = rest.split_first() else { return };
    let (lower, _, upper) = values.select_nth_unstable_by(middle - from, f64::total_cmp);
    put_in_place(lower, from, before);
    put_in_place(upper, middle + 1, behind);
}

/// Writes what was counted since the last flush.
#[derive(Clone, Copy)]
pub struct Telemetry(&'static metrics_cloudwatch_embedded::Collector);

impl Telemetry {
    /// Installs the recorder for a function; once, at its start.
    pub fn init(function: &'static str) -> Result<Self, metrics_cloudwatch_embedded::Error> {
        metrics_cloudwatch_embedded::Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("Function", function)
            .init()
            .map(Self)
    }

    /// One EMF line on standard output, where Lambda's log carries it to CloudWatch. A line that cannot be written
    /// must not fail an invocation whose work is done: it is logged.
    pub fn flush(self) {
        if let Err(error) = self.0.flush(io::stdout()) {
            tracing::warn!(error = %error, "metrics could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_carries_the_spread_of_more_values_than_it_can_hold() {
        assert_eq!(spread(vec![3.0, 1.0]), [3.0, 1.0]);
        let many = spread((0..10_000).rev().map(f64::from).collect());
        assert_eq!((many.len(), many[0], many[99]), (VALUES_MAX, 0.0, 9_999.0));
        assert!(many.is_sorted());
    }

    proptest! {
        #[test]
        fn the_spread_is_what_sorting_all_of_them_gives(values in prop::collection::vec(-50..50_i32, 101..600)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let expected = (0..VALUES_MAX).map(|index| sorted[index * (sorted.len() - 1) / (VALUES_MAX - 1)]);
            prop_assert_eq!(spread(values), expected.collect::<Vec<_>>());
        }
    }
}
