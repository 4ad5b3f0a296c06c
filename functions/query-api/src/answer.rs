//! The answer to a request, and the response that the API gets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use myaku::http::{Request, Response};
use myaku::platform::errors::{Remedy, RemoteError, chain};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

/// Answers above this size are compressed if the client accepts it, in bytes.
const COMPRESSED_ABOVE: usize = 1_024;
/// After how many seconds to try again.
const RETRY_AFTER_SECONDS: u32 = 2;

/// The statuses that the function answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// What was asked for.
    Ok = 200,
    /// The client has it already.
    NotModified = 304,
    /// A parameter or the body is wrong.
    BadRequest = 400,
    /// No authorizer identified the caller.
    Unauthorized = 401,
    /// The caller is not a reader, or its role is not enough.
    Forbidden = 403,
    /// It does not exist, or the caller may not see it.
    NotFound = 404,
    /// A setting or a permission of the function is wrong.
    InternalServerError = 500,
    /// A store does not answer.
    ServiceUnavailable = 503,
}

impl Status {
    /// In words.
    const fn title(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::InternalServerError => "Internal Server Error",
            Self::ServiceUnavailable => "Service Unavailable",
        }
    }
}

/// A problem of one field of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The field's path.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why a request has no other answer, as RFC 9457 has it: <https://www.rfc-editor.org/rfc/rfc9457>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: Status,
    detail: String,
    field: Option<String>,
    problems: Vec<FieldProblem>,
}

impl Problem {
    /// A problem of the whole request.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None, problems: Vec::new() }
    }

    /// A parameter or a member of the body is wrong.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(Status::BadRequest, detail) }
    }

    /// Fields of a document are wrong.
    pub fn fields(problems: Vec<FieldProblem>) -> Self {
        let field = problems.first().map(|problem| problem.field.clone());
        let detail = problems.first().map_or_else(String::new, |problem| problem.message.clone());
        Self { status: Status::BadRequest, detail, field, problems }
    }

    /// It does not exist, or the caller may not see it: the answer is the same.
    pub fn not_found(what: &str) -> Self {
        Self::new(Status::NotFound, format!("{what} does not exist, or your token does not show it"))
    }

    /// Its status.
    pub const fn status(&self) -> Status {
        self.status
    }
}

