//! Builds the invocation record of a discarded asynchronous invocation.

use super::event::Event;
use crate::function::invoke::InvokeError;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};
use uuid::Uuid;

/// Why an event was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The function failed, also on every retry.
    RetriesExhausted,
    /// The event waited longer than `MaximumEventAgeInSeconds`.
    EventAgeExceeded,
}

/// A discarded invocation, as its destination receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedInvocation {
    /// The function's name.
    pub function_name: String,
    /// The key of its object in a bucket: `aws/lambda/async/<function>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`.
    pub key: String,
    /// The invocation record as JSON: the request's context, the event, and the function's last response.
    pub body: String,
}

impl FailedInvocation {
    pub(super) fn new(
        event: &Event,
        condition: Condition,
        invocations: u32,
        last_error: Option<&InvokeError>,
        now_ms: i64,
        id: Uuid,
    ) -> Self {
        let function_name = event.function_name().to_owned();
        let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(TimeZone::UTC);
        let key = format!("aws/lambda/async/{function_name}/{}-{id}", now.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S"));
        let body = body(event, condition, invocations, last_error, &now).to_string();
        Self { function_name, key, body }
    }
}

fn body(event: &Event, condition: Condition, invocations: u32, last_error: Option<&InvokeError>, now: &Zoned) -> Value {
    let payload = serde_json::from_slice(&event.payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&event.payload).into_owned()));
    let mut record = json!({
        "version": "1.0",
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "requestContext": {
            "requestId": event.id.to_string(),
            "functionArn": format!("{}:$LATEST", event.function_arn),
            "condition": format!("{condition:?}"),
            "approximateInvokeCount": invocations,
        },
        "requestPayload": payload,
    });
    if let Some(response) = last_error.and_then(|error| response(error, event.id)) {
        record["responseContext"] =
            json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" });
        record["responsePayload"] = response;
    }
    record
}

/// The error response of the function or its environment; `None` if the event did not reach the function.
fn response(error: &InvokeError, id: Uuid) -> Option<Value> {
    let (kind, message) = match error {
        InvokeError::FunctionError { error_type, message } => (error_type.as_str(), message.clone()),
        InvokeError::TimedOut => ("Sandbox.Timedout", format!("RequestId: {id} Error: Task timed out")),
        InvokeError::Crashed(why) | InvokeError::InitFailed(why) => {
            ("Runtime.ExitError", format!("RequestId: {id} Error: Runtime exited with error: {why}"))
        }
        InvokeError::Throttled | InvokeError::PayloadTooLarge { .. } | InvokeError::Stopped => return None,
    };
    Some(json!({ "errorType": kind, "errorMessage": message }))
}
