//! A stream that takes no records for a while, beside others that do: what a partition of the service looks like.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The streams whose writers are refused.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<RwLock<BTreeSet<String>>>);

/// What a put says of its stream.
#[derive(Deserialize)]
struct Put {
    #[serde(rename = "StreamName")]
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Outage {
    pub(super) fn begin(&self, stream: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned());
    }

    pub(super) fn end(&self, stream: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }

    fn is_quiet(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn refuses(&self, body: &[u8]) -> bool {
        let Ok(Put { stream_name, stream_arn }) = serde_json::from_slice(body) else { return false };
        let of_arn = stream_arn.as_deref().and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
        let refused = self.0.read().unwrap_or_else(PoisonError::into_inner);
        stream_name.as_deref().or(of_arn).is_some_and(|stream| refused.contains(stream))
    }
}

/// The app, whose writers get an internal failure for as long as their stream is out.
pub(super) fn with(outage: Outage, app: Router) -> Router {
    app.layer(from_fn_with_state(outage, refuse))
}

async fn refuse(State(outage): State<Outage>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if outage.is_quiet() || !target.contains(".PutRecord") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, super::REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if outage.refuses(&body) {
        let json = r#"{"__type":"InternalFailure","message":"The stream is out."}"#;
        return (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "application/x-amz-json-1.1")], json)
            .into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}
