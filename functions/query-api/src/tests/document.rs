//! The description of the API is true.

use super::*;

/// The names of the properties of a schema.
fn names(document: &Value, schema: &str) -> BTreeSet<String> {
    document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn answers_have_exactly_the_fields_that_the_description_lists() {
    let context = fixture().await;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let viewer = token("viewer", "home-3");
    assert_eq!(keys(&body(&context, "/v1/me", &viewer).await), names(&document, "Me"));
    let facilities = body(&context, "/v1/facilities", &viewer).await;
    assert_eq!(keys(&facilities), names(&document, "Facilities"));
    assert_eq!(keys(&facilities["facilities"][0]), names(&document, "Facility"));
    assert_eq!(keys(&body(&context, "/v1/devices", &viewer).await), names(&document, "Devices"));
    let device = body(&context, "/v1/devices/bed-17", &viewer).await;
    assert_eq!(keys(&device), names(&document, "Device"));
    assert_eq!(keys(&device["status"]), names(&document, "Status"));
    assert_eq!(keys(&device["metrics"][0]), names(&document, "Metric"));
    assert_eq!(keys(&device["metrics"][0]["average"]), names(&document, "Average"));
    assert_eq!(keys(&device["alerts"][0]), names(&document, "Alert"));
    assert_eq!(keys(&body(&context, "/v1/alerts", &viewer).await), names(&document, "Alerts"));
    let history = body(&context, "/v1/devices/bed-17/history?metric=heart_rate", &viewer).await;
    assert_eq!(keys(&history), names(&document, "History"));
}

#[test]
fn the_description_has_exactly_the_routes_and_statuses_of_the_code() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let problems = [
        Status::BadRequest,
        Status::Unauthorized,
        Status::Forbidden,
        Status::NotFound,
        Status::InternalServerError,
        Status::ServiceUnavailable,
    ];
    let mut described = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let route = Route::of(&method.to_uppercase(), &path.replace("{id}", "x"));
            assert!(route.is_some(), "{method} {path}");
            described += 1;
            let mut statuses = BTreeSet::from([(Status::Ok as u16).to_string()]);
            if method == "get" {
                statuses.insert((Status::NotModified as u16).to_string());
            }
            if route != Some(Route::Document) {
                statuses.extend(problems.map(|status| (status as u16).to_string()));
            }
            assert_eq!(keys(&operation["responses"]), statuses, "{method} {path}");
        }
    }
    // All but the page and its files.
    assert_eq!(described, 9);
}

#[tokio::test]
async fn the_sample_request_is_answered() {
    let request: Request = serde_json::from_str(include_str!("../../../../events/http-query.json")).unwrap();
    let (status, body) = respond(&fixture().await, &request).await;
    assert_eq!((status, body["deviceId"].as_str()), (200, Some("bed-17")));
}
