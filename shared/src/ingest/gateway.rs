//! A gateway's batch: measurements of many devices in one MQTT message, taken apart into [`Message`]s.
//!
//! The batch is a JSON array, NDJSON or a CBOR sequence of [items](crate::ingest::submission), or gzip of one of them; its first
//! bytes say which.
//!
//! **Ids.** A message's delivery id is a hash of facility, gateway and the inflated batch, and the item's index. So
//! neither Lambda's retries of an invocation nor a second delivery by MQTT (QoS 1: the gateway sends the same bytes again,
//! and the rule runs again, with another `newuuid()`) makes another message of it. The price: a gateway that measures
//! exactly the same twice must tell the two apart, by a time or a number in the payloads, by `messageId`s, or by a
//! first item `{"sequence": …}`, which is in the hash and has no other use.

mod upload;

#[cfg(test)]
mod tests;

pub use upload::{Upload, UploadError};

use crate::ingest::message::{Message, fingerprint};
use crate::ingest::submission::{BodyError, Form, Item, Items, Limits, Refused, inflate, is_gzip, read};
use crate::lake::dead_letter::{DeadLetter, Reason};
use crate::stream::batch::{Position, SequenceNumber};
use std::borrow::Cow;
use std::fmt::Write as _;

/// What a batch may cost. AWS IoT takes messages of 128 KB, which can be gzip of far more.
pub const LIMITS: Limits = Limits { body_bytes: 8 * 1024 * 1024, items: 10_000 };
/// Problems of single items that a dead letter names.
const NAMED: usize = 10;
/// What dead letters of batches have for the name of a stream: they never were in one.
const SOURCE: &str = "gateways";

/// A batch, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Its messages, in the batch's order.
    pub messages: Vec<Message>,
    /// The items that are none.
    pub refused: Vec<Refused>,
}

/// Takes a batch apart that was received at `received_at`, in milliseconds since the epoch. Pure: the same batch gives
/// the same messages with the same ids.
///
/// # Errors
/// The batch as a whole cannot be taken apart.
pub fn split(upload: &Upload, received_at: i64) -> Result<Split, BodyError> {
    let body = if is_gzip(&upload.payload) {
        Cow::Owned(inflate(&upload.payload, LIMITS.body_bytes)?)
    } else {
        Cow::Borrowed(upload.payload.as_slice())
    };
    let items = items(&body)?;
    let id = fingerprint(&[upload.facility.as_bytes(), upload.gateway.as_bytes(), &body]);
    let mut split = Split { messages: Vec::with_capacity(items.len()), refused: Vec::new() };
    for item in items {
        match item.and_then(|item| message(upload, received_at, &id, item)) {
            Ok(message) => split.messages.push(message),
            Err(refused) => split.refused.push(refused),
        }
    }
    Ok(split)
}

fn items(body: &[u8]) -> Result<Items, BodyError> {
    let form = match body.trim_ascii_start().first() {
        None => return Err(BodyError::Empty),
        Some(b'[') => Form::Json,
        Some(b'{') => Form::Lines,
        // A CBOR map, or the tag of self-described CBOR (RFC 8949, 3.4.6).
        Some(0xa0..=0xbf) => Form::CborSequence,
        Some(_) if body.starts_with(&[0xd9, 0xd9, 0xf7]) => Form::CborSequence,
        Some(_) => {
            let problem =
                "it is neither a JSON array, nor NDJSON, nor a CBOR sequence of maps, nor gzip of one of them";
            return Err(BodyError::Malformed(problem.to_owned()));
        }
    };
    read(body, form, true, &LIMITS)
}

fn message(upload: &Upload, received_at: i64, id: &str, item: Item) -> Result<Message, Refused> {
    let index = item.index;
    // Where its devices stand is where it stands itself.
    if item.facility.is_some_and(|facility| facility != upload.facility) {
        return Err(Refused::field(index, "facility", "it is not the gateway's"));
    }
    let device_id = item.device_id.ok_or_else(|| Refused::field(index, "deviceId", "it is missing"))?;
    Ok(Message {
        delivery_id: format!("{id}-{index}"),
        device_id,
        facility: upload.facility.clone(),
        kind: item.kind,
        client_id: upload.client_id.clone(),
        received_at,
        payload: item.payload,
        message_id: item.message_id,
    })
}

/// The dead letter of an event of which something could not become a message. It holds the whole event, so that the
/// function can be invoked with it again: what did become messages becomes the same ones.
///
/// Its key follows from the event and `at_ms`, in milliseconds since the epoch: the same event leaves one letter.
pub fn dead_letter(event: &[u8], upload: Option<&Upload>, at_ms: i64, reason: Reason, detail: String) -> DeadLetter {
    let place = |text: &str| u128::from_str_radix(text, 16).unwrap_or_default().to_string();
    let sequence = place(&fingerprint(&[event])).parse().unwrap_or(SequenceNumber::ZERO);
    let gateway = upload.map_or("unknown", |upload| upload.gateway.as_str());
    DeadLetter {
        stream: SOURCE.to_owned(),
        shard: gateway.to_owned(),
        position: Position { sequence, sub: 0 },
        index: None,
        partition_key: gateway.to_owned(),
        arrived_ms: at_ms,
        device_id: None,
        reason,
        detail,
        data: event.to_vec(),
    }
}

/// The problems of a batch's items in words: the first of them, and how many more there are.
pub fn told(refused: &[Refused]) -> String {
    let mut text = refused.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if refused.len() > NAMED {
        let _ = write!(text, "; and {} more", refused.len() - NAMED);
    }
    text
}
