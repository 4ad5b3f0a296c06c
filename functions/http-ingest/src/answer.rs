//! The answer to a request: its status, and its body as JSON.

use myaku::http::Response;
use myaku::ingest::command::Command;
use myaku::ingest::limits::PROBLEMS_IN_ANSWER;
use myaku::ingest::submission::RefusedItem;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The description of the API (OpenAPI 3.0), as the function serves it.
pub const DOCUMENT: &str = include_str!("../openapi.json");
/// After how many seconds to try again: a shard's limit applies to each second, and a client adds its own jitter.
const RETRY_AFTER_SECONDS: u32 = 2;

/// The HTTP statuses that the function answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The API's description.
    Ok = 200,
    /// All messages are on the stream.
    Accepted = 202,
    /// Some of the messages are on the stream.
    MultiStatus = 207,
    /// The request, or one of its items, is wrong.
    BadRequest = 400,
    /// No authorizer identified the caller.
    Unauthorized = 401,
    /// The caller may not send for an item's device.
    Forbidden = 403,
    /// There is nothing at that path.
    NotFound = 404,
    /// The body is too large, or has too many items.
    ContentTooLarge = 413,
    /// The content type or encoding of the body is not supported.
    UnsupportedMediaType = 415,
    /// The stream is at its limit.
    TooManyRequests = 429,
    /// A setting or a permission of the function is wrong.
    InternalServerError = 500,
    /// A service that the function needs does not answer.
    ServiceUnavailable = 503,
}

impl Status {
    /// The statuses of `POST /v1/messages`.
    pub const OF_MESSAGES: [Self; 10] = [
        Self::Accepted,
        Self::MultiStatus,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ContentTooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::InternalServerError,
        Self::ServiceUnavailable,
    ];

    /// Whether the same request can succeed later.
    pub const fn is_worth_a_retry(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::ServiceUnavailable)
    }

    /// Why an item, or all of them, may not be on the stream.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::TooManyRequests => "the stream is at its limit: send it again later",
            Self::InternalServerError => "the stream refused it: the operators must correct a setting or a permission",
            _ => "it may not be on the stream: send it again, and it counts once",
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: Status,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Document,
    Success(Success),
    Error(Problems),
}

/// The body of a success, also of a partial one.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Success {
    accepted: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ItemResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_command: Option<Pending>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemResult {
    /// Its index in the request, from 0.
    pub index: usize,
    /// 202, or the status of a request with only this item.
    pub status: u16,
    /// The id that a retry of only this item must have, so that it is the same message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Why it is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    id: String,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    created_at: i64,
    expires_at: i64,
}

/// The body of a failure.
#[derive(Debug, Serialize)]
struct Problems {
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ItemProblem>,
}

#[derive(Debug, Serialize)]
struct ItemProblem {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    problem: String,
}

impl Answer {
    /// The API's description.
    pub const fn document() -> Self {
        Self { status: Status::Ok, content: Content::Document }
    }

    /// All `accepted` messages are on the stream.
    pub fn accepted(accepted: usize) -> Self {
        Self { status: Status::Accepted, content: Content::Success(Success { accepted, ..Success::default() }) }
    }

    /// Some of the messages are on the stream.
    pub fn partial(results: Vec<ItemResult>) -> Self {
        let accepted = results.iter().filter(|result| result.status == Status::Accepted as u16).count();
        let success = Success { accepted, results, pending_command: None };
        Self { status: Status::MultiStatus, content: Content::Success(success) }
    }

    /// A failure of the whole request.
    pub fn error(status: Status, error: impl Into<String>) -> Self {
        Self { status, content: Content::Error(Problems { error: error.into(), problems: Vec::new() }) }
    }

    /// A failure because of `refused` items. No item of the request is accepted.
    pub fn refused(status: Status, refused: &[RefusedItem]) -> Self {
        let problems = refused.iter().take(PROBLEMS_IN_ANSWER).map(|refused| ItemProblem {
            index: refused.index,
            field: refused.field.clone(),
            problem: refused.problem.clone(),
        });
        let error = format!("{} of the items cannot be accepted, so none is accepted", refused.len());
        Self { status, content: Content::Error(Problems { error, problems: problems.collect() }) }
    }

    /// The same answer with the command that waits for the device.
    #[must_use]
    pub fn with_pending(mut self, command: Command) -> Self {
        if let Content::Success(success) = &mut self.content {
            success.pending_command = Some(Pending {
                id: command.id,
                request: command.request,
                payload: RawValue::from_string(command.payload).ok(),
                created_at: command.created_ms,
                expires_at: command.expires_ms,
            });
        }
        self
    }

    /// The response in the format of the API.
    pub fn response(&self) -> Response {
        let mut headers = BTreeMap::from([("content-type", "application/json".to_owned())]);
        headers.insert("cache-control", "no-store".to_owned());
        if self.status.is_worth_a_retry() {
            headers.insert("retry-after", RETRY_AFTER_SECONDS.to_string());
        }
        // Serializing cannot fail: the body has only texts, numbers, and JSON that was checked.
        let body = match &self.content {
            Content::Document => DOCUMENT.to_owned(),
            Content::Success(success) => serde_json::to_string(success).unwrap_or_default(),
            Content::Error(problems) => serde_json::to_string(problems).unwrap_or_default(),
        };
        Response { status_code: self.status as u16, headers, body, is_base64_encoded: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_lists_exactly_the_statuses_of_the_code() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let described: BTreeSet<String> =
            document["paths"]["/v1/messages"]["post"]["responses"].as_object().unwrap().keys().cloned().collect();
        let answered: BTreeSet<String> =
            Status::OF_MESSAGES.iter().map(|status| (*status as u16).to_string()).collect();
        assert_eq!(described, answered);
        for status in Status::OF_MESSAGES {
            let response = &document["paths"]["/v1/messages"]["post"]["responses"][(status as u16).to_string()];
            let has_retry_after = response["headers"]["Retry-After"].is_object();
            assert_eq!(has_retry_after, status.is_worth_a_retry(), "{status:?}: Retry-After");
        }
    }

    #[test]
    fn the_limits_in_the_document_are_those_of_the_code() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let post = &document["paths"]["/v1/messages"]["post"];
        let json = &post["requestBody"]["content"]["application/json"]["schema"]["oneOf"][1];
        assert_eq!(json["maxItems"], myaku::ingest::limits::REQUEST.items);
        assert_eq!(post["parameters"][0]["schema"]["maxLength"], crate::body::MAX_KEY);
        let item = &document["components"]["schemas"]["Item"]["properties"];
        assert_eq!(item["messageId"]["oneOf"][0]["maxLength"], myaku::ingest::message::MAX_MESSAGE_ID);
        assert_eq!(item["deviceId"]["maxLength"], myaku::ingest::message::MAX_ID);
        let fields: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["deviceId", "facility", "kind", "messageId", "payload", "payloadBase64"]);
    }

    #[test]
    fn an_answer_contains_the_payload_of_a_command_unchanged() {
        let answer = Answer::accepted(2).with_pending(myaku::ingest::command::conformance::command("bed-17", "c-1"));
        insta::assert_snapshot!(answer.response().body, @r#"{"accepted":2,"pendingCommand":{"id":"c-1","request":"set-interval","payload":{"seconds": 30, "note": "naïve"},"createdAt":1795218892020,"expiresAt":1795219792020}}"#);
    }
}
