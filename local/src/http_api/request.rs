//! The event that a function gets for a request: payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use crate::account::ACCOUNT;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A request, without its body.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) api_id: String,
    pub(super) method: String,
    /// The path as received, with percent-encoding.
    pub(super) path: String,
    /// The query as received, without `?`.
    pub(super) query: String,
    pub(super) protocol: String,
    pub(super) headers: HeaderMap,
    pub(super) source_ip: String,
    /// When the request arrived, in milliseconds since the epoch.
    pub(super) at_ms: i64,
}

impl Request {
    /// A header's values, joined with commas.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// When the request arrived, in the form of the access log and events: `12/Mar/2020:19:03:58 +0000`.
    pub(super) fn time(&self) -> String {
        let at = Timestamp::from_millisecond(self.at_ms).unwrap_or_default().to_zoned(TimeZone::UTC);
        at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
    }

    /// The event for the function of a route.
    pub(super) fn event(
        &self,
        route: &str,
        parameters: &BTreeMap<String, String>,
        authorizer: Option<&Value>,
        body: &[u8],
    ) -> Value {
        let mut context = json!({
            "accountId": ACCOUNT,
            "apiId": self.api_id,
            "domainName": self.header("host").unwrap_or_default(),
            "domainPrefix": self.api_id,
            "http": {
                "method": self.method,
                "path": self.path,
                "protocol": self.protocol,
                "sourceIp": self.source_ip,
                "userAgent": self.header("user-agent").unwrap_or_default(),
            },
            "requestId": self.id,
            "routeKey": route,
            "stage": "$default",
            "time": self.time(),
            "timeEpoch": self.at_ms,
        });
        if let Some(authorizer) = authorizer {
            context["authorizer"] = authorizer.clone();
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": route,
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.event_headers(),
            "requestContext": context,
            "isBase64Encoded": false,
        });
        let cookies = self.headers.get_all("cookie").iter();
        let cookies: Vec<String> = cookies
            .flat_map(|value| {
                String::from_utf8_lossy(value.as_bytes()).split("; ").map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        if !cookies.is_empty() {
            event["cookies"] = json!(cookies);
        }
        if !self.query.is_empty() {
            event["queryStringParameters"] = json!(combine(form_urlencoded::parse(self.query.as_bytes())));
        }
        if !parameters.is_empty() {
            event["pathParameters"] = json!(parameters);
        }
        if !body.is_empty() {
            let is_text = self.is_text();
            event["isBase64Encoded"] = json!(!is_text);
            // Text that is not UTF-8, such as gzip, is destroyed.
            let body = if is_text { String::from_utf8_lossy(body).into_owned() } else { STANDARD.encode(body) };
            event["body"] = body.into();
        }
        event
    }

    /// "Duplicate headers are combined with commas"; all names are in lower case, and cookies are a field of their own.
    fn event_headers(&self) -> Map<String, Value> {
        let names = self.headers.keys().map(HeaderName::as_str).filter(|name| *name != "cookie");
        let mut headers: Map<String, Value> =
            names.map(|name| (name.to_owned(), self.header(name).unwrap_or_default().into())).collect();
        for (name, value) in
            [("x-forwarded-for", self.source_ip.as_str()), ("x-forwarded-proto", "http"), ("x-forwarded-port", "80")]
        {
            headers.entry(name).or_insert_with(|| value.into());
        }
        headers
    }

    /// Whether the function gets the body as text, whatever its content encoding is. Other bodies are base64.
    fn is_text(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.is_empty()
            || kind.starts_with("text/")
            || kind.ends_with("+json")
            || kind.ends_with("+xml")
            || ["application/json", "application/javascript", "application/xml"].contains(&kind)
    }
}

/// Values by name. Values of the same name are combined with commas.
fn combine<'a>(
    pairs: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
) -> BTreeMap<String, String> {
    let mut combined = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        combined
            .entry(name.into_owned())
            .and_modify(|known| *known = format!("{known},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    combined
}
