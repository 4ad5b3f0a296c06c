//! A stream that refuses its writers for a while, beside others that take records: what a partition of the service looks
//! like, or a key that somebody took away.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a stream refuses its writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It fails, which is worth trying again.
    Fails,
    /// Of each call every other record is throttled, and every other call is denied altogether: who is throttled tries
    /// again at once, and who is denied gives up, with part of the records in the stream.
    Denies,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Failed,
    Denied,
    Halved,
}

/// The streams whose writers are refused, and how many calls were since.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<BTreeMap<String, (Refusal, u64)>>>);

/// What a put says of its stream.
#[derive(Deserialize)]
struct Put {
    #[serde(rename = "StreamName")]
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Outage {
    pub(super) fn begin(&self, stream: &str, refusal: Refusal) {
        self.refused().insert(stream.to_owned(), (refusal, 0));
    }

    pub(super) fn end(&self, stream: &str) {
        self.refused().remove(stream);
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, (Refusal, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a call with this body; `None`: it is served.
    fn judge(&self, body: &[u8]) -> Option<Verdict> {
        let Put { stream_name, stream_arn } = serde_json::from_slice(body).ok()?;
        let of_arn = stream_arn.as_deref().and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
        let mut refused = self.refused();
        let (refusal, calls) = refused.get_mut(stream_name.as_deref().or(of_arn)?)?;
        *calls += 1;
        Some(match refusal {
            Refusal::Fails => Verdict::Failed,
            Refusal::Denies if calls.is_multiple_of(2) => Verdict::Denied,
            Refusal::Denies => Verdict::Halved,
        })
    }
}

/// The app, whose writers are refused for as long as their stream is out.
pub(super) fn with(outage: Outage, app: Router) -> Router {
    app.layer(from_fn_with_state(outage, refuse))
}

async fn refuse(State(outage): State<Outage>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if outage.refused().is_empty() || !target.contains(".PutRecord") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, super::REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match outage.judge(&body) {
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
        Some(Verdict::Failed) => answer(StatusCode::INTERNAL_SERVER_ERROR, &error("InternalFailure")),
        Some(Verdict::Denied) => answer(StatusCode::BAD_REQUEST, &error("AccessDeniedException")),
        Some(Verdict::Halved) => halved(parts, body, next).await,
    }
}

/// Has every other record of a call taken, the first among them.
async fn halved(mut parts: Parts, body: Bytes, next: Next) -> Response {
    let mut call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(records) = call["Records"].as_array_mut() else {
        // One record alone.
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    };
    let all = records.len();
    let mut index = 0..;
    records.retain(|_| index.next().is_some_and(|index: usize| index.is_multiple_of(2)));
    let fewer = call.to_string();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(fewer.len()));
    let taken = next.run(Request::from_parts(parts, Body::from(fewer))).await;
    if taken.status() != StatusCode::OK {
        return taken;
    }
    let taken = to_bytes(taken.into_body(), super::REQUEST_BYTES_MAX).await.unwrap_or_default();
    let mut taken: Value = serde_json::from_slice(&taken).unwrap_or_default();
    let mut outcomes = taken["Records"].as_array_mut().map(std::mem::take).unwrap_or_default().into_iter();
    let throttled = json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": OUT });
    let outcomes = (0..all)
        .map(|index| if index.is_multiple_of(2) { outcomes.next() } else { None }.unwrap_or_else(|| throttled.clone()));
    let outcomes: Vec<Value> = outcomes.collect();
    taken["FailedRecordCount"] = json!(outcomes.iter().filter(|outcome| !outcome["ErrorCode"].is_null()).count());
    taken["Records"] = Value::Array(outcomes);
    answer(StatusCode::OK, &taken)
}

const OUT: &str = "The stream is out.";

fn error(kind: &str) -> Value {
    json!({ "__type": kind, "message": OUT })
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}
