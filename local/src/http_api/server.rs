//! The server of an API. A request passes its route, authorizer, throttling, function, response and log, in this order.

use super::access_log::Context;
use super::cors::Cors;
use super::definition::{BODY_BYTES_MAX, Definition, Route};
use super::request::Request;
use super::response;
use super::route::Match;
use super::throttle::Bucket;
use crate::function::InvokeError;
use crate::servers::Server;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use futures::StreamExt as _;
use myaku::platform::clock::{Now as _, SystemClock};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// A running API. It ends when dropped.
pub struct HttpApi {
    server: Server,
    routes: Vec<String>,
}

/// Serves an API on `port` (0 for a free one).
pub async fn start(port: u16, definition: Definition) -> anyhow::Result<HttpApi> {
    let now_ms = SystemClock.now_ms();
    let buckets = definition.routes.iter().map(|route| route.limits.map(|limits| Bucket::new(limits, now_ms)));
    let routes = definition.routes.iter().map(|route| route.key.to_string()).collect();
    let api = Arc::new(Api { buckets: buckets.collect(), definition });
    let app = Router::new().fallback(serve).with_state(api);
    Ok(HttpApi { server: Server::app(port, app).await?, routes })
}

impl HttpApi {
    /// The server, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The keys of the routes.
    pub fn routes(&self) -> &[String] {
        &self.routes
    }
}

struct Api {
    definition: Definition,
    /// The bucket of each route; none for a route without limits.
    buckets: Vec<Option<Bucket>>,
}

/// A response that API Gateway makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    message: &'static str,
    challenge: Option<String>,
    /// For the log: a variable, and the reason that the authorizer or the integration gave.
    reason: Option<(&'static str, String)>,
}

