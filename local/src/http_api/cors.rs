//! Cross-origin requests (CORS). If CORS is configured, API Gateway answers preflight requests and writes the CORS
//! headers itself, and ignores those of the function.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Which pages of other origins may call an API, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// `https://a.example`, `https://*`, or `*`.
    pub origins: Vec<String>,
    /// Methods, or `*`.
    pub methods: Vec<String>,
    /// Headers of requests, or `*`.
    pub headers: Vec<String>,
    /// Response headers that a page may read.
    pub exposed: Vec<String>,
    /// How long a browser may cache the answer to a preflight request, in seconds.
    pub max_age_seconds: Option<i64>,
    /// Whether requests may have cookies and credentials.
    pub credentials: bool,
}

impl Cors {
    /// Whether a request is a preflight request: it asks what is allowed.
    pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key("origin")
            && headers.contains_key("access-control-request-method")
    }

    /// The headers of the answer to a request from `origin`; none if the origin is not allowed.
    pub(super) fn headers(&self, origin: Option<&str>, is_preflight: bool) -> HeaderMap {
        let mut answer = HeaderMap::new();
        let Some(origin) = origin.filter(|origin| self.origins.iter().any(|allowed| matches_origin(allowed, origin)))
        else {
            return answer;
        };
        let mut add = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.insert(HeaderName::from_static(name), value);
            }
        };
        let any_origin = self.origins.iter().any(|allowed| allowed == "*") && !self.credentials;
        add("access-control-allow-origin", if any_origin { "*".to_owned() } else { origin.to_owned() });
        if self.credentials {
            add("access-control-allow-credentials", "true".to_owned());
        }
        if is_preflight {
            add("access-control-allow-methods", self.methods.join(","));
            add("access-control-allow-headers", self.headers.join(","));
            if let Some(seconds) = self.max_age_seconds {
                add("access-control-max-age", seconds.to_string());
            }
        } else if !self.exposed.is_empty() {
            add("access-control-expose-headers", self.exposed.join(","));
        }
        answer
    }
}

/// `*` matches any origin, and `https://*` any origin with that scheme.
fn matches_origin(allowed: &str, origin: &str) -> bool {
    allowed.strip_suffix('*').map_or(allowed == origin, |scheme| origin.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn only_allowed_origins_get_headers() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let cors = Cors {
            origins: texts(&["https://a.example", "http://*"]),
            methods: texts(&["POST"]),
            headers: texts(&["authorization", "content-type"]),
            max_age_seconds: Some(60),
            ..Cors::default()
        };
        assert_eq!(
            shown(&cors.headers(Some("https://a.example"), true)),
            [
                "access-control-allow-origin: https://a.example",
                "access-control-allow-methods: POST",
                "access-control-allow-headers: authorization,content-type",
                "access-control-max-age: 60",
            ]
        );
        assert!(cors.headers(Some("https://b.example"), true).is_empty());
        assert!(cors.headers(None, false).is_empty());
        let simple = cors.headers(Some("http://localhost:3000"), false);
        assert_eq!(shown(&simple), ["access-control-allow-origin: http://localhost:3000"]);
        let open = Cors { origins: texts(&["*"]), ..cors };
        assert_eq!(shown(&open.headers(Some("https://b.example"), false)), ["access-control-allow-origin: *"]);
    }
}
