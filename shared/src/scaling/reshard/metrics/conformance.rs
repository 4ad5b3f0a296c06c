//! What every source of metrics must do.

use super::{Metrics, Span, Wanted};
use crate::scaling::alarms::{MetricId, Statistic};

const MINUTE_MS: i64 = 60_000;
/// More than one call of CloudWatch takes.
const MANY: u32 = 501;

/// Runs the suite on `metrics`, where `put` puts a metric's value into the minute that begins at a time, for each statistic
/// that is asked for. `hour_ms` is the beginning of an hour of which there are no metrics yet.
///
/// # Panics
///
/// Where the source does not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(metrics: &impl Metrics, hour_ms: i64, put: impl AsyncFn(&Wanted, i64, f64)) {
    // Not AWS's own, which nobody else may put.
    let whole = || MetricId::with("Myaku", "IncomingRecords", "StreamName", "ingest");
    let minute = |number: i64| hour_ms + number * MINUTE_MS;
    let of = |shard: &str, statistic| {
        let mut metric = whole();
        metric.dimensions.insert("ShardId".to_owned(), shard.to_owned());
        Wanted { metric, statistic }
    };
    let sum = |shard: &str| of(shard, Statistic::Sum);
    // The span is the minutes from 1 to 3: the first of these is in it, and the one that begins with its end is not.
    for (number, value) in [(0, 1.0), (1, 2.0), (3, 4.0), (4, 8.0)] {
        put(&sum("a"), minute(number), value).await;
    }
    put(&sum("b"), minute(2), 0.0).await;
    let span = Span { end_ms: minute(4), period_ms: MINUTE_MS, periods: 3 };
    let undivided = Wanted { metric: whole(), statistic: Statistic::Sum };
    let read = metrics.read(&[sum("b"), undivided, sum("a")], span).await.unwrap();
    assert!(read.iter().all(|series| (series.end_ms, series.period_ms) == (span.end_ms, span.period_ms)));
    let values: Vec<_> = read.into_iter().map(|series| series.values).collect();
    // In the order of the question; other dimensions are another metric; and zero is a value, unlike nothing.
    assert_eq!(values, [vec![None, Some(0.0), None], vec![None; 3], vec![Some(2.0), None, Some(4.0)]]);
    assert_eq!(metrics.read(&[], span).await.unwrap(), []);

    let greatest = of("c", Statistic::Maximum);
    for (number, value) in [(0, 7.0), (4, 9.0), (5, 3.0)] {
        put(&greatest, minute(number), value).await;
    }
    let fives = Span { end_ms: minute(15), period_ms: 5 * MINUTE_MS, periods: 3 };
    let read = metrics.read(&[sum("a"), greatest], fives).await.unwrap();
    // Minutes add up to longer periods, and of the greatest the greatest remains.
    assert_eq!(read[0].values, [Some(15.0), None, None]);
    assert_eq!(read[1].values, [Some(9.0), Some(3.0), None]);

    let many: Vec<Wanted> = (0..MANY).map(|number| sum(&number.to_string())).collect();
    let last = many.last().unwrap();
    put(last, minute(2), 5.0).await;
    let read = metrics.read(&many, span).await.unwrap();
    assert_eq!(read.len(), many.len());
    assert_eq!(read.last().unwrap().values, [None, Some(5.0), None]);
    assert!(read[..many.len() - 1].iter().all(|series| series.values == [None; 3]));
}
