//! The event of a request, and the answers that API Gateway makes itself. The function is a process that obeys the
//! body.

use super::request::Request;
use super::{AccessLog, Authorizer, BODY_BYTES_MAX, Cors, Definition, Limits, Route, RouteKey, start};
use crate::function::tests::{Fixture, function};
use crate::servers::issuer::Key;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn request(headers: &[(&'static str, &'static str)]) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    Request {
        id: "JKJaXmPLvHcESHA=".to_owned(),
        api_id: "api-id".to_owned(),
        method: "POST".to_owned(),
        path: "/my/path".to_owned(),
        query: "parameter1=value1&parameter1=value2&parameter2=a%20b".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        headers: map,
        source_ip: "127.0.0.1".to_owned(),
        at_ms: 1_583_348_638_390,
    }
}

/// The documentation's example, with its values where possible.
#[test]
fn a_function_gets_the_documented_event() {
    let headers = [("Header1", "value1"), ("Header2", "value1"), ("Header2", "value2"), ("Cookie", "cookie1; cookie2")];
    let mut request = request(&headers);
    request.headers.insert("host", "id.execute-api.us-east-1.amazonaws.com".parse().unwrap());
    request.headers.insert("user-agent", "agent".parse().unwrap());
    request.headers.insert("content-type", "application/json".parse().unwrap());
    let parameters = BTreeMap::from([("id".to_owned(), "path".to_owned())]);
    let authorizer = json!({ "jwt": { "claims": { "claim1": "value1" }, "scopes": ["scope1"] } });
    let event = request.event("POST /my/{id}", &parameters, Some(&authorizer), br#"{"a":1}"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap(), @r#"
    {
      "body": "{\"a\":1}",
      "cookies": [
        "cookie1",
        "cookie2"
      ],
      "headers": {
        "content-type": "application/json",
        "header1": "value1",
        "header2": "value1,value2",
        "host": "id.execute-api.us-east-1.amazonaws.com",
        "user-agent": "agent",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": "80",
        "x-forwarded-proto": "http"
      },
      "isBase64Encoded": false,
      "pathParameters": {
        "id": "path"
      },
      "queryStringParameters": {
        "parameter1": "value1,value2",
        "parameter2": "a b"
      },
      "rawPath": "/my/path",
      "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b",
      "requestContext": {
        "accountId": "000000000000",
        "apiId": "api-id",
        "authorizer": {
          "jwt": {
            "claims": {
              "claim1": "value1"
            },
            "scopes": [
              "scope1"
            ]
          }
        },
        "domainName": "id.execute-api.us-east-1.amazonaws.com",
        "domainPrefix": "api-id",
        "http": {
          "method": "POST",
          "path": "/my/path",
          "protocol": "HTTP/1.1",
          "sourceIp": "127.0.0.1",
          "userAgent": "agent"
        },
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": "POST /my/{id}",
        "stage": "$default",
        "time": "04/Mar/2020:19:03:58 +0000",
        "timeEpoch": 1583348638390
      },
      "routeKey": "POST /my/{id}",
      "version": "2.0"
    }
    "#);
    let parsed: aws_lambda_events::event::apigw::ApiGatewayV2httpRequest = serde_json::from_value(event).unwrap();
    assert_eq!(parsed.body.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(parsed.request_context.authorizer.unwrap().jwt.unwrap().claims["claim1"], "value1");
}

#[test]
fn bodies_are_base64_or_text_by_their_type_alone_which_destroys_gzip_in_text() {
    let event = |headers: &[(&'static str, &'static str)], body: &[u8]| -> (Value, Value) {
        let event = request(headers).event("$default", &BTreeMap::new(), None, body);
        (event["isBase64Encoded"].clone(), event["body"].clone())
    };
    let (yes, no) = (Value::Bool(true), Value::Bool(false));
    assert_eq!(event(&[("content-type", "text/plain; charset=utf-8")], b"x"), (no.clone(), "x".into()));
    assert_eq!(event(&[("content-type", "application/problem+json")], b"{}"), (no.clone(), "{}".into()));
    assert_eq!(event(&[("content-type", "application/x-ndjson")], b"x"), (yes.clone(), "eA==".into()));
    let gzip = ("content-encoding", "gzip");
    let begins = [0x1f, 0x8b, 8];
    assert_eq!(
        event(&[("content-type", "application/json"), gzip], &begins),
        (no.clone(), "\u{1f}\u{fffd}\u{8}".into())
    );
    assert_eq!(event(&[("content-type", "application/x-ndjson"), gzip], &begins), (yes, "H4sI".into()));
    assert_eq!(event(&[], b""), (no, Value::Null));
}

fn route(key: &str, fixture: &Fixture) -> Route {
    Route {
        key: RouteKey::parse(key).unwrap(),
        function: fixture.function.clone(),
        authorizer: None,
        limits: None,
        timeout: Duration::from_secs(30),
    }
}

fn api(routes: Vec<Route>) -> Definition {
    Definition { id: "api".to_owned(), routes, cors: None, access_log: None }
}

/// The status, the body, and one header.
async fn answer(request: reqwest::RequestBuilder, header: &str) -> (u16, String, Option<String>) {
    let response = request.send().await.unwrap();
    let header = response.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), response.text().await.unwrap(), header)
}

