//! An outage of one stream: it refuses its writers while other streams accept records.
//!
//! A partial failure of the service looks like this, and so does a permission that was removed.

use super::request::{REQUEST_BYTES_MAX, operation, stream_name};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a stream refuses its writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Every call fails with an error that is worth a retry.
    Fails,
    /// Every second call is denied as a whole, and of the other calls every second record is throttled. A writer that
    /// is throttled tries again at once, is denied, and gives up, with part of its records in the stream.
    Denies,
}

/// How one call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Failed,
    Denied,
    /// Every second record is throttled.
    Halved,
}

/// The streams that refuse their writers, and how many calls each has refused.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<BTreeMap<String, (Refusal, u64)>>>);

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

    /// How a call with this body is refused; none if it is not.
    fn judge(&self, body: &[u8]) -> Option<Verdict> {
        let request: Value = serde_json::from_slice(body).ok()?;
        let mut refused = self.refused();
        let (refusal, calls) = refused.get_mut(stream_name(&request))?;
        *calls += 1;
        Some(match refusal {
            Refusal::Fails => Verdict::Failed,
            Refusal::Denies if calls.is_multiple_of(2) => Verdict::Denied,
            Refusal::Denies => Verdict::Halved,
        })
    }
}

/// The app, which refuses the writers of streams with an outage.
pub(super) fn with_outage(app: Router, outage: Outage) -> Router {
    app.layer(from_fn_with_state(outage, refuse))
}

async fn refuse(State(outage): State<Outage>, request: Request, next: Next) -> Response {
    if outage.refused().is_empty() || !operation(&request).starts_with("PutRecord") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match outage.judge(&body) {
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
        Some(Verdict::Failed) => answer(StatusCode::INTERNAL_SERVER_ERROR, &error("InternalFailure")),
        Some(Verdict::Denied) => answer(StatusCode::BAD_REQUEST, &error("AccessDeniedException")),
        Some(Verdict::Halved) => halve(parts, body, next).await,
    }
}

/// Puts every second record of a call, beginning with the first, and answers that the others are throttled.
async fn halve(mut parts: Parts, body: Bytes, next: Next) -> Response {
    let mut call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(records) = call["Records"].as_array_mut() else {
        // PutRecord: there is only one record.
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    };
    let all = records.len();
    let mut index = 0..;
    records.retain(|_| index.next().is_some_and(|index: usize| index.is_multiple_of(2)));
    let half = call.to_string();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(half.len()));
    let response = next.run(Request::from_parts(parts, Body::from(half))).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let body = to_bytes(response.into_body(), REQUEST_BYTES_MAX).await.unwrap_or_default();
    let mut combined: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut results = combined["Records"].as_array_mut().map(std::mem::take).unwrap_or_default().into_iter();
    let throttled = json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": MESSAGE });
    let results = (0..all)
        .map(|index| if index.is_multiple_of(2) { results.next() } else { None }.unwrap_or_else(|| throttled.clone()));
    let results: Vec<Value> = results.collect();
    combined["FailedRecordCount"] = json!(results.iter().filter(|result| !result["ErrorCode"].is_null()).count());
    combined["Records"] = Value::Array(results);
    answer(StatusCode::OK, &combined)
}

const MESSAGE: &str = "This stream has an outage.";

fn error(kind: &str) -> Value {
    json!({ "__type": kind, "message": MESSAGE })
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}
