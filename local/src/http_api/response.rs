//! The response in a function's answer, structured or inferred.
//!
//! "If your Lambda function returns valid JSON and doesn't return a statusCode, API Gateway makes the following
//! assumptions": the status is 200, the content type `application/json`, and the answer is the body.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A structured response.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Structured {
    status_code: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// An answer without a valid response. API Gateway answers such a request with 500.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function's answer is not a valid response: {0}")]
pub(super) struct Malformed(String);

/// The response in a function's answer.
pub(super) fn response(answer: &[u8]) -> Result<Response<Body>, Malformed> {
    let value: Value = serde_json::from_slice(answer).map_err(|error| Malformed(error.to_string()))?;
    if value.get("statusCode").is_none() {
        let body = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    let structured: Structured = serde_json::from_value(value).map_err(|error| Malformed(error.to_string()))?;
    let body = structured.body.unwrap_or_default();
    let body = if structured.is_base64_encoded {
        STANDARD.decode(body).map_err(|error| Malformed(error.to_string()))?
    } else {
        body.into_bytes()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(structured.status_code).map_err(|error| Malformed(error.to_string()))?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    for (name, value) in structured.headers.unwrap_or_default() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.insert(header_name(&name)?, header_value(value)?);
    }
    for cookie in structured.cookies.unwrap_or_default() {
        headers.append("set-cookie", header_value(cookie)?);
    }
    Ok(response)
}

fn header_name(name: &str) -> Result<HeaderName, Malformed> {
    HeaderName::try_from(name).map_err(|_| Malformed(format!("{name:?} is not a header name")))
}

fn header_value(value: String) -> Result<HeaderValue, Malformed> {
    HeaderValue::try_from(value).map_err(|_| Malformed("the value of a header has control characters".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(answer: &str) -> (u16, Vec<String>, Vec<u8>) {
        let response = response(answer.as_bytes()).unwrap();
        let headers = response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        (status, headers, axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn an_answer_without_a_status_becomes_the_body() {
        let json = || vec!["content-type: application/json".to_owned()];
        assert_eq!(parts(r#"{"message":"Hello"}"#).await, (200, json(), br#"{"message":"Hello"}"#.to_vec()));
        assert_eq!(parts(r#""Hello""#).await, (200, json(), b"Hello".to_vec()));
    }

    #[tokio::test]
    async fn a_structured_answer_has_status_headers_cookies_and_body() {
        let answer = r#"{"statusCode":207,"headers":{"Content-Type":"text/html","x-count":3},"cookies":["a=1","b=2"],
            "body":"/wA=","isBase64Encoded":true}"#;
        let (status, headers, body) = parts(answer).await;
        assert_eq!((status, body), (207, vec![0xff, 0]));
        assert_eq!(headers, ["content-type: text/html", "x-count: 3", "set-cookie: a=1", "set-cookie: b=2"]);
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        for answer in ["", "{", r#"{"statusCode":"x"}"#, r#"{"statusCode":99}"#, r#"{"statusCode":200,"body":{}}"#] {
            assert!(response(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
