//! What every adapter of the ports to results does.

use super::{Average, Intervals, Item, Mark, MetricResult, ReadIntervals, Results, ResultsReader, Row};
use crate::device::event_time::ClockSource;
use crate::stream::batch::Position;
use std::collections::BTreeMap;

fn at(n: u32) -> Position {
    Position { sequence: "49541296383533603670305612607160966548683674396982771921".parse().expect("digits"), sub: n }
}

fn result(n: u32) -> MetricResult {
    let value = f64::from(n);
    MetricResult {
        unit: "°C".to_owned(),
        value,
        at: 1_795_218_892_020,
        clock: (n % 3 == 1).then_some(ClockSource::Arrival),
        average: Average { count: 3, mean: value / 3.0, min: -value, max: value, stddev: 0.1 },
        partial: n % 2 == 1,
        lost_until: (n % 2 == 1).then_some(1_795_218_892_019),
    }
}

/// A row of the metric `m`, at position `n`.
fn row(device: &str, item: Item, n: u32) -> Row {
    Row {
        device_id: device.to_owned(),
        item,
        facility: "home-3".to_owned(),
        metrics: BTreeMap::from([("m".to_owned(), result(n))]),
        stream: "readings".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: at(n),
        counted: 10,
        lost_until: (n % 2 == 1).then_some(1_795_218_892_018),
        received_at: 1_795_218_892_021,
        updated_at: 1_795_218_892_999,
        expires_at: None,
    }
}

async fn write(port: &impl Results, row: &Row) {
    port.write(std::slice::from_ref(row)).await.expect("write");
}

/// Runs the whole suite against `port`, on devices whose names begin with `prefix` and that have no rows.
///
/// # Panics
/// Where the port does something else.
pub async fn suite(port: &(impl Results + ResultsReader + ReadIntervals<MetricResult>), prefix: &str) {
    conditions(port, &format!("{prefix}-conditions")).await;
    many_and_odd(port, &format!("{prefix}-many")).await;
    history(port, &format!("{prefix}-history")).await;
    metrics_of_one_interval(port, &format!("{prefix}-interval")).await;
    intervals(port, &format!("{prefix}-lengths")).await;
}

async fn intervals(port: &(impl Results + ReadIntervals<MetricResult>), device: &str) {
    let item = |seconds, n: u32| Item::History { seconds, from_ms: i64::from(n) * 300_000 };
    let rows: Vec<Row> = (0..5).map(|n| row(device, item(300, n), n)).collect();
    let others = [row(device, item(3_000, 1), 1), row(device, item(30, 1), 1), row(device, item(0, 1), 1)];
    port.write(&[&rows[..], &others].concat()).await.expect("write");
    let read = async |from_ms, to_ms, limit| -> Intervals<MetricResult> {
        port.intervals(device, 300, from_ms, to_ms, limit).await.expect("intervals")
    };
    let all = read(0, i64::MAX, 9).await;
    assert_eq!((&all.rows, all.next_ms), (&rows, None), "those of one length, and no others");
    assert_eq!(read(300_000, 900_000, 9).await.rows, rows[1..3], "from included, to excluded");
    assert_eq!(read(300_000, 300_000, 9).await.rows, []);
    let page = read(0, i64::MAX, 2).await;
    assert_eq!(page.rows, rows[..2]);
    let next_ms = page.next_ms.expect("there are more");
    assert_eq!(read(next_ms, i64::MAX, 9).await.rows, rows[2..]);
}

async fn conditions(port: &(impl Results + ResultsReader), device: &str) {
    let latest = async || port.latest(device).await.expect("latest");
    port.write(&[]).await.expect("write");
    let mark = async || Results::<MetricResult>::latest_mark(port, device).await.expect("latest mark");
    assert_eq!((latest().await, mark().await), (None, None));
    let third = row(device, Item::Latest, 3);
    write(port, &third).await;
    assert_eq!(latest().await, Some(third.clone()), "a row reads as it was written");
    assert_eq!(mark().await, Some(Mark { lost_until: third.lost_until }));
    write(port, &row(device, Item::Latest, 2)).await;
    assert_eq!(latest().await, Some(third.clone()), "a zombie overwrites nothing");
    write(port, &Row { counted: 9, updated_at: 0, ..third.clone() }).await;
    assert_eq!(
        latest().await,
        Some(third.clone()),
        "at the same position, a row that has counted less does not either"
    );
    let again = Row { updated_at: 1_795_218_893_000, ..third.clone() };
    write(port, &again).await;
    assert_eq!(latest().await, Some(again), "the same row again is not refused");
    let more = Row { counted: 11, ..third };
    write(port, &more).await;
    assert_eq!(latest().await, Some(more), "at the same position, a row that has counted more does");
    let mut fifth = Row { counted: 1, ..row(device, Item::Latest, 5) };
    fifth.metrics = BTreeMap::from([("other".to_owned(), result(5))]);
    write(port, &fifth).await;
    assert_eq!(latest().await, Some(fifth), "a later row replaces all metrics, whatever it has counted");
    let moved = Row { stream: "readings-2".to_owned(), lost_until: None, ..row(device, Item::Latest, 1) };
    write(port, &moved).await;
    assert_eq!(latest().await, Some(moved), "positions of another stream do not compare");
    assert_eq!(mark().await, Some(Mark { lost_until: None }));
}

