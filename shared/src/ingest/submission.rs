//! Parses the body of a gateway's batch or of an HTTP request: one or many items, within limits. An error names the
//! item, the field, and what is wrong.
//!
//! Both kinds of body have the same items:
//!
//! ```json
//! {"deviceId": "bed-17", "facility": "home-3", "kind": "vital", "messageId": "4711", "payload": {"hr": 61}}
//! ```
//!
//! `payload` is a JSON value, whose text is kept byte for byte. If the device sends bytes, `payloadBase64` replaces it.
//! In CBOR, `payload` is a byte string or any other item, which is kept as it was encoded. Any other key is an error,
//! so that a misspelt `messageId` does not go unnoticed.
//!
//! ```
//! use myaku::ingest::limits::Limits;
//! use myaku::ingest::submission::{Form, Payloads, read};
//!
//! let body = br#"[{"deviceId": "bed-17", "kind": "vital", "payload": {"hr": 61}}, {"kind": "vital"}]"#;
//! let items = read(body, Form::Json, Payloads::Json, &Limits { body_bytes: 1_000, items: 10 })?;
//! assert_eq!(items[0].as_ref().unwrap().payload, br#"{"hr": 61}"#);
//! assert_eq!(items[1].as_ref().unwrap_err().to_string(), "item 1, payload: it is missing");
//! # Ok::<(), myaku::ingest::submission::BodyError>(())
//! ```

mod cbor;
mod cut;
mod inflate;
mod json;

#[cfg(test)]
mod tests;

pub use inflate::{inflate, is_gzip};

use crate::ingest::limits::{Limits, MAX_NAME_SHOWN, MAX_PAYLOAD, MAX_PROBLEM, shown};
use crate::ingest::message::{MAX_MESSAGE_ID, topic_level};
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, or an array of them.
    Json,
    /// JSON objects, each on a line of its own (NDJSON). Empty lines are ignored.
    Lines,
    /// CBOR maps, one after the other (RFC 8742).
    CborSequence,
}

/// One valid message for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its index in the body, from 0.
    pub index: usize,
    /// The device, if the item names it.
    pub device_id: Option<String>,
    /// Where the device is, if the item says so.
    pub facility: Option<String>,
    /// The kind of message, as the last level of a topic.
    pub kind: String,
    /// The producer's own id of the message.
    pub message_id: Option<String>,
    /// Exactly what the device sent.
    pub payload: Vec<u8>,
}

impl Item {
    /// Whether both items say the same.
    fn says_what(&self, other: &Self) -> bool {
        Self { index: other.index, ..self.clone() } == *other
    }
}

/// Why an item is refused. It shows the names of the item's keys as far as [`MAX_NAME_SHOWN`], and no other content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// Its index in the body, from 0.
    pub index: usize,
    /// The field, as the item names it; `None` if the item as a whole is wrong.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// The reason of its dead letter, if it becomes one.
    pub reason: Reason,
}

impl RefusedItem {
    /// An item that is refused for one of its fields.
    pub fn field(index: usize, field: &str, problem: impl Into<String>) -> Self {
        Self { index, field: Some(field.to_owned()), problem: problem.into(), reason: Reason::NotAMessage }
    }
}

impl fmt::Display for RefusedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}", self.index)?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for RefusedItem {}

/// Why a body is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It should be gzip, and is not, or is cut short.
    #[error("it is not gzip, or it is cut short")]
    NotGzip,
    /// It is not in its form.
    #[error("{0}")]
    Malformed(String),
    /// It is larger than its limit.
    #[error("it has more than {limit} bytes, inflated")]
    TooLarge {
        /// The greatest length.
        limit: usize,
    },
    /// It has more items than its limit.
    #[error("it has more than {limit} items")]
    TooMany {
        /// The greatest number.
        limit: usize,
    },
}

impl BodyError {
    /// The reason of its dead letter, if it becomes one.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Empty | Self::NotGzip | Self::Malformed(_) => Reason::Undecodable,
            Self::TooLarge { .. } | Self::TooMany { .. } => Reason::TooLarge,
        }
    }
}

/// Each item, or why it is refused, in the body's order.
pub type Items = Vec<Result<Item, RefusedItem>>;

/// What the payloads of a body in JSON may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// Values of JSON. An item with another is refused.
    Json,
    /// Anything up to the comma or bracket that follows: the profile's decoder judges it, value by value. A gateway passes on
    /// what its devices send.
    Any,
}

