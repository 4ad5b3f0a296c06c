//! Messages that somebody sends for devices, one or many in one body: taken apart under limits, with errors that say
//! which item, which field, and what is wrong.
//!
//! A gateway's batch and the body of an HTTP request have the same items:
//!
//! ```json
//! {"deviceId": "bed-17", "facility": "home-3", "kind": "vital", "messageId": "4711", "payload": {"hr": 61}}
//! ```
//!
//! `payload` is a value whose text is kept as it was written, byte for byte; `payloadBase64` stands in its place where
//! the device sends bytes. In CBOR, `payload` is a byte string, or any other item, which is kept as it was encoded.
//! A key that is not described here is an error, so that a misspelt `messageId` does not go unnoticed.

mod cbor;
mod inflate;
mod json;

#[cfg(test)]
mod tests;

pub use inflate::{inflate, is_gzip};

use crate::ingest::message::{MAX_MESSAGE_ID, topic_level};
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// How deep a payload may nest. It is below what the decoders follow, so that what is let in can be decoded.
pub const MAX_DEPTH: usize = 100;
/// The longest payload of an item, in bytes: in base64 and with its envelope it still fits a record of 1 MiB.
pub const MAX_PAYLOAD: usize = 512 * 1024;

/// What a body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, inflated.
    pub body_bytes: usize,
    /// Items of a body.
    pub items: usize,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, or an array of them.
    Json,
    /// JSON objects, each on a line of its own (NDJSON). Empty lines are passed over.
    Lines,
    /// CBOR maps, one behind the other (RFC 8742).
    CborSequence,
}

/// One message for a device, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in the body, from 0.
    pub index: usize,
    /// The device, if the item names it.
    pub device_id: Option<String>,
    /// Where the device stands, if the item says so.
    pub facility: Option<String>,
    /// What it is about, as the last level of a topic.
    pub kind: String,
    /// The producer's own id of the message.
    pub message_id: Option<String>,
    /// Exactly what the device sent.
    pub payload: Vec<u8>,
}

/// Why an item cannot be used. It shows nothing of what the item holds but the names of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the body, from 0.
    pub index: usize,
    /// The field, as the item names it; none where the item as a whole is wrong.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// The reason of its dead letter, where it becomes one.
    pub reason: Reason,
}

impl Refused {
    /// An item with something wrong in one of its fields.
    pub fn field(index: usize, field: &str, problem: impl Into<String>) -> Self {
        Self { index, field: Some(field.to_owned()), problem: problem.into(), reason: Reason::NotAMessage }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}", self.index)?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for Refused {}

/// Why a body cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is said to be gzip, and is not, or not whole.
    #[error("it is no gzip, or not all of it")]
    NotGzip,
    /// It is not in the form that it should be in.
    #[error("{0}")]
    Malformed(String),
    /// It is larger than it may be.
    #[error("it has more than {limit} bytes, inflated")]
    TooLarge {
        /// The greatest length.
        limit: usize,
    },
    /// It has more items than it may have.
    #[error("it has more than {limit} items")]
    TooMany {
        /// The greatest number.
        limit: usize,
    },
}

impl BodyError {
    /// The reason of its dead letter, where it becomes one.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Empty | Self::NotGzip | Self::Malformed(_) => Reason::Undecodable,
            Self::TooLarge { .. } | Self::TooMany { .. } => Reason::TooLarge,
        }
    }
}

/// One outcome for each item, in the body's order.
pub type Items = Vec<Result<Item, Refused>>;

/// Takes an inflated body apart.
///
/// With `header`, the first item may be one that has nothing but a `sequence`; it is passed over, and keeps its place
/// in the count of items. Two items of one device with the same `messageId` are a contradiction: the second is refused.
///
/// # Errors
/// The body cannot be taken apart, or is larger than `limits` say. What is wrong with one item alone is told in its
/// place.
pub fn read(body: &[u8], form: Form, header: bool, limits: &Limits) -> Result<Items, BodyError> {
    if body.len() > limits.body_bytes {
        return Err(BodyError::TooLarge { limit: limits.body_bytes });
    }
    let mut fields = match form {
        Form::Json => json::array(body)?,
        Form::Lines => json::lines(body)?,
        Form::CborSequence => cbor::sequence(body)?,
    };
    if fields.len() > limits.items {
        return Err(BodyError::TooMany { limit: limits.items });
    }
    if header && fields.first().is_some_and(|first| first.as_ref().is_ok_and(Fields::is_header)) {
        drop(fields.remove(0));
        return Ok(distinct(fields.into_iter().zip(1..)));
    }
    Ok(distinct(fields.into_iter().zip(0..)))
}

/// An item's fields as they came, or what is wrong with it: the field, if it is one, and the problem.
type Raw<'a> = Result<Fields<'a>, (Option<String>, String)>;

#[derive(Debug, Default)]
struct Fields<'a> {
    device_id: Option<Cow<'a, str>>,
    facility: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    message_id: Option<String>,
    payload: Option<Cow<'a, [u8]>>,
    /// Whether there is a `sequence`, whose value serves to tell two batches apart and nothing else.
    sequence: bool,
}

impl Fields<'_> {
    fn is_header(&self) -> bool {
        let Self { device_id, facility, kind, message_id, payload, sequence } = self;
        let others =
            device_id.is_some() || facility.is_some() || kind.is_some() || message_id.is_some() || payload.is_some();
        *sequence && !others
    }

    fn check(self, index: usize) -> Result<Item, Refused> {
        let wrong = |field: &str, problem: &str| Refused::field(index, field, problem);
        if self.sequence {
            return Err(wrong("sequence", "it may only stand alone in the first item of a gateway's batch"));
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
            let problem = format!("it has {} bytes, and may have {MAX_PAYLOAD}", payload.len());
            return Err(Refused { reason: Reason::TooLarge, ..Refused::field(index, "payload", problem) });
        }
        Ok(Item { index, device_id, facility, kind, message_id: self.message_id, payload: payload.into_owned() })
    }
}

/// Whether a text can be a producer's own id of a message.
///
/// # Errors
/// Why not, in words.
pub fn message_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > MAX_MESSAGE_ID {
        Err("it must have from 1 to 256 bytes")
    } else if id.chars().any(char::is_control) {
        Err("it has a control character")
    } else {
        Ok(())
    }
}

fn distinct<'a>(raw: impl Iterator<Item = (Raw<'a>, usize)>) -> Items {
    let mut first: HashMap<(Option<String>, String), usize> = HashMap::new();
    let items = raw.map(|(raw, index)| {
        let fields = raw.map_err(|(field, problem)| Refused { index, field, problem, reason: Reason::NotAMessage })?;
        let item = fields.check(index)?;
        if let Some(id) = &item.message_id {
            let earlier = *first.entry((item.device_id.clone(), id.clone())).or_insert(index);
            if earlier != index {
                return Err(Refused::field(index, "messageId", format!("item {earlier} has the same")));
            }
        }
        Ok(item)
    });
    items.collect()
}