fn refused(status: u16, message: &str, header: Option<&str>) -> (u16, String, Option<String>) {
    (status, format!(r#"{{"message":"{message}"}}"#), header.map(str::to_owned))
}

#[tokio::test]
async fn a_request_gets_the_answer_of_its_function() {
    let fixture = function(|_| ());
    let api = start(0, api(vec![route("POST /things/{id}", &fixture)])).await.unwrap();
    let url = |path: &str| format!("{}{path}", api.server().endpoint());
    let http = reqwest::Client::new();
    let post =
        |body: Value| http.post(url("/things/7?a=1")).header("content-type", "application/json").body(body.to_string());
    let (status, event, kind) = answer(post(json!({ "do": "echo" })), "content-type").await;
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((status, kind.as_deref(), &event["pathParameters"]["id"]), (200, Some("application/json"), &json!("7")));
    assert_eq!(event["requestContext"]["http"]["sourceIp"], "127.0.0.1");
    let structured = json!({ "do": "answer", "answer": { "statusCode": 207, "cookies": ["a=1"], "body": "some" } });
    assert_eq!(answer(post(structured), "set-cookie").await, (207, "some".to_owned(), Some("a=1".to_owned())));
    assert_eq!(answer(http.get(url("/things/7")), "none").await, refused(404, "Not Found", None));
    assert!(answer(http.get(url("/")), "apigw-requestid").await.2.is_some());
}

#[tokio::test]
async fn errors_are_answered_as_api_gateway_answers_them() {
    let fixture = function(|_| ());
    let slow = Route { timeout: Duration::from_millis(200), ..route("POST /slow", &fixture) };
    let api = start(0, api(vec![route("POST /", &fixture), slow])).await.unwrap();
    let http = reqwest::Client::new();
    let post = async |path: &str, body: Vec<u8>| {
        let request = http.post(format!("{}{path}", api.server().endpoint()));
        answer(request.header("content-type", "application/json").body(body), "none").await
    };
    let command = |what: Value| what.to_string().into_bytes();
    let internal = refused(500, "Internal Server Error", None);
    assert_eq!(post("/", command(json!({ "do": "fail" }))).await, internal);
    assert_eq!(post("/", command(json!({ "do": "answer", "answer": { "statusCode": "x" } }))).await, internal);
    assert_eq!(post("/slow", command(json!({ "do": "hang" }))).await, refused(503, "Service Unavailable", None));
    let large = refused(413, "Request Entity Too Large", None);
    assert_eq!(post("/", vec![b' '; BODY_BYTES_MAX + 1]).await, large);
    // A size that is not a number.
    let mut broken =
        tokio::net::TcpStream::connect(api.server().endpoint().trim_start_matches("http://")).await.unwrap();
    broken.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n").await.unwrap();
    let mut status = [0; 12];
    broken.read_exact(&mut status).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 400");
    // This is within API Gateway's limit, and beyond Lambda's.
    assert_eq!(post("/", vec![b' '; 7 << 20]).await, large);
}

#[tokio::test]
async fn a_route_accepts_its_burst_and_refuses_further_requests() {
    let fixture = function(|_| ());
    let limits = Some(Limits { rate: 0.001, burst: 2.0 });
    let (narrow, wide) = (Route { limits, ..route("GET /narrow", &fixture) }, route("GET /wide", &fixture));
    let api = start(0, api(vec![narrow, wide])).await.unwrap();
    let http = reqwest::Client::new();
    let status = async |path: &str| {
        let request = http.get(format!("{}{path}", api.server().endpoint()));
        answer(request, "none").await.0
    };
    assert_eq!([status("/narrow").await, status("/narrow").await, status("/narrow").await], [200, 200, 429]);
    assert_eq!(status("/wide").await, 200);
}

#[tokio::test]
async fn a_closed_route_requires_a_token_and_the_log_says_why_a_request_was_refused() {
    let fixture = function(|_| ());
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let key = Arc::new(Key::new().unwrap());
    let authorizer = Authorizer {
        key: Arc::clone(&key),
        issuer: "http://issuer".to_owned(),
        audience: vec!["myaku".to_owned()],
        scopes: Vec::new(),
    };
    let format = "$context.routeKey $context.status $context.error.message $context.authorizer.error";
    let definition = Definition {
        access_log: Some(AccessLog::open(&log, format).unwrap()),
        ..api(vec![Route { authorizer: Some(authorizer), ..route("POST /", &fixture) }])
    };
    let api = start(0, definition).await.unwrap();
    let http = reqwest::Client::new();
    let post = || http.post(api.server().endpoint()).body(r#"{"do":"echo"}"#);
    let token = |audience: &str| {
        let claims = json!({ "iss": "http://issuer", "aud": audience, "exp": 4_000_000_000_i64, "sub": "bed-17" });
        key.sign(claims.as_object().unwrap()).unwrap()
    };
    let challenge = "www-authenticate";
    assert_eq!(answer(post(), challenge).await, refused(401, "Unauthorized", Some("Bearer")));
    let why = r#"Bearer scope="" error="invalid_token" error_description="the token does not have a valid audience""#;
    assert_eq!(answer(post().bearer_auth(token("other")), challenge).await, refused(401, "Unauthorized", Some(why)));
    let (status, event, _) = answer(post().bearer_auth(token("myaku")), challenge).await;
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((status, &event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]), (200, &json!("bed-17")));
    let lines = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "POST / 401 Unauthorized Unauthorized",
            "POST / 401 Unauthorized the token does not have a valid audience",
            "POST / 200 - -",
        ]
    );
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_the_api() {
    let fixture = function(|_| ());
    let cors =
        Cors { origins: vec!["https://a.example".to_owned()], methods: vec!["POST".to_owned()], ..Cors::default() };
    let api = start(0, Definition { cors: Some(cors), ..api(vec![route("POST /", &fixture)]) }).await.unwrap();
    let http = reqwest::Client::new();
    let preflight =
        http.request(reqwest::Method::OPTIONS, api.server().endpoint()).header("origin", "https://a.example");
    let preflight = preflight.header("access-control-request-method", "POST");
    let (status, _, methods) = answer(preflight, "access-control-allow-methods").await;
    assert_eq!((status, methods.as_deref()), (204, Some("POST")));
    let from_function =
        json!({ "do": "answer", "answer": { "statusCode": 200, "headers": { "access-control-allow-origin": "*" } } });
    for (origin, allowed) in [("https://a.example", Some("https://a.example".to_owned())), ("https://b.example", None)]
    {
        let post = http.post(api.server().endpoint()).header("origin", origin).body(from_function.to_string());
        assert_eq!(answer(post, "access-control-allow-origin").await.2, allowed);
    }
}