/// Parses an inflated body.
///
/// In a gateway's batch, whose payloads may be anything, the first item may be a header, which has a `sequence` and nothing
/// else. It is skipped, but counts in the indices of the items. Of two items of one device with the same `messageId`, the second is
/// left out if it says the same, and refused if not.
///
/// # Errors
/// The body cannot be parsed, or is beyond `limits`. An item that is wrong alone is an `Err` among the items.
pub fn read(body: &[u8], form: Form, payloads: Payloads, limits: &Limits) -> Result<Items, BodyError> {
    if body.len() > limits.body_bytes {
        return Err(BodyError::TooLarge { limit: limits.body_bytes });
    }
    let mut fields = match form {
        Form::Json => json::array(body, limits.items, payloads)?,
        Form::Lines => json::lines(body, limits.items, payloads)?,
        Form::CborSequence => cbor::sequence(body, limits.items)?,
    };
    if fields.len() > limits.items {
        return Err(BodyError::TooMany { limit: limits.items });
    }
    if payloads == Payloads::Any && fields.first().is_some_and(|first| first.as_ref().is_ok_and(Fields::is_header)) {
        drop(fields.remove(0));
        return Ok(distinct(fields.into_iter().zip(1..)));
    }
    Ok(distinct(fields.into_iter().zip(0..)))
}

/// An item's unchecked fields, or what is wrong with it. The readers stop after one item more than the limit.
type RawItem<'a> = Result<Fields<'a>, RawProblem>;

/// What is wrong with an item, and the field that has it, if it is one field. Both are cut to what is shown: the sender
/// chooses the names of fields, and they can have megabytes.
#[derive(Debug)]
struct RawProblem {
    field: Option<String>,
    problem: String,
}

impl RawProblem {
    /// A problem of the item as a whole.
    fn whole(problem: &str) -> Self {
        Self { field: None, problem: shown(problem, MAX_PROBLEM) }
    }

    /// A problem of one field, which its words may name.
    fn of(field: &str, problem: &str) -> Self {
        let name = shown(field, MAX_NAME_SHOWN);
        let problem = if name == field { problem.to_owned() } else { problem.replace(field, &name) };
        Self { field: Some(name), problem: shown(&problem, MAX_PROBLEM) }
    }
}

#[derive(Debug, Default)]
struct Fields<'a> {
    device_id: Option<Cow<'a, str>>,
    facility: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    message_id: Option<String>,
    payload: Option<Cow<'a, [u8]>>,
    /// Whether there is a `sequence`. Its value only serves to make two batches differ, so it is not kept.
    sequence: bool,
}

impl Fields<'_> {
    fn is_header(&self) -> bool {
        let Self { device_id, facility, kind, message_id, payload, sequence } = self;
        let others =
            device_id.is_some() || facility.is_some() || kind.is_some() || message_id.is_some() || payload.is_some();
        *sequence && !others
    }

    fn check(self, index: usize) -> Result<Item, RefusedItem> {
        let wrong = |field: &str, problem: &str| RefusedItem::field(index, field, problem);
        if self.sequence {
            return Err(wrong("sequence", "it is only allowed alone, in the first item of a gateway's batch"));
        }
        let level = |field: &str, value: Option<Cow<'_, str>>| match value {
            Some(value) => topic_level(&value).map(|()| Some(value.into_owned())).map_err(|why| wrong(field, why)),
            None => Ok(None),
        };
        let device_id = level("deviceId", self.device_id)?;
        let facility = level("facility", self.facility)?;
        let kind = level("kind", self.kind)?.ok_or_else(|| wrong("kind", "it is missing"))?;
        if let Some(id) = &self.message_id {
            message_id(id).map_err(|why| wrong("messageId", why))?;
        }
        let payload = self.payload.ok_or_else(|| wrong("payload", "it is missing"))?;
        if payload.len() > MAX_PAYLOAD {
            let problem = format!("it has {} bytes; the limit is {MAX_PAYLOAD}", payload.len());
            return Err(RefusedItem { reason: Reason::TooLarge, ..RefusedItem::field(index, "payload", problem) });
        }
        Ok(Item { index, device_id, facility, kind, message_id: self.message_id, payload: payload.into_owned() })
    }
}

/// Checks whether a text can be a producer's own id of a message.
///
/// # Errors
/// What is wrong with it, in words.
pub fn message_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > MAX_MESSAGE_ID {
        Err("it must have 1 to 256 bytes")
    } else if id.chars().any(char::is_control) {
        Err("it has a control character")
    } else {
        Ok(())
    }
}

/// Checks the items. One that says again what an earlier item says, under the same `messageId`, is left out; one that says
/// something else under it is refused.
fn distinct<'a>(raw: impl Iterator<Item = (RawItem<'a>, usize)>) -> Items {
    let mut first: HashMap<(Option<String>, String), usize> = HashMap::new();
    let mut items = Items::new();
    for (raw, index) in raw {
        let item = raw
            .map_err(|RawProblem { field, problem }| RefusedItem { index, field, problem, reason: Reason::NotAMessage })
            .and_then(|fields| fields.check(index));
        let Ok(Item { device_id, message_id: Some(id), .. }) = &item else {
            items.push(item);
            continue;
        };
        let place = *first.entry((device_id.clone(), id.clone())).or_insert(items.len());
        match items.get(place) {
            Some(Ok(earlier)) if item.as_ref().is_ok_and(|item| item.says_what(earlier)) => {}
            Some(Ok(earlier)) => {
                let problem = format!("item {} has the same, and says something else", earlier.index);
                items.push(Err(RefusedItem::field(index, "messageId", problem)));
            }
            _ => items.push(item),
        }
    }
    items
}
