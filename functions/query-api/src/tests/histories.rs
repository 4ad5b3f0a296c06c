//! Histories: windows that are merged, and those that are not closed.

use super::*;
use myaku::device::profile::document::Kind as Values;
use myaku::device::reading;
use myaku::window::tumbling::{Aggregate, Interval};

/// The beginning of an hour.
const HOUR_MS: i64 = 1_795_215_600_000;
const FIVE_MINUTES_MS: i64 = 300_000;

/// A row of five minutes with these values.
fn row(facility: &str, n: i64, values: &[f64]) -> Row<WindowResult> {
    let from_ms = HOUR_MS + n * FIVE_MINUTES_MS;
    let mut aggregate = Aggregate::new(Values::Number);
    for (second, value) in (1..).zip(values) {
        aggregate.fold(from_ms + second * 1_000, &reading::Value::Number(*value));
    }
    let result = WindowResult {
        window: "300s".to_owned(),
        unit: "1/min".to_owned(),
        interval: Interval { from_ms, to_ms: from_ms + FIVE_MINUTES_MS },
        aggregate,
        partial: n == 1,
        lost_until: None,
        left_out: 0,
    };
    let Row { device_id, stream, shard, position, .. } = latest("bed-17", facility, 0.0, 0);
    Row {
        device_id,
        item: Item::History { seconds: 300, from_ms },
        facility: facility.to_owned(),
        metrics: BTreeMap::from([("heart_rate".to_owned(), result)]),
        stream,
        shard,
        position,
        counted: 10 + n as u64,
        lost_until: None,
        received_at: 0,
        updated_at: 0,
        expires_at: None,
    }
}

fn path(step: i64) -> String {
    format!("/v1/devices/bed-17/history?metric=heart_rate&from={HOUR_MS}&to={}&step={step}", HOUR_MS + 3_600_000)
}

#[tokio::test]
async fn steps_merge_their_windows_and_a_stretch_without_readings_has_no_point() {
    let context = fixture().await;
    let values: [&[f64]; 5] = [&[60.0, 62.0], &[70.0], &[80.0, 90.0, 100.0], &[], &[50.0]];
    let rows: Vec<_> = [0, 1, 2, 3, 6].into_iter().zip(values).map(|(n, values)| row("home-3", n, values)).collect();
    context.intervals.write(&rows).await.unwrap();
    let viewer = token("viewer", "home-3");

    let found = body(&context, &path(300), &viewer).await;
    let froms: Vec<i64> = found["points"].as_array().unwrap().iter().map(|it| it["from"].as_i64().unwrap()).collect();
    assert_eq!(froms, [0, 1, 2, 6].map(|n| HOUR_MS + n * FIVE_MINUTES_MS));
    assert_eq!((&found["step"], &found["unit"], &found["next"]), (&json!(300), &json!("1/min"), &Value::Null));
    let first = &found["points"][0];
    assert_eq!((&first["mean"], &first["count"], &first["partial"]), (&json!(61.0), &json!(2), &json!(false)));

    // Six readings, and not the mean of three means.
    let found = body(&context, &path(900), &viewer).await;
    let first = &found["points"][0];
    assert_eq!((first["from"].as_i64(), first["to"].as_i64()), (Some(HOUR_MS), Some(HOUR_MS + 900_000)));
    assert_eq!(
        (&first["count"], &first["mean"], &first["min"], &first["max"]),
        (&json!(6), &json!(77.0), &json!(60.0), &json!(100.0))
    );
    assert_eq!((&first["partial"], &first["revision"]), (&json!(true), &json!(12)), "of the windows in it");
    let median = first["p50"].as_f64().unwrap();
    assert!((median - 70.0).abs() <= 0.7, "{median} of 60, 62, 70, 80, 90 and 100");
    assert_eq!(found["points"].as_array().unwrap().len(), 2);
    let rounded = body(&context, &path(301), &viewer).await;
    assert_eq!(rounded["step"], 600, "it is rounded up to whole windows");
}

#[tokio::test]
async fn the_same_time_gives_the_same_points_wherever_a_request_begins() {
    let context = fixture().await;
    let rows: Vec<_> = (0..6).map(|n| row("home-3", n, &[60.0 + n as f64])).collect();
    context.intervals.write(&rows).await.unwrap();
    let read = async |from: i64| {
        let path =
            format!("/v1/devices/bed-17/history?metric=heart_rate&from={from}&to={}&step=900", HOUR_MS + 1_500_000);
        body(&context, &path, &token("viewer", "home-3")).await["points"].clone()
    };
    let all = read(HOUR_MS).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(read(HOUR_MS + 899_999).await, all, "the step is whole");
    assert_eq!(read(HOUR_MS + 900_000).await[0], all[1]);
}

#[tokio::test]
async fn windows_of_another_facility_are_not_in_a_history() {
    let context = fixture().await;
    context.intervals.write(&[row("home-9", 0, &[60.0]), row("home-3", 1, &[70.0])]).await.unwrap();
    let found = body(&context, &path(900), &token("viewer", "home-3")).await;
    assert_eq!((&found["points"][0]["count"], &found["points"][0]["mean"]), (&json!(1), &json!(70.0)));
}

#[tokio::test]
async fn a_long_history_comes_in_pages_of_whole_steps() {
    let context = fixture().await;
    let rows: Vec<_> = (0..3_000).map(|n| row("home-3", n, &[60.0])).collect();
    context.intervals.write(&rows).await.unwrap();
    let path = format!(
        "/v1/devices/bed-17/history?metric=heart_rate&from={HOUR_MS}&to={}&step=2100",
        HOUR_MS + 3_000 * FIVE_MINUTES_MS
    );
    let (mut counts, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = body(&context, &format!("{path}{cursor}"), &token("viewer", "home-3")).await;
        counts.extend(page["points"].as_array().unwrap().iter().map(|it| it["count"].as_u64().unwrap()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 2);
    assert_eq!(counts.iter().sum::<u64>(), 3_000, "each window counts once");
    // The first step begins before the history, and the last one ends after it.
    assert!(counts[1..counts.len() - 1].iter().all(|count| *count == 7), "{counts:?}");
}
