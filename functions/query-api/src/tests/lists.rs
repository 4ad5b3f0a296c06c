//! Lists: filters, pages and their order.

use super::*;

/// All items of a list, page by page, by a text of each.
async fn walk(context: &Fixture, path: &str, list: &str, text: &str, claims: &Value) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..100 {
        let page = body(context, &format!("{path}{cursor}"), claims).await;
        let found = page[list].as_array().unwrap().iter();
        all.extend(found.map(|item| item.pointer(text).unwrap().to_string().trim_matches('"').to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
    panic!("{path} does not end");
}

#[tokio::test]
async fn pages_of_devices_have_each_device_once_whatever_their_size() {
    let context = fixture().await;
    for n in 0..25 {
        context.registry.store().put_device(&Device::new(
            format!("tag-{n:02}"),
            "tag",
            Some(["home-3", "home-5"][n % 2]),
        ));
    }
    let admin = json!({"scope": "myaku/admin"});
    let all = walk(&context, "/v1/devices?limit=200", "devices", "/deviceId", &admin).await;
    assert_eq!(all.len(), 29);
    for limit in [1, 2, 3, 7] {
        let path = format!("/v1/devices?limit={limit}");
        assert_eq!(walk(&context, &path, "devices", "/deviceId", &admin).await, all, "{limit}");
    }
    let home = token("viewer", "home-3");
    for (filter, count) in [("q=TAG-1", 5), ("profile=tag", 13), ("profile=tag&q=bed", 0), ("facility=home-3", 15)] {
        for limit in [2, 200] {
            let path = format!("/v1/devices?{filter}&limit={limit}");
            assert_eq!(walk(&context, &path, "devices", "/deviceId", &home).await.len(), count, "{path}");
        }
    }
}

#[tokio::test]
async fn devices_are_found_by_their_status() {
    let context = fixture().await;
    connect_device(&context, "bed-17", true, NOW_MS).await;
    connect_device(&context, "bed-40", false, NOW_MS).await;
    context.incidents.put(&silence("bed-18", "home-3", NOW_MS - 5_000)).await.unwrap();
    let reader = token("viewer", "home-3,home-4");
    for (status, expected) in [("connected", "bed-17"), ("disconnected", "bed-40"), ("silent", "bed-18")] {
        for limit in [1, 50] {
            let path = format!("/v1/devices?status={status}&limit={limit}");
            assert_eq!(walk(&context, &path, "devices", "/deviceId", &reader).await, [expected], "{path}");
        }
    }
}

#[tokio::test]
async fn alerts_come_newest_first_and_pages_have_each_once() {
    let context = fixture().await;
    // Several at one time, in several homes.
    for n in 0..40_i64 {
        let home = ["home-3", "home-4"][(n % 2) as usize];
        let id = format!("tag-{n:02}");
        context.registry.store().put_device(&Device::new(&id, "tag", Some(home)));
        let incident = silence(&id, home, NOW_MS - 100_000 - n / 5 * 1_000);
        context.incidents.put(&incident).await.unwrap();
        if n % 3 == 0 {
            context.incidents.put(&incident.cleared(Cleared::Returned, NOW_MS).1).await.unwrap();
        }
    }
    let reader = token("viewer", "home-3,home-4");
    let all = walk(&context, "/v1/alerts?limit=200", "alerts", "/raisedAt", &reader).await;
    let mut sorted = all.clone();
    sorted.sort_by(|left, right| right.cmp(left));
    assert_eq!((&all, all.len()), (&sorted, 43));
    let ids = walk(&context, "/v1/alerts?limit=200", "alerts", "/id", &reader).await;
    for limit in [1, 2, 3, 7] {
        assert_eq!(
            walk(&context, &format!("/v1/alerts?limit={limit}"), "alerts", "/id", &reader).await,
            ids,
            "{limit}"
        );
    }
    for (filter, count) in [
        ("state=cleared", 14),
        ("state=open", 29),
        ("state=acknowledged", 0),
        ("facility=home-4", 21),
        ("state=cleared&facility=home-4", 7),
        (&format!("since={}", NOW_MS - 100_000), 8),
        (&format!("since={}&cursor={}", NOW_MS - 1_000, query::cursor(&format!("{}#tag", NOW_MS - 5_000))), 0),
        ("deviceId=tag-00", 1),
        ("deviceId=tag-00&state=open", 0),
        ("deviceId=tag-00&facility=home-4", 0),
    ] {
        for limit in [2, 200] {
            let path = format!("/v1/alerts?{filter}&limit={limit}");
            assert_eq!(walk(&context, &path, "alerts", "/id", &reader).await.len(), count, "{path}");
        }
    }
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_wrong_is_named() {
    let context = fixture().await;
    for (path, field) in [
        ("/v1/me?x=1", "x"),
        ("/v1/facilities?facility=home-3", "facility"),
        ("/v1/devices?limit=201", "limit"),
        ("/v1/devices?status=up", "status"),
        ("/v1/devices?cursor=x", "cursor"),
        ("/v1/devices/bed-17?metric=x", "metric"),
        ("/v1/devices/bed-17/history", "metric"),
        ("/v1/devices/bed-17/history?metric=none", "metric"),
        ("/v1/devices/bed-17/history?metric=mode", "metric"),
        ("/v1/devices/bed-17/history?metric=heart_rate&from=9&to=9", "from"),
        ("/v1/devices/bed-17/history?metric=heart_rate&step=0", "step"),
        ("/v1/devices/bed-17/history?metric=heart_rate&step=99999999999", "step"),
        ("/v1/alerts?state=new", "state"),
        ("/v1/alerts?since=-1", "since"),
        ("/v1/alerts?cursor=IjEyIg", "cursor"),
    ] {
        let (status, body) = get(&context, path, &token("viewer", "home-3")).await;
        assert_eq!((status, body["field"].as_str()), (400, Some(field)), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_profile_is_tried_and_its_problems_are_named() {
    let context = fixture().await;
    let send = async |body: Value| {
        let mut request = request("POST", "/v1/profiles/try", &token("viewer", "home-3"));
        request.body = Some(body.to_string());
        respond(&context, &request).await
    };
    let payload = r#"{"ts": 1795218892000, "hr": "x", "mode": "walks"}"#;
    let (status, body) = send(json!({"profileId": "vital", "payload": payload})).await;
    assert_eq!((status, body["readings"].as_array().unwrap().len()), (200, 1), "{body}");
    assert_eq!((&body["readings"][0]["value"], &body["readings"][0]["metric"]), (&json!("walks"), &json!("mode")));
    assert_eq!(
        (&body["rejected"][0]["field"], &body["rejected"][0]["reason"]),
        (&json!("heart_rate"), &json!("not-a-number"))
    );
    let document: Value = serde_json::from_str(PROFILE).unwrap();
    let topic = "dt/myaku/home-3/bed-1/vital";
    let (_, same) =
        send(json!({"profile": document, "payloadBase64": "eyJ0cyI6MSwiaHIiOjYxfQ==", "topic": topic})).await;
    assert_eq!(same["readings"][0]["value"], 61.0, "{same}");

    let mut wrong = document.clone();
    wrong["versions"] = json!([]);
    for (body, field) in [
        (json!({"profile": wrong, "payload": ""}), "versions"),
        (json!({"profileId": "none", "payload": ""}), "profileId"),
        (json!({"profile": document, "profileId": "vital", "payload": ""}), "profile"),
        (json!({"profileId": "vital"}), "payload"),
        (json!({"profileId": "vital", "payloadBase64": "*"}), "payloadBase64"),
        (json!({"profileId": "vital", "payload": "", "topic": "x/y"}), "topic"),
    ] {
        let (status, found) = send(body).await;
        assert_eq!((status, found["field"].as_str()), (400, Some(field)), "{found}");
    }
    let (_, found) = send(json!({"profile": wrong, "payload": ""})).await;
    assert_eq!(found["problems"][0]["field"], "versions", "{found}");
}
