//! What makes two messages the same: the producer's own identity of a message.

use super::source::{Getter, View};
use super::value::Raw;
use crate::ingest::message::{MessageRef, fingerprint};
use std::fmt::Write as _;

/// The longest identity that is kept as it is, in bytes; a longer one is kept as its hash.
const MAX_READABLE: usize = 64;

/// The identity of a message, unique among all devices: `<device>/<the producer's id>`, or a hash.
///
/// In this order: what the profile names, if all of it is there; the `messageId` that an app or a gateway gave; a hash of the
/// device, its time and the payload. A device that sends neither an id nor a time may well measure the same twice, so
/// its messages are told apart by their delivery.
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

/// The parts of a named identity, or `None` if one is not there or is nothing that could be one.
fn joined(named: &[Getter], view: View<'_>) -> Option<String> {
    let mut id = String::new();
    for (index, getter) in named.iter().enumerate() {
        let raw = getter.get(view).ok()?;
        if index > 0 {
            id.push(':');
        }
        match raw {
            Raw::Absent => return None,
            // The common case without a text of its own.
            Raw::Integer(number) => write!(id, "{number}").ok()?,
            other => id.push_str(&other.into_text().ok()?),
        }
    }
    (!id.is_empty()).then_some(id)
}

/// `mark` keeps a sequence number apart from a message id of the same digits.
fn readable(device: &str, mark: char, id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic();
    if id.len() <= MAX_READABLE && id.bytes().all(plain) && device.bytes().all(plain) {
        [device, "/", mark.encode_utf8(&mut [0; 4]), id].concat()
    } else {
        fingerprint(&[device.as_bytes(), &[mark as u8], id.as_bytes()])
    }
}
