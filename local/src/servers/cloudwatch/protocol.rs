//! Requests and answers over HTTP: the operation that a request names, and the answer.

use super::monitoring::Monitoring;
use super::refusal::Refusal;
use super::wire::{
    Alarm, Alarms, DeleteAlarms, DescribeAlarms, EmptyAnswer, Format, GetMetricData, ListMetrics, Metric, Metrics,
    PutMetricData, SetAlarmState, milliseconds,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ciborium::Value;
use flate2::read::GzDecoder;
use serde::Serialize;
use std::io::Read as _;
use std::sync::Arc;

/// The largest request: "each `PutMetricData` request is limited to 1 MB in size", before compression.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The service's name in paths and targets.
const SERVICE: &str = "GraniteServiceVersion20100801";

pub(super) fn app(monitoring: Arc<Monitoring>) -> Router {
    Router::new().fallback(serve).with_state(monitoring)
}

async fn serve(State(monitoring): State<Arc<Monitoring>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some((operation, format)) = operation(parts.uri.path(), &parts.headers) else {
        let problem = "this CloudWatch server speaks Smithy RPC v2 CBOR and AWS JSON only";
        return (StatusCode::NOT_FOUND, problem).into_response();
    };
    let answer = match content(&parts.headers, body).await {
        Ok(body) => perform(&monitoring, &operation, format, &body),
        Err(refusal) => Err(refusal),
    };
    let (status, document) = match answer {
        Ok(document) => (StatusCode::OK, Ok(document)),
        Err(refusal) => {
            let status = if refusal.is_not_found() { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
            (status, Value::serialized(&Fault::of(&refusal)))
        }
    };
    let body = document.map_err(|error| error.to_string()).and_then(|document| format.write(&document));
    let Ok(body) = body else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = (status, body).into_response();
    let kind = if format == Format::Cbor { "application/cbor" } else { "application/x-amz-json-1.0" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if format == Format::Cbor {
        response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    }
    response
}

#[derive(Serialize)]
struct Fault<'a> {
    #[serde(rename = "__type")]
    kind: String,
    message: &'a str,
}

impl<'a> Fault<'a> {
    fn of(refusal: &'a Refusal) -> Self {
        Self { kind: format!("com.amazonaws.cloudwatch#{}", refusal.code), message: &refusal.message }
    }
}

/// The operation, and the format of the request.
fn operation(path: &str, headers: &HeaderMap) -> Option<(String, Format)> {
    if let Some(name) = path.strip_prefix(&format!("/service/{SERVICE}/operation/")) {
        return Some((name.to_owned(), Format::Cbor));
    }
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    Some((target.strip_prefix(SERVICE)?.strip_prefix('.')?.to_owned(), Format::Json))
}

/// The body of a request, decompressed.
async fn content(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let too_large = || Refusal::invalid(format!("the request is over {BODY_BYTES_MAX} bytes"));
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| too_large())?;
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body.into());
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(&body[..]).take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| Refusal::invalid(format!("the request is not valid gzip: {error}")))?;
    if plain.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(plain) }
}

fn perform(monitoring: &Monitoring, operation: &str, format: Format, body: &[u8]) -> Result<Value, Refusal> {
    match operation {
        "PutMetricData" => {
            let PutMetricData { namespace, metric_data } = read(format, body)?;
            if namespace.starts_with("AWS/") {
                return Err(Refusal::invalid("a custom namespace must not begin with AWS/"));
            }
            for datum in metric_data {
                let (metric, at_ms, statistics) = datum
                    .parts(&namespace)
                    .ok_or_else(|| Refusal::invalid("MetricData has a datum without a value"))?;
                monitoring.put(metric, at_ms, statistics);
            }
            to_document(&EmptyAnswer {})
        }
        "GetMetricData" => {
            let GetMetricData { metric_data_queries, start_time, end_time, scan_by } = read(format, body)?;
            let range = (milliseconds(start_time), milliseconds(end_time));
            to_document(&monitoring.query(
                &metric_data_queries,
                range,
                scan_by.as_deref() == Some("TimestampAscending"),
            )?)
        }
        "ListMetrics" => {
            let wanted: ListMetrics = read(format, body)?;
            let metrics = monitoring.metrics(|id| {
                wanted.namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace)
                    && wanted.metric_name.as_ref().is_none_or(|name| *name == id.name)
                    && wanted.dimensions.iter().all(|filter| {
                        let value = id.dimensions.get(&filter.name);
                        value.is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
                    })
            });
            to_document(&Metrics { metrics: metrics.iter().map(Metric::of).collect() })
        }
        "PutMetricAlarm" => {
            monitoring.put_alarm(read::<Alarm>(format, body)?)?;
            to_document(&EmptyAnswer {})
        }
        "DescribeAlarms" => {
            let DescribeAlarms { alarm_names, alarm_name_prefix, state_value } = read(format, body)?;
            let metric_alarms = monitoring.describe(|name, state| {
                (alarm_names.is_empty() || alarm_names.iter().any(|wanted| wanted == name))
                    && alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
                    && state_value.as_ref().is_none_or(|wanted| wanted == state)
            });
            to_document(&Alarms { metric_alarms, composite_alarms: Vec::new() })
        }
        "DeleteAlarms" => {
            monitoring.delete_alarms(&read::<DeleteAlarms>(format, body)?.alarm_names);
            to_document(&EmptyAnswer {})
        }
        "SetAlarmState" => {
            let SetAlarmState { alarm_name, state_value, state_reason } = read(format, body)?;
            monitoring.set_state(&alarm_name, &state_value, &state_reason)?;
            to_document(&EmptyAnswer {})
        }
        other => Err(Refusal {
            code: "UnknownOperationException",
            message: format!("the operation {other} does not run on this machine"),
        }),
    }
}

fn read<T: for<'de> serde::Deserialize<'de>>(format: Format, body: &[u8]) -> Result<T, Refusal> {
    format.read(body).map_err(Refusal::invalid)
}

fn to_document(answer: &impl Serialize) -> Result<Value, Refusal> {
    Value::serialized(answer).map_err(|error| Refusal { code: "InternalServiceFault", message: error.to_string() })
}
