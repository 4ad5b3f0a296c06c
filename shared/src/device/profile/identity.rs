//! Chooses the identity of a message.
//!
//! Two messages with the same identity are the same message, sent or delivered twice. Results count it once. So an identity
//! follows from what the message says, and not from the way that it came.

use super::source::{Getter, View};
use super::value::Raw;
use crate::ingest::message::{MessageRef, fingerprint};
use crate::platform::text::trimmed;
use std::fmt::Write as _;

/// The longest identity that stays readable, in bytes. A longer one is replaced by its hash.
const MAX_READABLE: usize = 64;

/// Chooses the identity of a message, of whose measurements `times` are the times by the device's clock. It is unique among
/// all devices: `<device>/<the producer's id>`, or a hash.
///
/// 1. What the profile's `identity` names is its identity, with its time. Without a time that a clock which was set can show,
///    it is that with a hash of the payload: a counter that begins again gives its numbers to other payloads.
/// 2. Where nothing is named, a time makes the payload its own identity, whatever `messageId` it came under.
/// 3. Without a time, it is the `messageId` with a hash of the payload.
/// 4. Without any of these, it is the delivery. A device that sends neither an id nor a time may measure the same value
///    twice, so equal messages of different deliveries are different messages.
///
/// Values have no part in it: they change with the profile, and a message that is replayed must stay the same.
pub(super) fn identify(
    named: &[Getter],
    view: View<'_>,
    message: &MessageRef<'_>,
    time: Option<i64>,
    not_before_ms: i64,
) -> String {
    let device = message.device_id;
    let payload = || fingerprint(&[device.as_bytes(), trimmed(message.payload)]);
    match (joined(named, view), time, message.message_id) {
        (Some(mut id), Some(at), _) if at >= not_before_ms => {
            let _ = write!(id, "@{at}");
            readable(device, 'p', &id)
        }
        (Some(id), _, _) => readable(device, 'p', &with_hash(&id, &payload())),
        (None, Some(_), _) => payload(),
        (None, None, Some(id)) => readable(device, 'm', &with_hash(id, &payload())),
        (None, None, None) => readable(device, 'd', message.delivery_id),
    }
}

/// An id with the first half of a hash, which suffices to tell apart payloads under one id.
fn with_hash(id: &str, hash: &str) -> String {
    format!("{id}~{}", hash.get(..16).unwrap_or(hash))
}

/// Joins the parts of a named identity. `None` if a part is missing or is not a simple value.
fn joined(named: &[Getter], view: View<'_>) -> Option<String> {
    let mut id = String::new();
    for (index, getter) in named.iter().enumerate() {
        let raw = getter.get(view).ok()?;
        if index > 0 {
            id.push(':');
        }
        match raw {
            Raw::Absent => return None,
            // The common case, without allocating another text.
            Raw::Integer(number) => write!(id, "{number}").ok()?,
            other => id.push_str(&other.into_text().ok()?),
        }
    }
    (!id.is_empty()).then_some(id)
}

/// `mark` distinguishes a sequence number from a message id with the same digits.
fn readable(device: &str, mark: char, id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic();
    if id.len() <= MAX_READABLE && id.bytes().all(plain) && device.bytes().all(plain) {
        [device, "/", mark.encode_utf8(&mut [0; 4]), id].concat()
    } else {
        fingerprint(&[device.as_bytes(), &[mark as u8], id.as_bytes()])
    }
}
