//! The event of an HTTP API, payload format 2.0, as far as functions need it. The type is our own, so that a claim
//! that is not text, or an unusual header, becomes an answer and not a failed invocation.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The path, after the stage's name if the stage is not `$default`.
    #[serde(default)]
    pub raw_path: String,
    /// What follows the `?`, as it was sent.
    #[serde(default)]
    pub raw_query_string: String,
    /// Header fields. The API writes their names in lower case, and joins repeated fields with commas.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, in base64 if it is not text.
    #[serde(default)]
    pub body: Option<String>,
    /// Whether the body is in base64.
    #[serde(default)]
    pub is_base64_encoded: bool,
    /// What the API knows about the request.
    #[serde(default)]
    pub request_context: RequestContext,
}

/// What the API knows about a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// The stage's name.
    #[serde(default)]
    pub stage: String,
    /// When the API received it, in milliseconds since the epoch.
    #[serde(default)]
    pub time_epoch: Option<i64>,
    /// The request line.
    #[serde(default)]
    pub http: Http,
    /// The result of the API's authorizer.
    #[serde(default)]
    pub authorizer: Option<Authorizer>,
}

/// The request line.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Http {
    /// The method, in capitals.
    #[serde(default)]
    pub method: String,
}

/// The result of an authorizer: a token's claims, or the IAM identity that signed the request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Authorizer {
    /// The result of a JWT authorizer.
    #[serde(default)]
    pub jwt: Option<Jwt>,
    /// The result of IAM.
    #[serde(default)]
    pub iam: Option<Value>,
}

/// A token that the API has verified.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Jwt {
    /// Its claims. The API writes an array as `[a b]`.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
}

impl Authorizer {
    /// The ARN of the IAM identity that signed; empty if IAM does not say it, `None` if none signed.
    pub fn signer(&self) -> Option<&str> {
        let iam = self.iam.as_ref().filter(|iam| !iam.is_null())?;
        Some(iam["userArn"].as_str().unwrap_or_default())
    }
}

impl Jwt {
    /// The text of a claim, or its texts with commas between them; `None` without the claim, or if it is of another kind.
    pub fn text(&self, claim: &str) -> Option<String> {
        match self.claims.get(claim)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
            _ => None,
        }
    }

    /// Whose token it is: `sub`, or `client_id` of a machine without a subject; empty if the token says neither.
    pub fn subject(&self) -> &str {
        ["sub", "client_id"].into_iter().find_map(|claim| self.claims.get(claim)?.as_str()).unwrap_or_default()
    }
}

impl Request {
    /// The path after the stage's name.
    pub fn path(&self) -> &str {
        let stage = self.request_context.stage.as_str();
        let after_stage = self.raw_path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
        after_stage.filter(|path| stage != "$default" && path.starts_with('/')).unwrap_or(&self.raw_path)
    }

    /// The header field `name`, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let exact = self.headers.get(name);
        // A test or another tool that invokes the function directly may write the name in other letters.
        let found = exact.or_else(|| {
            self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        found.map(|value| value.trim())
    }

    /// The body's bytes; `None` if the event says that it is base64 and it is not.
    pub fn body(&self) -> Option<Cow<'_, [u8]>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            STANDARD.decode(body).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(body.as_bytes()))
        }
    }
}

/// The function's response to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status.
    pub status_code: u16,
    /// Header fields.
    pub headers: BTreeMap<&'static str, String>,
    /// The body.
    pub body: String,
    /// Whether the body is bytes in base64, and not text.
    pub is_base64_encoded: bool,
}
