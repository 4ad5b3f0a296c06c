//! The rule under the faults that a stateful function survives, and its rows.

use super::*;
use crate::device::event_time::ClockSource;
use crate::device::reading::{Quality, Reading};
use crate::keyed::ReadingId;
use crate::keyed::trial::{Trial, devices};
use crate::results::{Item, Outcome as _};
use crate::window::tumbling::Summary;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::time::Duration;

/// The beginning of an hour.
const BEGIN_MS: i64 = 1_795_219_200_000;

fn profile() -> Arc<Profile> {
    let json = r#"{"id": "band", "zone": "Asia/Tokyo",
        "metrics": {
            "pulse": {"unit": "1/min", "allowedLatenessSeconds": 20,
                "windows": [{"seconds": 30}, {"seconds": 60, "stepSeconds": 20}, {"days": 1}, {"gapSeconds": 15}]},
            "worn": {"kind": "boolean", "allowedLatenessSeconds": 0, "windows": [{"seconds": 30}]},
            "error": {"kind": "text", "windows": [{"seconds": 30}, {"gapSeconds": 15}]},
            "place": {"kind": "position", "allowedLatenessSeconds": 40, "windows": [{"seconds": 30}]},
            "battery": {"unit": "%"}},
        "versions": [{"name": "1", "format": "json", "fields": [
            {"metric": "pulse", "from": "p"}, {"metric": "worn", "from": "w"}, {"metric": "error", "from": "e"},
            {"metric": "place", "from": "g"}, {"metric": "battery", "from": "b"}]}]}"#;
    Arc::new(Profile::parse(json.as_bytes()).unwrap())
}

fn reading(device: &str, id: u32, seconds: i64, metric: &str, value: Value) -> Reading {
    Reading {
        id: format!("{device}/{id}"),
        device_id: device.to_owned(),
        facility: "home-3".to_owned(),
        metric: metric.to_owned(),
        value,
        unit: String::new(),
        at: BEGIN_MS + seconds * 1_000,
        clock: ClockSource::Device,
        received_at: BEGIN_MS + 400_000,
        quality: Quality::Good,
    }
}

fn random_readings(random: &mut StdRng) -> Vec<Reading> {
    let devices = devices();
    let length = random.random_range(1..40);
    let readings = (0..length).map(|n| {
        let device = &devices[random.random_range(0..devices.len())];
        let (id, seconds) = (random.random_range(0..30), n * 4 + random.random_range(0..40));
        let n = random.random_range(0..6_u8);
        let (metric, value) = match random.random_range(0..5) {
            0 => ("worn", Value::Boolean(n > 2)),
            1 => ("error", Value::Text(format!("E{n}"))),
            2 => ("place", Value::Position([f64::from(n), 50.0])),
            3 => ("battery", Value::Number(1.0)),
            _ => ("pulse", Value::Number(60.0 + f64::from(n))),
        };
        reading(device, id, seconds, metric, value)
    });
    readings.collect()
}

#[test]
fn each_row_is_right_or_partial_whatever_crashes_and_whatever_redis_loses() {
    Trial::<TumblingWindow>::seeds(0..400, &profile(), |result| result.partial, random_readings);
}

#[test]
fn closed_windows_are_rows_of_a_device_and_a_length_with_all_its_metrics() {
    let [device, ..] = devices();
    let readings = [
        reading(&device, 1, 10, "pulse", Value::Number(60.0)),
        reading(&device, 2, 12, "worn", Value::Boolean(true)),
        reading(&device, 3, 31, "worn", Value::Boolean(false)),
        reading(&device, 4, 25, "pulse", Value::Number(64.0)),
        reading(&device, 5, 33, "pulse", Value::Number(90.0)),
        reading(&device, 6, 34, "battery", Value::Number(90.0)),
        reading(&device, 7, 29, "pulse", Value::Number(62.0)),
    ];
    let partial = |result: &WindowResult| result.partial;
    let mut trial = Trial::<TumblingWindow>::new(profile(), partial, &readings, Duration::ZERO, 1);
    trial.finish().unwrap();
    let rows = trial.rows();
    let keys: Vec<_> = rows.iter().map(|row| (row.key(), row.metrics.keys().cloned().collect::<Vec<_>>())).collect();
    let metrics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let first = Item::History { seconds: 30, from_ms: BEGIN_MS };
    let overlapping = Item::History { seconds: 60, from_ms: BEGIN_MS - 40_000 };
    let expected = [
        ("windows#".to_owned(), metrics(&[])),
        (first.key(WindowResult::NAMES), metrics(&["pulse", "worn"])),
        (overlapping.key(WindowResult::NAMES), metrics(&["pulse"])),
    ];
    assert_eq!(keys, expected);
    let Some(Summary::Numbers(pulse)) = rows[1].metrics["pulse"].summary() else { panic!() };
    assert_eq!((pulse.count, pulse.mean, pulse.p50), (3, 62.0, pulse.p50), "with the late reading");
    let Some(Summary::Booleans(worn)) = rows[1].metrics["worn"].summary() else { panic!() };
    assert_eq!((worn.true_ms, worn.covered_ms), (18_000, 18_000));
}

