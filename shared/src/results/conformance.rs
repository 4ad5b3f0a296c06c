//! What every adapter of the ports to results does.

use super::{Average, Item, Results, ResultsReader, Row, StoredRow, Write, Written};
use crate::stream::batch::Position;

fn at(n: u32) -> Position {
    Position { sequence: "49541296383533603670305612607160966548683674396982771921".parse().expect("digits"), sub: n }
}

fn latest(metric: &str) -> Item {
    Item::Latest { metric: metric.to_owned() }
}

fn row(device: &str, item: Item, position: u32) -> Row {
    let n = f64::from(position);
    Row {
        device_id: device.to_owned(),
        item,
        facility: "home-3".to_owned(),
        unit: "°C".to_owned(),
        value: n,
        at: 1_795_218_892_020,
        average: Average { count: 3, mean: n / 3.0, min: -n, max: n, stddev: 0.1 },
        partial: position % 2 == 1,
        lost_until: (position % 2 == 1).then_some(1_795_218_892_019),
        revision: position.into(),
        stream: "readings".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: at(position),
        base: position.checked_sub(1).map(at),
        received_at: 1_795_218_892_021,
        updated_at: 1_795_218_892_999,
        expires_at: None,
    }
}

async fn write(port: &impl Results, row: &Row, over: Option<u32>) -> Written {
    port.write(&[Write { row: row.clone(), over: over.map(at), revision: u64::MAX }]).await.expect("write").remove(0)
}

/// Runs the whole suite against `port`, on devices whose names begin with `prefix` and that have no rows.
///
/// # Panics
/// Where the port does something else.
pub async fn suite(port: &(impl Results + ResultsReader), prefix: &str) {
    conditions(port, &format!("{prefix}-conditions")).await;
    many_and_odd(port, &format!("{prefix}-many")).await;
    history(port, &format!("{prefix}-history")).await;
}

async fn conditions(port: &(impl Results + ResultsReader), device: &str) {
    assert_eq!(port.write(&[]).await.expect("write"), []);
    assert_eq!(port.latest(device).await.expect("latest"), []);
    let (first, third, fifth) = (row(device, latest("m"), 1), row(device, latest("m"), 3), row(device, latest("m"), 5));
    assert_eq!(write(port, &first, None).await, Written::Stored, "nothing is there");
    assert_eq!(
        port.latest(device).await.expect("latest"),
        std::slice::from_ref(&first),
        "a row reads as it was written"
    );

    assert_eq!(write(port, &third, None).await, Written::Kept(StoredRow::from(&first)), "it expected nothing there");
    assert_eq!(write(port, &third, Some(0)).await, Written::Kept(StoredRow::from(&first)));
    assert_eq!(write(port, &third, Some(1)).await, Written::Stored, "over what it expected");
    assert_eq!(write(port, &fifth, Some(4)).await, Written::Stored, "or over less");
    assert_eq!(
        write(port, &third, Some(1)).await,
        Written::Kept(StoredRow::from(&fifth)),
        "a zombie overwrites nothing"
    );
    assert_eq!(port.latest(device).await.expect("latest"), std::slice::from_ref(&fifth));

    let later = Write { row: row(device, latest("m"), 7), over: Some(at(6)), revision: 4 };
    let kept = port.write(std::slice::from_ref(&later)).await.expect("write");
    assert_eq!(kept, [Written::Kept(StoredRow::from(&fifth))], "a row of a higher revision than is known stays");
    let known = Write { revision: 5, ..later.clone() };
    assert_eq!(port.write(&[known]).await.expect("write"), [Written::Stored]);
    assert_eq!(port.latest(device).await.expect("latest"), [later.row]);

    let moved = Row { stream: "readings-2".to_owned(), ..first };
    assert_eq!(write(port, &moved, None).await, Written::Stored, "positions of another stream do not compare");
    assert_eq!(port.latest(device).await.expect("latest"), [moved]);
}

async fn many_and_odd(port: &(impl Results + ResultsReader), device: &str) {
    let metrics: Vec<String> = (0..130).map(|n| format!("metric-{n:03}")).collect();
    let taken = row(device, latest("metric-064"), 9);
    assert_eq!(write(port, &taken, None).await, Written::Stored);
    let rows: Vec<Row> = metrics.iter().map(|metric| row(device, latest(metric), 2)).collect();
    let writes: Vec<Write> =
        rows.iter().map(|row| Write { row: row.clone(), over: None, revision: u64::MAX }).collect();
    let written = port.write(&writes).await.expect("write");
    for (n, written) in written.iter().enumerate() {
        let expected = if n == 64 { Written::Kept(StoredRow::from(&taken)) } else { Written::Stored };
        assert_eq!(*written, expected, "{n}: answers come in the order of the writes, and one does not affect another");
    }
    assert_eq!(port.latest(device).await.expect("latest").len(), 130);

    let device = format!("{device}-odd");
    let odd = Row {
        facility: String::new(),
        unit: String::new(),
        value: f64::MAX,
        average: Average { count: 1, mean: -f64::MIN_POSITIVE, min: -0.0, max: 1e126, stddev: 5e-324 },
        base: None,
        expires_at: Some(1_900_000_000),
        ..row(&device, latest("µ#\u{1}"), 2)
    };
    assert_eq!(write(port, &odd, None).await, Written::Stored);
    assert_eq!(port.latest(&device).await.expect("latest"), [odd], "every finite number is kept as it is");
}

async fn history(port: &(impl Results + ResultsReader), device: &str) {
    let item = |metric: &str, from_ms: i64| Item::History { metric: metric.to_owned(), from_ms };
    let rows: Vec<Row> = (0..7).map(|n| row(device, item("m", i64::from(n) * 60_000), n)).collect();
    let mut all = rows.clone();
    all.push(row(device, item("m2", 60_000), 1));
    all.push(row(device, latest("m"), 7));
    let writes: Vec<Write> = all.into_iter().map(|row| Write { row, over: None, revision: u64::MAX }).collect();
    assert!(port.write(&writes).await.expect("write").iter().all(|written| *written == Written::Stored));

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
    assert_eq!(port.latest(device).await.expect("latest").len(), 1, "history is not the latest");
}
