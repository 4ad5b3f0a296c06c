//! Serves Lambda's Runtime API (2018-06-01) to one environment. It also serves the part of the Extensions API
//! (2020-01-01) with which a runtime registers for a graceful shutdown.

use super::invoke::{InvokeError, RESPONSE_BYTES_MAX};
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

/// The phase of an environment's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The process has started, and has not yet requested an invocation.
    Initialising,
    /// The process has requested an invocation at least once.
    Ready,
    /// The process reported that it cannot start.
    InitFailed(String),
    /// The process has ended, with this status.
    Exited(String),
}

/// Sends the result of an invocation to the task that waits for it.
type AnswerSender = oneshot::Sender<Result<Bytes, InvokeError>>;

/// An invocation on its way to the process.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) arn: Arc<str>,
    pub(super) deadline_ms: i64,
    pub(super) payload: Bytes,
    pub(super) answer: AnswerSender,
}

/// Connects the invoker and the process: the invocation that waits or runs, and the phase.
#[derive(Debug)]
pub(super) struct Exchange {
    inbox: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    current: Mutex<Option<(String, AnswerSender)>>,
    phase: watch::Sender<Phase>,
}

/// A runtime's report of an error. Each field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorReport {
    error_type: Option<String>,
    error_message: Option<String>,
}

impl ErrorReport {
    fn parse(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut report: Self = serde_json::from_slice(body).unwrap_or_default();
        let header = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
        report.error_type = report.error_type.or_else(|| header.map(str::to_owned));
        report
    }

    fn take_error_type(&mut self) -> String {
        self.error_type.take().unwrap_or_else(|| "Unknown".to_owned())
    }
}

impl Exchange {
    pub(super) fn new(inbox: mpsc::Receiver<Invocation>) -> Arc<Self> {
        let phase = watch::Sender::new(Phase::Initialising);
        Arc::new(Self { inbox: tokio::sync::Mutex::new(inbox), current: Mutex::default(), phase })
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn set_exited(&self, status: String) {
        self.phase.send_replace(Phase::Exited(status));
    }

    /// Serves the API until the task is aborted.
    pub(super) async fn serve(exchange: Arc<Self>, listener: TcpListener) {
        let runtime = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(response))
            .route("/invocation/{id}/error", post(error))
            .route("/init/error", post(init_error));
        let extension = Router::new()
            .route("/register", post(|| async { ([("lambda-extension-identifier", "local")], "{}") }))
            .route("/event/next", get(std::future::pending::<()>));
        let app = Router::new()
            .nest("/2018-06-01/runtime", runtime)
            .nest("/2020-01-01/extension", extension)
            .layer(DefaultBodyLimit::max(RESPONSE_BYTES_MAX))
            .with_state(exchange);
        // Fails only if the listener breaks. The environment's invocations then time out.
        let _ = axum::serve(listener, app).await;
    }

    /// Sends `result` to the task that waits for invocation `id`.
    fn answer(&self, id: &str, result: Result<Bytes, InvokeError>) -> Result<(), &'static str> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, waiting) = current.take_if(|(running, _)| running == id).ok_or("Invalid request ID")?;
        // After the deadline no task waits: the process is being killed, or has outlived its invocation.
        let _ = waiting.send(result);
        Ok(())
    }
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response<Body> {
    exchange.phase.send_if_modified(|phase| {
        let first = *phase == Phase::Initialising;
        if first {
            *phase = Phase::Ready;
        }
        first
    });
    let Some(invocation) = exchange.inbox.lock().await.recv().await else {
        return refusal(StatusCode::GONE, "the environment is shutting down");
    };
    let Invocation { id, arn, deadline_ms, payload, answer } = invocation;
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &id)
        .header("lambda-runtime-deadline-ms", deadline_ms)
        .header("lambda-runtime-invoked-function-arn", &*arn)
        .header("lambda-runtime-trace-id", trace_id(&id, deadline_ms))
        .body(Body::from(payload));
    *exchange.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, answer));
    response.unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "the invocation has an invalid header"))
}

async fn response(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let Ok(body) = body else {
        let error = InvokeError::FunctionError {
            error_type: "Function.ResponseSizeTooLarge".to_owned(),
            message: format!(
                "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            ),
        };
        let _ = exchange.answer(&id, Err(error));
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Response is too large");
    };
    accepted(exchange.answer(&id, Ok(body)))
}

async fn error(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut report = ErrorReport::parse(&headers, &body);
    let error_type = report.take_error_type();
    let message = report.error_message.unwrap_or_default();
    accepted(exchange.answer(&id, Err(InvokeError::FunctionError { error_type, message })))
}

async fn init_error(State(exchange): State<Arc<Exchange>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut report = ErrorReport::parse(&headers, &body);
    let why = format!("{}: {}", report.take_error_type(), report.error_message.unwrap_or_default());
    exchange.phase.send_replace(Phase::InitFailed(why));
    accepted(Ok(()))
}

fn accepted(result: Result<(), &'static str>) -> Response<Body> {
    match result {
        Ok(()) => json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.to_owned()),
        Err(why) => refusal(StatusCode::BAD_REQUEST, why),
    }
}

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    json(status, serde_json::json!({ "errorType": "InvalidRequest", "errorMessage": why }).to_string())
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

/// An X-Ray trace header in AWS's format. It is marked as not sampled, because this machine collects no traces.
fn trace_id(id: &str, deadline_ms: i64) -> String {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(24).collect();
    format!("Root=1-{:08x}-{digits};Parent={};Sampled=0", deadline_ms / 1_000, &digits[..16.min(digits.len())])
}
