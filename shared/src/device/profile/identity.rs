//! Chooses the identity of a message.
//!
//! Two messages with the same identity are the same message, sent or delivered twice. Results count it once.

use super::source::{Getter, View};
use super::value::Raw;
use crate::ingest::message::{MessageRef, fingerprint};
use std::fmt::Write as _;

/// The longest identity that stays readable, in bytes. A longer one is replaced by its hash.
const MAX_READABLE: usize = 64;

/// Chooses the identity of a message. It is unique among all devices: `<device>/<the producer's id>`, or a hash.
///
/// In this order, it is:
///
/// 1. what the profile's `identity` names, if all parts are there;
/// 2. the `messageId` that an app or a gateway gave;
/// 3. a hash of the device, its time and the payload;
/// 4. the delivery. A device that sends neither an id nor a time may measure the same value twice, so equal messages of
///    different deliveries are different messages.
pub(super) fn identify(named: &[Getter], view: View<'_>, message: &MessageRef<'_>, device_time: Option<i64>) -> String {
    let device = message.device_id;
    if let Some(id) = joined(named, view) {
        readable(device, 'p', &id)
    } else if let Some(id) = message.message_id {
        readable(device, 'm', id)
    } else if let Some(at) = device_time {
        fingerprint(&[device.as_bytes(), &at.to_be_bytes(), message.payload])
    } else {
        readable(device, 'd', message.delivery_id)
    }
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
