//! Present values and status of devices.

use super::*;
use myaku::device::event_time::ClockSource;
use myaku::device::reading;
use myaku::keyed::fence::Fences;
use myaku::keyed::states::{Commit, Version};
use myaku::keyed::{Incoming, Kept, ReadingId, Rule as _};
use myaku::stream::slot::Slot;
use myaku::window::MovingAverage;

/// Puts a state with one reading.
async fn put_state(context: &Fixture, id: &str, value: f64, at: i64) {
    let profiles = context.registry.profiles(&["vital"]).await.unwrap();
    let mut kept = Kept::<DeviceState>::default();
    let (value, clock) = (reading::Value::Number(value), ClockSource::Arrival);
    let reading = Incoming { metric: "heart_rate", id: ReadingId::of("1", at), at, clock, value: &value };
    MovingAverage::step(&profiles["vital"], &mut kept.state, &reading, None);
    let (fences, new) = (Fences::new(), Version::default());
    let states = vec![Commit { device_id: id, replaces: &new, kept: Some(&kept) }];
    let commit = SlotCommit { slot: Slot::of(id), fences: &fences, fence: None, forgotten: Vec::new(), states };
    context.states.commit("readings", &[commit]).await.unwrap();
}

#[tokio::test]
async fn a_device_has_the_values_of_its_state_and_of_its_row_what_no_state_has() {
    let context = fixture().await;
    let viewer = token("viewer", "home-3");
    put_state(&context, "bed-17", 72.0, NOW_MS - 1_000).await;
    connect_device(&context, "bed-17", true, NOW_MS - 90_000).await;
    let device = body(&context, "/v1/devices/bed-17", &viewer).await;
    let metric = json!({"metric": "heart_rate", "value": 72.0, "unit": "1/min", "at": NOW_MS - 1_000, "clock": "arrival",
        "freshness": "live", "partial": false,
        "average": {"mean": 72.0, "min": 72.0, "max": 72.0, "stddev": 0.0, "count": 1}});
    let status = json!({"connected": true, "silent": false, "lastHeardAt": NOW_MS - 29_500});
    assert_eq!((&device["metrics"], &device["status"]), (&json!([metric]), &status));
    assert_eq!((&device["openAlerts"], &device["alerts"][0]["kind"]), (&json!(1), &json!("threshold")));

    let devices = body(&context, "/v1/devices", &viewer).await;
    let of = |index: usize| &devices["devices"][index];
    assert_eq!((&of(0)["metrics"], &of(0)["status"], &of(0)["openAlerts"]), (&json!([metric]), &status, &json!(1)));
    assert_eq!((&of(1)["metrics"][0]["value"], &of(1)["status"]["connected"]), (&json!(61.0), &Value::Null));
    assert!(of(0).get("alerts").is_none());
}

#[tokio::test]
async fn while_redis_is_down_the_rows_answer() {
    let context = fixture().await;
    put_state(&context, "bed-17", 72.0, NOW_MS - 1_000).await;
    context.states.is_down.store(true, Ordering::Relaxed);
    let device = body(&context, "/v1/devices/bed-17", &token("viewer", "home-3")).await;
    assert_eq!(device["metrics"][0]["value"], 61.0);
    context.states.is_down.store(false, Ordering::Relaxed);
    let paused = body(&context, "/v1/devices/bed-17", &token("viewer", "home-3")).await;
    assert_eq!(paused["metrics"][0]["value"], 61.0, "it is not asked again for a while");
    context.clock.set(NOW_MS + 10_000);
    let device = body(&context, "/v1/devices/bed-17", &token("viewer", "home-3")).await;
    assert_eq!(device["metrics"][0]["value"], 72.0);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_no_empty_answer() {
    let context = fixture().await;
    context.incidents.set_down(true);
    for path in ["/v1/devices/bed-17", "/v1/devices", "/v1/facilities", "/v1/alerts"] {
        assert_eq!(get(&context, path, &token("viewer", "home-3")).await.0, 503, "{path}");
    }
    context.incidents.set_down(false);
    context.presences.set_down(true);
    assert_eq!(get(&context, "/v1/devices/bed-17", &token("viewer", "home-3")).await.0, 503);
}

#[tokio::test]
async fn a_silent_device_and_a_late_value_say_so() {
    let context = fixture().await;
    context.incidents.put(&silence("bed-18", "home-3", NOW_MS - 5_000)).await.unwrap();
    context.results.write(&[Row { counted: 9, ..latest("bed-17", "home-3", 61.0, NOW_MS - 120_001) }]).await.unwrap();
    let devices = body(&context, "/v1/devices", &token("viewer", "home-3")).await;
    let of = |index: usize| {
        (&devices["devices"][index]["status"]["silent"], &devices["devices"][index]["metrics"][0]["freshness"])
    };
    assert_eq!(of(0), (&json!(false), &json!("late")));
    assert_eq!(of(1), (&json!(true), &json!("silent")));
    let device = body(&context, "/v1/devices/bed-18", &token("viewer", "home-3")).await;
    assert_eq!((&device["status"]["silent"], &device["openAlerts"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn a_facility_counts_its_devices() {
    let context = fixture().await;
    connect_device(&context, "bed-17", true, NOW_MS).await;
    connect_device(&context, "bed-18", false, NOW_MS).await;
    context.incidents.put(&silence("bed-18", "home-3", NOW_MS - 5_000)).await.unwrap();
    let (_, over) = fever("bed-17", Some("home-3"), NOW_MS - 60_000).ended("60".to_owned(), "9", NOW_MS);
    context.incidents.put(&over).await.unwrap();
    let found = body(&context, "/v1/facilities", &token("viewer", "home-3")).await;
    let expected = json!({"facility": "home-3", "devices": 2, "connected": 1, "silent": 1, "openAlerts": 2});
    assert_eq!(found, json!({"facilities": [expected], "next": null}));
}
