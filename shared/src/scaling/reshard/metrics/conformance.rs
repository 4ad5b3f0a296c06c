//! The suite that every source of metrics must pass.

use super::{Metrics, SeriesId, Span};
use crate::scaling::alarms::{MetricId, Statistic};

const MINUTE_MS: i64 = 60_000;
/// More series than one call to CloudWatch accepts.
const MANY: u32 = 501;

/// Runs the suite on `metrics`. `put(id, start_ms, value)` puts one value of a metric into the minute that starts at
/// `start_ms`. `hour_ms` is the start of an hour that has no metrics yet.
///
/// # Panics
///
/// If the source does not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(metrics: &impl Metrics, hour_ms: i64, put: impl AsyncFn(&SeriesId, i64, f64)) {
    // A namespace of our own: AWS allows no other account to put metrics into its namespaces.
    let of_stream = || MetricId::with("Myaku", "IncomingRecords", "StreamName", "ingest");
    let minute = |number: i64| hour_ms + number * MINUTE_MS;
    let of = |shard: &str, statistic| {
        let mut metric = of_stream();
        metric.dimensions.insert("ShardId".to_owned(), shard.to_owned());
        SeriesId { metric, statistic }
    };
    let sum = |shard: &str| of(shard, Statistic::Sum);
    // The span is the minutes 1 to 3. It includes the minute that starts with it, and not the one that starts at its
    // end.
    for (number, value) in [(0, 1.0), (1, 2.0), (3, 4.0), (4, 8.0)] {
        put(&sum("a"), minute(number), value).await;
    }
    put(&sum("b"), minute(2), 0.0).await;
    let span = Span { end_ms: minute(4), period_ms: MINUTE_MS, periods: 3 };
    let undivided = SeriesId { metric: of_stream(), statistic: Statistic::Sum };
    let read = metrics.read(&[sum("b"), undivided, sum("a")], span).await.unwrap();
    assert!(read.iter().all(|series| (series.end_ms, series.period_ms) == (span.end_ms, span.period_ms)));
    let values: Vec<_> = read.into_iter().map(|series| series.values).collect();
    // Series are in the order of the ids. Other dimensions are another metric. Zero is a value, and differs from none.
    assert_eq!(values, [vec![None, Some(0.0), None], vec![None; 3], vec![Some(2.0), None, Some(4.0)]]);
    assert_eq!(metrics.read(&[], span).await.unwrap(), []);

    let greatest = of("c", Statistic::Maximum);
    for (number, value) in [(0, 7.0), (4, 9.0), (5, 3.0)] {
        put(&greatest, minute(number), value).await;
    }
    let fives = Span { end_ms: minute(15), period_ms: 5 * MINUTE_MS, periods: 3 };
    let read = metrics.read(&[sum("a"), greatest], fives).await.unwrap();
    // Over longer periods, sums add up, and a maximum is the greatest of the minutes.
    assert_eq!(read[0].values, [Some(15.0), None, None]);
    assert_eq!(read[1].values, [Some(9.0), Some(3.0), None]);

    let many: Vec<SeriesId> = (0..MANY).map(|number| sum(&number.to_string())).collect();
    let last = many.last().unwrap();
    put(last, minute(2), 5.0).await;
    let read = metrics.read(&many, span).await.unwrap();
    assert_eq!(read.len(), many.len());
    assert_eq!(read.last().unwrap().values, [None, Some(5.0), None]);
    assert!(read[..many.len() - 1].iter().all(|series| series.values == [None; 3]));
}