/// A store failed. It is logged here, once.
impl From<RemoteError> for Problem {
    fn from(error: RemoteError) -> Self {
        tracing::error!(error = chain(&error), "cannot answer a request");
        match error.remedy {
            Remedy::Retry | Remedy::SlowDown => {
                Self::new(Status::ServiceUnavailable, "a store does not answer: try again")
            }
            Remedy::GiveUp => {
                let detail = "a store refuses the call: the operators must correct a setting or a permission";
                Self::new(Status::InternalServerError, detail)
            }
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    content_type: &'static str,
    body: Cow<'static, [u8]>,
    /// The body is compressed already.
    is_gzip: bool,
    cache: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A body of JSON, which clients must ask for again each time.
    pub fn json(body: &impl Serialize) -> Result<Self, Problem> {
        let body =
            serde_json::to_vec(body).map_err(|error| Problem::new(Status::InternalServerError, error.to_string()))?;
        Ok(Self::of("application/json", body))
    }

    /// A body of another type, which clients must ask for again each time.
    pub fn of(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { content_type, body: body.into(), is_gzip: false, cache: "private, no-cache", headers: Vec::new() }
    }

    /// A compressed body that never changes under its address, and that is the same for everyone.
    pub fn for_good(content_type: &'static str, gzip: &'static [u8]) -> Self {
        let cache = "public, max-age=31536000, immutable";
        Self { is_gzip: true, cache, ..Self::of(content_type, gzip) }
    }

    /// The same answer with a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The response to a request.
pub(crate) fn response(request: &Request, result: Result<Answer, Problem>) -> Response {
    match result {
        Ok(answer) => success(request, answer),
        Err(problem) => failure(&problem),
    }
}

fn success(request: &Request, answer: Answer) -> Response {
    let Answer { content_type, body, is_gzip, cache, headers } = answer;
    let takes_gzip = accepts_gzip(request.header("accept-encoding").unwrap_or_default());
    let body = match (is_gzip, takes_gzip) {
        (true, false) => decompress(&body).map_or(body, Cow::Owned),
        (false, true) if body.len() > COMPRESSED_ABOVE => compress(&body).map_or(body, Cow::Owned),
        _ => body,
    };
    // A gzip body begins with these bytes, and JSON, HTML, JavaScript and CSS do not.
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    let mut all = BTreeMap::from([
        ("content-type", content_type.to_owned()),
        ("cache-control", cache.to_owned()),
        ("vary", "accept-encoding, authorization".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ]);
    all.extend(headers);
    let is_read = request.request_context.http.method == "GET";
    if is_read {
        // The bytes decide, so another encoding has another tag.
        let tag = etag(&body);
        let known = request.header("if-none-match").unwrap_or_default();
        let is_known = known.split(',').any(|known| known.trim() == tag || known.trim() == "*");
        all.insert("etag", tag);
        if is_known {
            all.remove("content-type");
            let status_code = Status::NotModified as u16;
            return Response { status_code, headers: all, body: String::new(), is_base64_encoded: false };
        }
    }
    let status_code = Status::Ok as u16;
    if is_gzip {
        all.insert("content-encoding", "gzip".to_owned());
        return Response { status_code, headers: all, body: STANDARD.encode(&body), is_base64_encoded: true };
    }
    // All bodies that are not compressed are text.
    let body = String::from_utf8_lossy(&body).into_owned();
    Response { status_code, headers: all, body, is_base64_encoded: false }
}

fn failure(problem: &Problem) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'static str,
        title: &'static str,
        status: u16,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        problems: &'a [FieldProblem],
    }
    let Problem { status, detail, field, problems } = problem;
    let status_code = *status as u16;
    let body = Body {
        r#type: "about:blank",
        title: status.title(),
        status: status_code,
        detail,
        field: field.as_deref(),
        problems,
    };
    let mut headers = BTreeMap::from([
        ("content-type", "application/problem+json".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ]);
    if *status == Status::ServiceUnavailable {
        headers.insert("retry-after", RETRY_AFTER_SECONDS.to_string());
    }
    // Serializing cannot fail: the body has only texts and numbers.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Response { status_code, headers, body, is_base64_encoded: false }
}

/// Whether an `Accept-Encoding` allows gzip.
fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|part| {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let quality =
            parameters.trim().strip_prefix("q=").map_or(Some(1.0), |quality| quality.trim().parse::<f64>().ok());
        coding.trim().eq_ignore_ascii_case("gzip") && quality.is_some_and(|quality| quality > 0.0)
    })
}

fn etag(body: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(body)[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

fn decompress(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).ok().map(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn get(headers: &Value) -> Request {
        serde_json::from_value(json!({"headers": headers, "requestContext": {"http": {"method": "GET"}}})).unwrap()
    }

    fn answer(length: usize) -> Result<Answer, Problem> {
        Answer::json(&"x".repeat(length))
    }

    #[test]
    fn an_unchanged_answer_is_304_without_a_body() {
        let first = response(&get(&json!({})), answer(10));
        let tag = first.headers["etag"].clone();
        for known in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = response(&get(&json!({"if-none-match": known})), answer(10));
            assert_eq!((again.status_code, again.body.as_str(), &again.headers["etag"]), (304, "", &tag), "{known}");
        }
        let changed = response(&get(&json!({"if-none-match": tag})), answer(11));
        assert_eq!(changed.status_code, 200);
        assert_ne!(changed.headers["etag"], tag);
    }

    #[test]
    fn large_answers_are_compressed_for_clients_that_accept_it() {
        for (accepted, length, is_gzip) in [
            ("gzip, deflate, br", 2_000, true),
            ("br;q=1.0, GZIP;q=0.5", 2_000, true),
            ("gzip;q=0", 2_000, false),
            ("", 2_000, false),
            ("gzip", 1_000, false),
        ] {
            let found = response(&get(&json!({"accept-encoding": accepted})), answer(length));
            assert_eq!(
                (found.is_base64_encoded, found.headers.contains_key("content-encoding")),
                (is_gzip, is_gzip),
                "{accepted} {length}"
            );
            let body = if is_gzip {
                decompress(&STANDARD.decode(&found.body).unwrap()).unwrap()
            } else {
                found.body.into_bytes()
            };
            assert_eq!(body, format!("\"{}\"", "x".repeat(length)).into_bytes());
        }
    }

    #[test]
    fn a_problem_names_its_field_and_is_never_kept() {
        let found = response(&get(&json!({})), Err(Problem::field("limit", "it must be from 1 to 200")));
        assert_eq!((found.status_code, found.headers["content-type"].as_str()), (400, "application/problem+json"));
        assert_eq!(found.headers["cache-control"], "no-store");
        let body: Value = serde_json::from_str(&found.body).unwrap();
        let expected = json!({"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "it must be from 1 to 200", "field": "limit"});
        assert_eq!(body, expected);
        let down = RemoteError::new("Query", Remedy::Retry, "down");
        assert_eq!(response(&get(&json!({})), Err(down.into())).headers["retry-after"], "2");
    }
}
