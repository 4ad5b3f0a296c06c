//! A request's items, read as far as that goes without knowing who calls.

use crate::answer::{Answer, Status};
use crate::event::Request;
use myaku::ingest::message::MAX_MESSAGE_ID;
use myaku::ingest::submission::{BodyError, Form, Item, Limits, RefusedItem, inflate, message_id, read};
use std::borrow::Cow;

/// What a request may cost. The API takes 10 MB and Lambda 6 MB, which can be gzip of far more; and what one request
/// carries must be on the stream within the API's 30 seconds.
pub const LIMITS: Limits = Limits { body_bytes: 8 * 1024 * 1024, items: 1_000 };
/// The longest `Idempotency-Key`: with `:` and an index it is a message id.
pub(crate) const MAX_KEY: usize = MAX_MESSAGE_ID - 8;

/// Reads the items of a request, each with the id that makes a retry the same message, if it has one.
///
/// # Errors
/// The answer that says what is wrong.
pub(crate) fn items(request: &Request) -> Result<Vec<Item>, Answer> {
    let form = form(request)?;
    let gzip = gzip(request)?;
    let key = idempotency_key(request)?;
    let body = request.body();
    let body = body.ok_or_else(|| bad("the body is said to be base64, and is not"))?;
    let body = match gzip {
        true if request.is_base64_encoded => {
            Cow::Owned(inflate(&body, LIMITS.body_bytes).map_err(|error| wrong(&error))?)
        }
        // The API hands `application/json` on as text, which gzip does not live through.
        true if body.starts_with(b"\x1f") => {
            return Err(bad("the gzip was taken for text on its way: send it as application/x-ndjson"));
        }
        // Text it is: somebody on the way inflated it, and left the header.
        _ => body,
    };
    let read = read(&body, form, false, &LIMITS).map_err(|error| wrong(&error))?;
    if read.is_empty() {
        return Err(wrong(&BodyError::Empty));
    }
    let (mut items, mut refused) = (Vec::with_capacity(read.len()), Vec::new());
    for item in read {
        match item {
            Ok(item) => items.push(item),
            Err(problem) => refused.push(problem),
        }
    }
    if !refused.is_empty() {
        return Err(malformed(&refused));
    }
    if let Some(key) = key {
        for item in items.iter_mut().filter(|item| item.message_id.is_none()) {
            item.message_id = Some(format!("{key}:{}", item.index));
        }
    }
    Ok(items)
}

fn form(request: &Request) -> Result<Form, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        parameter.trim().to_ascii_lowercase().strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned())
    });
    let readable = charset.is_none_or(|charset| charset == "utf-8");
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" if readable => Ok(Form::Json),
        "application/x-ndjson" if readable => Ok(Form::Lines),
        _ => Err(Answer::error(
            Status::UnsupportedMediaType,
            "Content-Type must be application/json or application/x-ndjson, in UTF-8",
        )),
    }
}

fn gzip(request: &Request) -> Result<bool, Answer> {
    match request.header("content-encoding").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        _ => Err(Answer::error(Status::UnsupportedMediaType, "Content-Encoding must be gzip, or none")),
    }
}

fn idempotency_key(request: &Request) -> Result<Option<&str>, Answer> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    if key.len() > MAX_KEY {
        return Err(bad(&format!("Idempotency-Key: it has {} bytes, and may have {MAX_KEY}", key.len())));
    }
    message_id(key).map(|()| Some(key)).map_err(|why| bad(&format!("Idempotency-Key: {why}")))
}

fn bad(problem: &str) -> Answer {
    Answer::error(Status::BadRequest, problem)
}

fn wrong(error: &BodyError) -> Answer {
    let status = match error {
        BodyError::TooLarge { .. } | BodyError::TooMany { .. } => Status::ContentTooLarge,
        BodyError::Empty | BodyError::NotGzip | BodyError::Malformed(_) => Status::BadRequest,
    };
    Answer::error(status, format!("the body: {error}"))
}

/// Items that are too large answer as a body does that is too large, if nothing else is wrong.
fn malformed(refused: &[RefusedItem]) -> Answer {
    let too_large = refused.iter().all(|problem| problem.reason == myaku::lake::dead_letter::Reason::TooLarge);
    Answer::refused(if too_large { Status::ContentTooLarge } else { Status::BadRequest }, refused)
}
