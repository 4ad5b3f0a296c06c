//! Splits a gateway's batch, which has measurements of many devices in one MQTT message, into [`Message`]s.
//!
//! The batch is a JSON array, NDJSON or a CBOR sequence of [items](crate::ingest::submission), or one of these in gzip.
//! Its first bytes show which.
//!
//! **Ids.** A message's delivery id is a hash of facility, gateway and the inflated batch, and the item's index. So the
//! same batch gives the same messages when Lambda retries an invocation, and when MQTT delivers the batch twice. (With
//! QoS 1 the gateway sends the same bytes again, and the rule runs again, with another `newuuid()`.) In return, a
//! gateway that measures exactly the same twice must make the two batches differ: by a time or a number in the
//! payloads, by `messageId`s, or by a first item `{"sequence": …}`, which is part of the hash and has no other use.
//!
//! ```
//! use myaku::ingest::gateway::{Upload, split};
//!
//! let upload = Upload {
//!     facility: "home-3".to_owned(),
//!     gateway: "hub-3".to_owned(),
//!     client_id: None,
//!     received_at: None,
//!     payload: br#"[{"deviceId":"bed-17","kind":"vital","payload":{"hr":61}}]"#.to_vec(),
//! };
//! let split = split(&upload, 1_795_218_892_020)?;
//! assert_eq!(split.messages[0].device_id, "bed-17");
//! assert_eq!(split.messages[0].payload, br#"{"hr":61}"#);
//! # Ok::<(), myaku::ingest::submission::BodyError>(())
//! ```

mod upload;

#[cfg(test)]
mod tests;

pub use upload::{Upload, UploadError};

use crate::ingest::limits::{BATCH, PROBLEMS_IN_LETTER};
use crate::ingest::message::{Message, Role, Sender, fingerprint};
use crate::ingest::submission::{BodyError, Form, Item, Items, Payloads, RefusedItem, inflate, is_gzip, read};
use crate::lake::dead_letter::{DeadLetter, Reason};
use crate::stream::batch::{Position, SequenceNumber};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The name of a stream in the dead letters of batches, which never were in a stream.
const SOURCE: &str = "gateways";

/// A batch after it was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitBatch {
    /// Its messages, in the batch's order.
    pub messages: Vec<Message>,
    /// The items that are not valid.
    pub refused: Vec<RefusedItem>,
}

/// Splits a batch that was received at `received_at`, in milliseconds since the epoch. Pure: the same batch gives the
/// same messages with the same ids.
///
/// # Errors
/// The batch as a whole cannot be parsed.
pub fn split(upload: &Upload, received_at: i64) -> Result<SplitBatch, BodyError> {
    let body = if is_gzip(&upload.payload) {
        Cow::Owned(inflate(&upload.payload, BATCH.body_bytes)?)
    } else {
        Cow::Borrowed(upload.payload.as_slice())
    };
    let items = items(&body)?;
    let id = fingerprint(&[upload.facility.as_bytes(), upload.gateway.as_bytes(), &body]);
    let mut split = SplitBatch { messages: Vec::with_capacity(items.len()), refused: Vec::new() };
    for item in items {
        match item.and_then(|item| message(upload, received_at, &id, item)) {
            Ok(message) => split.messages.push(message),
            Err(refused) => split.refused.push(refused),
        }
    }
    Ok(split)
}

fn items(body: &[u8]) -> Result<Items, BodyError> {
    // NULs stay: they end no CBOR sequence.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let form = match body.trim_ascii_start().first() {
        None => return Err(BodyError::Empty),
        Some(b'[') => Form::Json,
        Some(b'{') => Form::Lines,
        // A CBOR map, or the tag of self-described CBOR (RFC 8949, 3.4.6).
        Some(0xa0..=0xbf) => Form::CborSequence,
        Some(_) if body.starts_with(&[0xd9, 0xd9, 0xf7]) => Form::CborSequence,
        Some(_) => {
            let problem =
                "it is neither a JSON array, nor NDJSON, nor a CBOR sequence of maps, nor one of these in gzip";
            return Err(BodyError::Malformed(problem.to_owned()));
        }
    };
    read(body, form, Payloads::Any, &BATCH)
}

fn message(upload: &Upload, received_at: i64, id: &str, item: Item) -> Result<Message, RefusedItem> {
    let index = item.index;
    // A gateway only sends for devices of its own facility.
    if item.facility.is_some_and(|facility| facility != upload.facility) {
        return Err(RefusedItem::field(index, "facility", "it is not the gateway's facility"));
    }
    let device_id = item.device_id.ok_or_else(|| RefusedItem::field(index, "deviceId", "it is missing"))?;
    Ok(Message {
        delivery_id: format!("{id}-{index}"),
        device_id,
        facility: upload.facility.clone(),
        kind: item.kind,
        client_id: upload.client_id.clone(),
        received_at,
        payload: item.payload,
        message_id: item.message_id,
        sender: Some(Sender { role: Role::Gateway, id: &upload.gateway }.to_wire()),
    })
}

/// The dead letter of an event from which not every item became a message. It holds the whole event, so that the
/// function can be invoked with it again. Items that became messages then become the same messages.
///
/// Its key follows from the event and from `at_ms`, in milliseconds since the epoch. So the same event leaves one
/// letter.
pub fn dead_letter(event: &[u8], upload: Option<&Upload>, at_ms: i64, reason: Reason, detail: String) -> DeadLetter {
    let number = |text: &str| u128::from_str_radix(text, 16).unwrap_or_default().to_string();
    let sequence = number(&fingerprint(&[event])).parse().unwrap_or(SequenceNumber::ZERO);
    let gateway = upload.map_or("unknown", |upload| upload.gateway.as_str());
    DeadLetter {
        stream: SOURCE.to_owned(),
        shard: gateway.to_owned(),
        position: Position { sequence, sub: 0 },
        is_whole: false,
        partition_key: gateway.to_owned(),
        arrived_ms: at_ms,
        device_id: None,
        reason,
        detail,
        failures: Vec::new(),
        unlisted: 0,
        data: event.to_vec(),
    }
}

/// The problems of a batch's items in words: the first ones, and the number of the others.
pub fn summarize(refused: &[RefusedItem]) -> String {
    let mut text = refused.iter().take(PROBLEMS_IN_LETTER).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if refused.len() > PROBLEMS_IN_LETTER {
        let _ = write!(text, "; and {} more", refused.len() - PROBLEMS_IN_LETTER);
    }
    text
}
