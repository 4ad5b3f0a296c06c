//! Parses the items of a request's body, before the caller is known.

use crate::answer::{Answer, Status};
use myaku::http::Request;
use myaku::ingest::limits::REQUEST;
use myaku::ingest::message::MAX_MESSAGE_ID;
use myaku::ingest::submission::{BodyError, Form, Item, Payloads, RefusedItem, inflate, message_id, read};
use std::borrow::Cow;

/// The longest `Idempotency-Key`: with `:` and an index it is a message id.
pub(crate) const MAX_KEY: usize = MAX_MESSAGE_ID - 8;

/// Parses the items of a request. Each has the id that makes a retry the same message, if there is one.
///
/// # Errors
/// The answer that says what is wrong.
pub(crate) fn parse_items(request: &Request) -> Result<Vec<Item>, Answer> {
    let form = parse_content_type(request)?;
    let is_gzip = is_gzip(request)?;
    let key = idempotency_key(request)?;
    let body = request.body();
    let body = body.ok_or_else(|| bad_request("the body is marked as base64, and is not base64"))?;
    let body = match is_gzip {
        true if request.is_base64_encoded => {
            Cow::Owned(inflate(&body, REQUEST.body_bytes).map_err(|error| body_error(&error))?)
        }
        // The API passes `application/json` on as text, which destroys gzip.
        true if body.starts_with(b"\x1f") => {
            return Err(bad_request("the API passed the gzip on as text: send it as application/x-ndjson"));
        }
        // The body is text: a proxy decompressed it, and left the header.
        _ => body,
    };
    let read = read(&body, form, Payloads::Json, &REQUEST).map_err(|error| body_error(&error))?;
    if read.is_empty() {
        return Err(body_error(&BodyError::Empty));
    }
    let (mut items, mut refused) = (Vec::with_capacity(read.len()), Vec::new());
    for item in read {
        match item {
            Ok(item) => items.push(item),
            Err(problem) => refused.push(problem),
        }
    }
    if !refused.is_empty() {
        return Err(items_error(&refused));
    }
    if let Some(key) = key {
        for item in items.iter_mut().filter(|item| item.message_id.is_none()) {
            item.message_id = Some(format!("{key}:{}", item.index));
        }
    }
    Ok(items)
}

/// The form of the body, by its `Content-Type`.
fn parse_content_type(request: &Request) -> Result<Form, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        parameter.trim().to_ascii_lowercase().strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned())
    });
    let is_utf8 = charset.is_none_or(|charset| charset == "utf-8");
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" if is_utf8 => Ok(Form::Json),
        "application/x-ndjson" if is_utf8 => Ok(Form::Lines),
        _ => Err(Answer::error(
            Status::UnsupportedMediaType,
            "Content-Type must be application/json or application/x-ndjson, in UTF-8",
        )),
    }
}

/// Whether the body is gzip, by its `Content-Encoding`.
fn is_gzip(request: &Request) -> Result<bool, Answer> {
    match request.header("content-encoding").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        _ => Err(Answer::error(Status::UnsupportedMediaType, "Content-Encoding must be gzip, or none")),
    }
}

fn idempotency_key(request: &Request) -> Result<Option<&str>, Answer> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    if key.len() > MAX_KEY {
        return Err(bad_request(&format!("Idempotency-Key: it has {} bytes; the limit is {MAX_KEY}", key.len())));
    }
    message_id(key).map(|()| Some(key)).map_err(|why| bad_request(&format!("Idempotency-Key: {why}")))
}

fn bad_request(problem: &str) -> Answer {
    Answer::error(Status::BadRequest, problem)
}

fn body_error(error: &BodyError) -> Answer {
    let status = match error {
        BodyError::TooLarge { .. } | BodyError::TooMany { .. } => Status::ContentTooLarge,
        BodyError::Empty | BodyError::NotGzip | BodyError::Malformed(_) => Status::BadRequest,
    };
    Answer::error(status, format!("the body: {error}"))
}

/// The answer to wrong items. If all of them are too large, it is the same as for a body that is too large.
fn items_error(refused: &[RefusedItem]) -> Answer {
    let too_large = refused.iter().all(|problem| problem.reason == myaku::lake::dead_letter::Reason::TooLarge);
    Answer::refused(if too_large { Status::ContentTooLarge } else { Status::BadRequest }, refused)
}
