//! What the layers in front of the Kinesis server read of a request.

use axum::extract::Request;
use serde_json::Value;

/// The largest request: PutRecords takes 10 MiB, which base64 and JSON make a third longer.
pub(super) const REQUEST_BYTES_MAX: usize = 16 << 20;
/// More than any request or answer: `GetRecords` returns 10 MiB of records, as base64 in JSON.
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;

/// The operation of a request: `PutRecords`. Empty if the request names none.
pub(super) fn operation(request: &Request) -> &str {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

/// The stream's name, which a request may give as an ARN. Empty if the request names no stream.
pub(super) fn stream_name(request: &Value) -> &str {
    let from_arn = request["StreamARN"].as_str().and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
    request["StreamName"].as_str().or(from_arn).unwrap_or_default()
}
