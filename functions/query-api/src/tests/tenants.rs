//! What exists for whom.

use super::*;

async fn alert_of(context: &Fixture, device: &str) -> String {
    let path = format!("/v1/alerts?deviceId={device}");
    body(context, &path, &json!({"scope": "myaku/admin"})).await["alerts"][0]["id"].as_str().unwrap().to_owned()
}

/// The readers: one of the device's facility, one of another, one of both, one of none, admins, and the device itself.
fn readers() -> [(&'static str, Value); 8] {
    let device = json!({"device_id": "bed-17", "facilities": "home-3", "scope": "myaku/admin"});
    [
        ("own", token("operator", "home-3")),
        ("another's", token("operator", "home-4")),
        ("several", token("operator", "[home-3 home-4]")),
        ("none", token("operator", "")),
        ("no claim", json!({"sub": "x", "scope": "myaku/operator"})),
        ("admin", json!({"sub": "root", "scope": "myaku/admin"})),
        ("admin of another", token("admin", "home-4")),
        ("device", device),
    ]
}

#[tokio::test]
async fn each_route_shows_each_reader_what_its_facilities_have_and_404_for_the_rest() {
    let context = fixture().await;
    let acknowledge = format!("/v1/alerts/{}/acknowledge", alert_of(&context, "bed-17").await);
    // In the order of the readers.
    for (method, path, statuses) in [
        ("GET", "/v1/me", [200, 200, 200, 200, 403, 200, 200, 403]),
        ("GET", "/v1/facilities", [200, 200, 200, 200, 403, 200, 200, 403]),
        ("GET", "/v1/devices", [200, 200, 200, 200, 403, 200, 200, 403]),
        ("GET", "/v1/devices?facility=home-3", [200, 404, 200, 404, 403, 200, 404, 403]),
        ("GET", "/v1/devices/bed-17", [200, 404, 200, 404, 403, 200, 404, 403]),
        ("GET", "/v1/devices/bed-17/history?metric=heart_rate", [200, 404, 200, 404, 403, 200, 404, 403]),
        ("GET", "/v1/alerts", [200, 200, 200, 200, 403, 200, 200, 403]),
        ("GET", "/v1/alerts?facility=home-3", [200, 404, 200, 404, 403, 200, 404, 403]),
        ("GET", "/v1/alerts?deviceId=bed-17", [200, 404, 200, 404, 403, 200, 404, 403]),
        ("POST", acknowledge.as_str(), [200, 404, 200, 404, 403, 200, 404, 403]),
        ("GET", "/v1/devices/bed-0", [404, 404, 404, 404, 403, 200, 404, 403]),
        ("GET", "/v1/devices/unknown", [404, 404, 404, 404, 403, 404, 404, 403]),
    ] {
        for ((reader, claims), status) in readers().into_iter().zip(statuses) {
            let (found, body) = respond(&context, &request(method, path, &claims)).await;
            assert_eq!(found, status, "{reader}: {method} {path}: {body}");
        }
    }
}

#[tokio::test]
async fn what_is_unknown_and_what_is_anothers_have_the_same_answer() {
    let context = fixture().await;
    let reader = token("operator", "home-3");
    let known = alert_of(&context, "bed-99").await;
    for (method, anothers, unknown) in [
        ("GET", "/v1/devices/bed-99".to_owned(), "/v1/devices/bed-98"),
        ("GET", "/v1/devices?facility=home-9".to_owned(), "/v1/devices?facility=home-0"),
        ("GET", "/v1/alerts?deviceId=bed-99".to_owned(), "/v1/alerts?deviceId=bed-98"),
        ("POST", format!("/v1/alerts/{known}/acknowledge"), "/v1/alerts/0f90.W10/acknowledge"),
    ] {
        let anothers = respond(&context, &request(method, &anothers, &reader)).await;
        assert_eq!(anothers, respond(&context, &request(method, unknown, &reader)).await, "{unknown}");
        assert_eq!(anothers.0, 404);
    }
}

#[tokio::test]
async fn lists_have_the_rows_of_the_readers_facilities_alone() {
    let context = fixture().await;
    for (reader, claims) in readers() {
        let expected: &[&str] = match reader {
            "own" => &["bed-17", "bed-18"],
            "another's" | "admin of another" => &["bed-40"],
            "several" => &["bed-17", "bed-18", "bed-40"],
            "admin" => &["bed-17", "bed-18", "bed-40", "bed-99"],
            "none" => &[],
            _ => continue,
        };
        let devices = body(&context, "/v1/devices", &claims).await;
        assert_eq!(texts(&devices, "devices", "deviceId"), expected, "{reader}");
        let alerts = body(&context, "/v1/alerts", &claims).await;
        let of: BTreeSet<&str> =
            alerts["alerts"].as_array().unwrap().iter().map(|it| it["subject"]["deviceId"].as_str().unwrap()).collect();
        assert_eq!(of, expected.iter().copied().collect(), "{reader}");
        let facilities = body(&context, "/v1/facilities", &claims).await;
        let counted: u64 =
            facilities["facilities"].as_array().unwrap().iter().map(|it| it["devices"].as_u64().unwrap()).sum();
        assert_eq!(counted as usize, expected.len(), "{reader}");
    }
}

#[tokio::test]
async fn a_cursor_that_someone_made_up_shows_nothing_of_another_facility() {
    let context = fixture().await;
    let reader = token("viewer", "home-3");
    for place in
        [json!(["home-9", null]), json!(["home-9", "bed-00"]), json!(["home-2", null]), json!(["home-4", null])]
    {
        let path = format!("/v1/devices?cursor={}", query::cursor(&place));
        let devices = body(&context, &path, &reader).await;
        assert!(texts(&devices, "devices", "deviceId").iter().all(|id| ["bed-17", "bed-18"].contains(id)), "{place}");
        let only = format!("/v1/devices?facility=home-3&cursor={}", query::cursor(&place));
        assert_eq!(
            texts(&body(&context, &only, &reader).await, "devices", "deviceId"),
            ["bed-17", "bed-18"],
            "{place}"
        );
    }
    let path = format!("/v1/alerts?cursor={}", query::cursor(&format!("{NOW_MS}#fever##bed-99")));
    let alerts = body(&context, &path, &reader).await;
    assert!(alerts["alerts"].as_array().unwrap().iter().all(|it| it["subject"]["facility"] == "home-3"));
    let path = format!("/v1/facilities?cursor={}", query::cursor(&"home-1"));
    assert_eq!(texts(&body(&context, &path, &reader).await, "facilities", "facility"), ["home-3"]);
}

#[tokio::test]
async fn a_device_that_moved_brings_nothing_of_its_former_home() {
    let context = fixture().await;
    let moved = Device::new("bed-40", "vital", Some("home-3"));
    context.registry.store().put_device(&moved);
    let device = body(&context, "/v1/devices/bed-40", &token("viewer", "home-3")).await;
    assert_eq!(
        (&device["metrics"], &device["alerts"]),
        (&json!([]), &json!([])),
        "its row and its incident are of home-4"
    );
    let both = body(&context, "/v1/devices/bed-40", &token("viewer", "home-3,home-4")).await;
    assert_eq!((both["metrics"][0]["value"].as_f64(), both["alerts"].as_array().unwrap().len()), (Some(61.0), 1));
    let (status, _) = get(&context, "/v1/devices/bed-40", &token("viewer", "home-4")).await;
    assert_eq!(status, 404, "and its former home does not see it any more");

    // One that roams belongs to where it is registered, whatever it is near.
    let roams = Device { roams: vec!["home-4".to_owned()], ..moved };
    let other = fixture().await;
    other.registry.store().put_device(&roams);
    let device = body(&other, "/v1/devices/bed-40", &token("viewer", "home-3")).await;
    assert_eq!(device["metrics"][0]["value"], 61.0);
}

#[tokio::test]
async fn a_viewer_cannot_acknowledge_and_an_operator_does_it_once() {
    let context = fixture().await;
    let path = format!("/v1/alerts/{}/acknowledge", alert_of(&context, "bed-17").await);
    let (status, _) = respond(&context, &request("POST", &path, &token("viewer", "home-3"))).await;
    assert_eq!(status, 403);
    let (_, open) = get(&context, "/v1/alerts?state=open&deviceId=bed-17", &token("viewer", "home-3")).await;
    assert_eq!(open["alerts"].as_array().unwrap().len(), 1, "nothing has changed");

    let (status, alert) = respond(&context, &request("POST", &path, &token("operator", "home-3"))).await;
    let expected = (&json!("acknowledged"), &json!("alice"), &json!(NOW_MS));
    assert_eq!((status, (&alert["state"], &alert["acknowledgedBy"], &alert["acknowledgedAt"])), (200, expected));
    context.clock.set(NOW_MS + 5_000);
    let bob = json!({"sub": "bob", "scope": "myaku/admin"});
    assert_eq!(respond(&context, &request("POST", &path, &bob)).await, (200, alert), "twice changes nothing");

    let (_, over) = fever("bed-18", Some("home-3"), NOW_MS - 60_000).ended("60 1/min".to_owned(), "9", NOW_MS);
    let path = format!("/v1/alerts/{}/acknowledge", alert_of(&context, "bed-18").await);
    context.incidents.put(&over).await.unwrap();
    let (status, alert) = respond(&context, &request("POST", &path, &bob)).await;
    assert_eq!((status, &alert["state"], &alert["acknowledgedBy"]), (200, &json!("cleared"), &Value::Null));
}

#[tokio::test]
async fn without_an_authorizer_only_the_page_and_the_description_are_served() {
    let context = fixture().await;
    for (path, status) in [
        ("/", 200),
        ("/v1/openapi.json", 200),
        ("/assets/none.js", 404),
        ("/v1/me", 401),
        ("/v1/devices", 401),
        ("/v2", 404),
    ] {
        let mut request = request("GET", path, &json!({}));
        request.request_context.authorizer = None;
        assert_eq!(handle(&context, &request, NOW_MS + 29_000).await.status_code, status, "{path}");
    }
}