async fn many_and_odd(port: &(impl Results + ResultsReader), device: &str) {
    let name = |n: u32| format!("{device}-{n}");
    let taken = row(&name(64), Item::Latest, 9);
    write(port, &taken).await;
    let rows: Vec<Row> = (0..130).map(|n| row(&name(n), Item::Latest, 2)).collect();
    port.write(&rows).await.expect("write");
    for (n, row) in (0..).zip(rows) {
        let expected = if n == 64 { taken.clone() } else { row };
        assert_eq!(port.latest(&name(n)).await.expect("latest"), Some(expected), "{n}: one does not affect another");
    }
    let metrics = (0..250).map(|n| (format!("metric-{n:03}"), result(n))).collect();
    let large = Row { metrics, ..row(&name(130), Item::history(60_000), 2) };
    write(port, &large).await;
    let read = port.history(&large.device_id, "metric-249", 0, i64::MAX).await.expect("history");
    assert_eq!(read, [large], "a device can have many metrics");
    let odd = MetricResult {
        unit: String::new(),
        value: f64::MAX,
        average: Average { count: 1, mean: -f64::MIN_POSITIVE, min: -0.0, max: 1e126, stddev: 5e-324 },
        ..result(2)
    };
    let odd = Row {
        facility: String::new(),
        metrics: BTreeMap::from([("µ#\u{1}".to_owned(), odd)]),
        expires_at: Some(1_900_000_000),
        ..row(device, Item::Latest, 2)
    };
    write(port, &odd).await;
    assert_eq!(port.latest(device).await.expect("latest"), Some(odd), "every finite number is kept as it is");
}

async fn history(port: &(impl Results + ResultsReader), device: &str) {
    let item = |n: u32| Item::history(i64::from(n) * 60_000);
    let rows: Vec<Row> = (0..7).map(|n| row(device, item(n), n)).collect();
    let mut all = rows.clone();
    let of_other = BTreeMap::from([("m2".to_owned(), result(1))]);
    all.push(Row { metrics: of_other, ..row(device, Item::history(90_000), 1) });
    all.push(row(device, Item::Latest, 7));
    port.write(&all).await.expect("write");

    let read = async |from_ms, to_ms| port.history(device, "m", from_ms, to_ms).await.expect("history");
    assert_eq!(read(0, i64::MAX).await, rows);
    assert_eq!(read(60_000, 180_000).await, rows[1..3], "from included, to excluded");
    assert_eq!(read(60_001, 60_001).await, []);
    assert_eq!(read(i64::MIN, 0).await, []);
    assert_eq!(port.history("stranger", "m", 0, i64::MAX).await.expect("history"), []);

    let mut paged = Vec::new();
    let mut from = Some(0);
    let mut asked = 0;
    while let Some(from_ms) = from {
        let page = port.history_page(device, "m", from_ms, i64::MAX, 3).await.expect("history");
        assert!(page.rows.len() <= 3);
        paged.extend(page.rows);
        from = page.next_ms;
        asked += 1;
    }
    assert_eq!(paged, rows, "pages hold each row once");
    assert!(asked >= 3);
}

async fn metrics_of_one_interval(port: &(impl Results + ResultsReader), device: &str) {
    let item = Item::history(60_000);
    let of =
        |metric: &str, n| Row { metrics: BTreeMap::from([(metric.to_owned(), result(n))]), ..row(device, item, n) };
    for (metric, n) in [("a", 2), ("b", 4), ("a", 6), ("b", 5)] {
        write(port, &of(metric, n)).await;
    }
    let rows = port.history(device, "a", 0, i64::MAX).await.expect("history");
    let metrics = BTreeMap::from([("a".to_owned(), result(6)), ("b".to_owned(), result(4))]);
    assert_eq!(rows, [Row { metrics, ..of("a", 6) }], "a row of history replaces the metrics that it has");
}