#[test]
fn a_result_has_named_fields_and_is_read_from_them() {
    let (profile, mut state) = (profile(), MetricTimelines::default());
    let readings = [
        ("pulse", 61, Value::Number(61.5)),
        ("worn", 61, Value::Boolean(true)),
        ("error", 61, Value::Text("E7".to_owned())),
        ("place", 61, Value::Position([139.5, 35.5])),
        ("place", 62, Value::Position([139.5, 35.5])),
    ];
    for (id, (metric, seconds, value)) in (0..).zip(readings) {
        let (id, at) = (ReadingId { order: id, digest: id }, BEGIN_MS + seconds * 1_000);
        let incoming = Incoming { metric, id, at, clock: ClockSource::Device, value: &value };
        TumblingWindow::step(&profile, &mut state, &incoming, None).unwrap();
    }
    let mut lines = Vec::new();
    for (metric, timeline) in state.iter() {
        let spec = MetricSpec::of(profile.metric(metric).unwrap()).unwrap();
        let result = timeline.live(spec).remove(0);
        let fields = result.fields();
        assert_eq!(WindowResult::from_fields(&fields), Some(result));
        let shown = fields.iter().filter(|(name, _)| *name != "aggregate");
        lines.push(format!(
            "{metric}: {}",
            shown.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" ")
        ));
        let damaged = fields.with("aggregate", vec![1_u8, 9]);
        assert_eq!(WindowResult::from_fields(&damaged), None);
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    error: count=Integer(1) distinct=Integer(1) exact=Flag(true) from=Integer(1795219260000) leftOut=Integer(0) partial=Flag(false) to=Integer(1795219290000) top=List([Map(Fields({"count": Integer(1), "error": Integer(0), "text": Text("E7")}))]) unit=Text("") window=Text("30s")
    place: bounds=List([Number(139.5), Number(35.5), Number(139.5), Number(35.5)]) count=Integer(2) distanceM=Number(0.0) first=List([Number(139.5), Number(35.5)]) firstAt=Integer(1795219261000) from=Integer(1795219260000) last=List([Number(139.5), Number(35.5)]) lastAt=Integer(1795219262000) leftOut=Integer(0) partial=Flag(false) to=Integer(1795219290000) unit=Text("") window=Text("30s")
    pulse: count=Integer(1) coveredMs=Integer(0) first=Number(61.5) firstAt=Integer(1795219261000) from=Integer(1795219260000) last=Number(61.5) lastAt=Integer(1795219261000) leftOut=Integer(0) max=Number(61.5) mean=Number(61.5) min=Number(61.5) p50=Number(61.5) p95=Number(61.5) p99=Number(61.5) partial=Flag(false) stddev=Number(0.0) sum=Number(61.5) timeWeightedMean=Number(61.5) to=Integer(1795219290000) unit=Text("1/min") window=Text("30s")
    worn: changes=Integer(0) count=Integer(1) coveredMs=Integer(0) from=Integer(1795219260000) last=Flag(true) lastAt=Integer(1795219261000) leftOut=Integer(0) partial=Flag(false) to=Integer(1795219290000) trueMs=Integer(0) trueShare=Number(1.0) unit=Text("") window=Text("30s")
    "#);
}
