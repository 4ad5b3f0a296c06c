//! AWS IoT's data plane over HTTP: publishing to the broker, and device shadows.
//! <https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html>

use super::Server;
use super::mqtt::{PAYLOAD_BYTES_MAX, Publisher, Refusal, ShadowName, ShadowOperation, Shadows};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use myaku::platform::clock::{Now as _, SystemClock};
use serde::Deserialize;
use serde_json::json;

/// The longest topic, in bytes.
const TOPIC_BYTES_MAX: usize = 256;
/// The most levels of a topic: seven slashes.
const SLASHES_MAX: usize = 7;

/// What requests are answered from.
#[derive(Clone)]
struct Broker {
    publisher: Publisher,
    shadows: Shadows,
}

/// Starts a server on `port` (0 for a free one).
pub async fn start(port: u16, publisher: Publisher, shadows: Shadows) -> anyhow::Result<Server> {
    let app = Router::new()
        .route("/topics/{*topic}", post(publish))
        .route("/things/{thing}/shadow", get(read).post(update).delete(delete))
        .layer(DefaultBodyLimit::max(PAYLOAD_BYTES_MAX))
        .with_state(Broker { publisher, shadows });
    Server::app(port, app).await
}

async fn publish(State(broker): State<Broker>, Path(topic): Path<String>, payload: Bytes) -> Response {
    let is_basic_ingest = topic.starts_with("$aws/rules/");
    if topic.len() > TOPIC_BYTES_MAX || topic.contains(['+', '#', '\0']) || (topic.starts_with('$') && !is_basic_ingest)
    {
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestException", "Invalid topic");
    }
    if !is_basic_ingest && topic.matches('/').count() > SLASHES_MAX {
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestException", "Topic has too many levels");
    }
    if broker.publisher.publish(topic, payload) {
        Json(json!({ "message": "OK" })).into_response()
    } else {
        refuse(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "The broker is down")
    }
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

async fn read(state: State<Broker>, thing: Path<String>, named: Query<Named>) -> Response {
    shadow(&state, thing.0, named.0, ShadowOperation::Get, &[])
}

async fn update(state: State<Broker>, thing: Path<String>, named: Query<Named>, body: Bytes) -> Response {
    shadow(&state, thing.0, named.0, ShadowOperation::Update, &body)
}

async fn delete(state: State<Broker>, thing: Path<String>, named: Query<Named>) -> Response {
    shadow(&state, thing.0, named.0, ShadowOperation::Delete, &[])
}

fn shadow(broker: &Broker, thing: String, named: Named, operation: ShadowOperation, body: &[u8]) -> Response {
    let name = ShadowName { thing, name: named.name };
    let answered = broker.shadows.request(&name, operation, body, SystemClock.now_ms() / 1_000);
    for (topic, document) in answered.messages {
        broker.publisher.publish(topic, document.to_string());
    }
    match answered.answer {
        Ok(document) => Json(document).into_response(),
        Err(Refusal { code, message }) => {
            let kind = match code {
                404 => "ResourceNotFoundException",
                409 => "ConflictException",
                413 => "RequestEntityTooLargeException",
                _ => "InvalidRequestException",
            };
            refuse(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST), kind, &message)
        }
    }
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::{AwsEndpoints, mqtt};
    use super::*;
    use aws_sdk_iotdataplane::Client;
    use aws_sdk_iotdataplane::primitives::Blob;
    use serde_json::Value;

    async fn up() -> (mqtt::Mqtt, Server, Client) {
        let mqtt = mqtt::start(0).await.unwrap();
        let server = start(0, mqtt.publisher(), mqtt.shadows()).await.unwrap();
        let endpoints = AwsEndpoints::from([("iot data plane", server.endpoint())]);
        (mqtt, server, Client::new(&endpoints.sdk_config()))
    }

    #[tokio::test]
    async fn rules_get_what_is_published_over_http() {
        let (mqtt, _server, client) = up().await;
        let mut tap = mqtt.tap().unwrap();
        client.publish().topic("cmd/myaku/home-3/bed 17/alert").qos(1).payload(Blob::new("now")).send().await.unwrap();
        let published = tap.recv().await.unwrap();
        assert_eq!(
            (published.topic.as_str(), &published.payload[..], &*published.client_id),
            ("cmd/myaku/home-3/bed 17/alert", &b"now"[..], "n/a")
        );
        for topic in ["a/+", "$aws/things/x/shadow/update", "1/2/3/4/5/6/7/8/9"] {
            let error = client.publish().topic(topic).send().await.unwrap_err().into_service_error();
            assert!(error.is_invalid_request_exception(), "{topic}: {error:?}");
        }
        mqtt.stop().await;
        let error = client.publish().topic("a").send().await.unwrap_err();
        assert_eq!(error.raw_response().map(|response| response.status().as_u16()), Some(503));
    }

    #[tokio::test]
    async fn a_shadow_is_updated_read_and_deleted_and_its_messages_are_published() {
        let (mqtt, _server, client) = up().await;
        let mut tap = mqtt.tap().unwrap();
        let update =
            |body: &str| client.update_thing_shadow().thing_name("lamp-3").payload(Blob::new(body.as_bytes())).send();
        update(r#"{"state":{"desired":{"alert":{"id":"1"}}}}"#).await.unwrap();
        for end in ["accepted", "delta", "documents"] {
            assert_eq!(tap.recv().await.unwrap().topic, format!("$aws/things/lamp-3/shadow/update/{end}"));
        }
        let conflict = update(r#"{"state":{"desired":{}},"version":9}"#).await.unwrap_err().into_service_error();
        assert!(conflict.is_conflict_exception());
        let read = client.get_thing_shadow().thing_name("lamp-3").send().await.unwrap();
        let document: Value = serde_json::from_slice(read.payload().unwrap().as_ref()).unwrap();
        assert_eq!((&document["state"]["desired"]["alert"]["id"], &document["version"]), (&json!("1"), &json!(1)));
        client.delete_thing_shadow().thing_name("lamp-3").send().await.unwrap();
        let gone = client.get_thing_shadow().thing_name("lamp-3").send().await.unwrap_err().into_service_error();
        assert!(gone.is_resource_not_found_exception());
    }
}