impl Refusal {
    fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message, challenge: None, reason: None }
    }

    fn because(self, variable: &'static str, reason: &impl ToString) -> Self {
        Self { reason: Some((variable, reason.to_string())), ..self }
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(serde_json::json!({ "message": self.message }).to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = self.challenge.as_ref().and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

const BAD_REQUEST: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "Bad Request");
const NOT_FOUND: (StatusCode, &str) = (StatusCode::NOT_FOUND, "Not Found");
const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
const TOO_MANY: (StatusCode, &str) = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
const UNAVAILABLE: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
const INTERNAL: (StatusCode, &str) = (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");

fn refusal((status, message): (StatusCode, &'static str)) -> Refusal {
    Refusal::new(status, message)
}

async fn serve(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let protocol = if head.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let request = Request {
        id: STANDARD.encode(&uuid::Uuid::new_v4().as_bytes()[..11]),
        api_id: api.definition.id.clone(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        protocol: protocol.to_owned(),
        headers: head.headers,
        source_ip: peer.ip().to_string(),
        at_ms: SystemClock.now_ms(),
    };
    let origin = request.header("origin");
    let (route, mut response, refused) = match &api.definition.cors {
        Some(_) if Cors::is_preflight(&head.method, &request.headers) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            (None, response, None)
        }
        _ => match api.find_route(&request) {
            None => (None, refusal(NOT_FOUND).response(), Some(refusal(NOT_FOUND))),
            Some((index, found)) => match api.run(index, &found, &request, body).await {
                Ok(response) => (Some(index), response, None),
                Err(refusal) => (Some(index), refusal.response(), Some(refusal)),
            },
        },
    };
    if let Some(cors) = &api.definition.cors {
        let headers = cors.headers(origin.as_deref(), Cors::is_preflight(&head.method, &request.headers));
        replace_cors(response.headers_mut(), headers);
    }
    if let Ok(id) = HeaderValue::try_from(&request.id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    api.log(&request, route, &response, refused.as_ref());
    response
}

/// "API Gateway ignores CORS headers returned from your backend integration."
fn replace_cors(headers: &mut HeaderMap, cors: HeaderMap) {
    let from_function: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in from_function {
        headers.remove(name);
    }
    headers.extend(cors);
}

impl Api {
    /// The most specific route that accepts a request, by its index.
    fn find_route(&self, request: &Request) -> Option<(usize, Match)> {
        let routes = self.definition.routes.iter().enumerate();
        let matches =
            routes.filter_map(|(index, route)| Some((index, route.key.matches(&request.method, &request.path)?)));
        matches.max_by(|(_, one), (_, other)| one.rank.cmp(&other.rank))
    }

    async fn run(&self, index: usize, found: &Match, request: &Request, body: Body) -> Result<Response<Body>, Refusal> {
        let route = &self.definition.routes[index];
        let authorizer = authorize(route, request)?;
        if self.buckets[index].as_ref().is_some_and(|bucket| !bucket.take(request.at_ms)) {
            return Err(refusal(TOO_MANY));
        }
        let body = read(body).await?;
        let event = request.event(&route.key.to_string(), &found.parameters, authorizer.as_ref(), &body);
        let invoked = route.function.invoke(Bytes::from(event.to_string()));
        let Ok(answer) = tokio::time::timeout(route.timeout, invoked).await else {
            return Err(refusal(UNAVAILABLE).because("integrationErrorMessage", &"Endpoint request timed out"));
        };
        let answer = answer.map_err(|error| {
            let answer = match &error {
                InvokeError::PayloadTooLarge { .. } => TOO_LARGE,
                InvokeError::Throttled | InvokeError::Stopped => UNAVAILABLE,
                _ => INTERNAL,
            };
            refusal(answer).because("integrationErrorMessage", &error)
        })?;
        response::response(&answer).map_err(|error| refusal(INTERNAL).because("integrationErrorMessage", &error))
    }

    fn log(&self, request: &Request, route: Option<usize>, response: &Response<Body>, refused: Option<&Refusal>) {
        let Some(log) = &self.definition.access_log else { return };
        let bytes = axum::body::HttpBody::size_hint(response.body()).exact().unwrap_or_default();
        let route = route.map(|index| self.definition.routes[index].key.to_string());
        let mut context = Context::from([
            ("accountId".to_owned(), crate::account::ACCOUNT.to_owned()),
            ("apiId".to_owned(), request.api_id.clone()),
            ("domainName".to_owned(), request.header("host").unwrap_or_default()),
            ("httpMethod".to_owned(), request.method.clone()),
            ("identity.sourceIp".to_owned(), request.source_ip.clone()),
            ("path".to_owned(), request.path.clone()),
            ("protocol".to_owned(), request.protocol.clone()),
            ("requestId".to_owned(), request.id.clone()),
            ("requestTime".to_owned(), request.time()),
            ("requestTimeEpoch".to_owned(), request.at_ms.to_string()),
            ("responseLatency".to_owned(), (SystemClock.now_ms() - request.at_ms).to_string()),
            ("responseLength".to_owned(), bytes.to_string()),
            ("stage".to_owned(), "$default".to_owned()),
            ("status".to_owned(), response.status().as_u16().to_string()),
        ]);
        context.extend(route.map(|route| ("routeKey".to_owned(), route)));
        context.extend(request.header("user-agent").map(|agent| ("identity.userAgent".to_owned(), agent)));
        if let Some(Refusal { message, reason, .. }) = refused {
            context.insert("error.message".to_owned(), (*message).to_owned());
            context.insert("error.messageString".to_owned(), format!("\"{message}\""));
            context.extend(reason.as_ref().map(|(variable, reason)| ((*variable).to_owned(), reason.clone())));
        }
        log.write(&context);
    }
}

/// Reads a body, up to its limit.
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        // It is not what its headers say, such as chunks without a size.
        let chunk = chunk.map_err(|_| refusal(BAD_REQUEST))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(refusal(TOO_LARGE));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Authorizes the caller, and returns what the function gets about them; none for an open route.
fn authorize(route: &Route, request: &Request) -> Result<Option<Value>, Refusal> {
    let Some(authorizer) = &route.authorizer else { return Ok(None) };
    let token = request.header("authorization");
    authorizer.authorize(token.as_deref(), request.at_ms / 1_000).map(Some).map_err(|denied| {
        let answer = if denied.is_forbidden() {
            Refusal::new(StatusCode::FORBIDDEN, "Forbidden")
        } else {
            Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized")
        };
        Refusal { challenge: Some(denied.challenge()), ..answer.because("authorizer.error", &denied) }
    })
}
