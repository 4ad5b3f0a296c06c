//! Chooses the identity of a message.
//!
//! Two messages with the same identity are the same message, sent or delivered twice. Results count it once. So an identity
//! follows from what the message says, and not from the way that it came.

use super::source::{Getter, View};
use super::value::Raw;
use crate::device::reading::{Reading, Value};
use crate::ingest::message::{MessageRef, fingerprint};
use std::fmt::Write as _;

/// The longest identity that stays readable, in bytes. A longer one is replaced by its hash.
const MAX_READABLE: usize = 64;

/// What a message says.
pub(super) struct Said<'d, T> {
    /// Its times by the device's clock: its own, if it has one, and those of its records.
    pub(super) times: T,
    pub(super) readings: &'d [Reading<&'d str>],
}

impl<T: Iterator<Item = i64>> Said<'_, T> {
    /// A hash of it, with the device.
    fn fingerprint(self, device: &str) -> String {
        let mut said = Vec::with_capacity(64 * self.readings.len());
        for at in self.times {
            said.extend(at.to_be_bytes());
        }
        for reading in self.readings {
            said.extend(reading.metric.as_bytes());
            said.push(0);
            match &reading.value {
                Value::Number(number) => said.extend(number.to_bits().to_be_bytes()),
                Value::Boolean(value) => said.push((*value).into()),
                Value::Text(text) => said.extend(text.as_bytes()),
                Value::Position(degrees) => said.extend(degrees.iter().flat_map(|part| part.to_bits().to_be_bytes())),
            }
            said.push(0xff);
        }
        fingerprint(&[device.as_bytes(), &said])
    }
}

/// Chooses the identity of a message. It is unique among all devices: `<device>/<the producer's id>`, or a hash.
///
/// 1. If the message has a time, that and what the profile's `identity` names are its identity. Where nothing is named, its
///    values are, whatever `messageId` they came under.
/// 2. Without a time, it is the named identity or the `messageId`, with a hash of the values: a counter that begins again
///    gives its numbers to other values.
/// 3. Without any of these, it is the delivery. A device that sends neither an id nor a time may measure the same value
///    twice, so equal messages of different deliveries are different messages.
pub(super) fn identify<T: Iterator<Item = i64> + Clone>(
    named: &[Getter],
    view: View<'_>,
    message: &MessageRef<'_>,
    said: Said<'_, T>,
) -> String {
    let device = message.device_id;
    let at = said.times.clone().next();
    match (joined(named, view), at, message.message_id) {
        (Some(mut id), Some(at), _) => {
            let _ = write!(id, "@{at}");
            readable(device, 'p', &id)
        }
        (None, Some(_), _) => said.fingerprint(device),
        (Some(id), None, _) => readable(device, 'p', &with_values(&id, said.fingerprint(device))),
        (None, None, Some(id)) => readable(device, 'm', &with_values(id, said.fingerprint(device))),
        (None, None, None) => readable(device, 'd', message.delivery_id),
    }
}

/// An id with the first half of the hash of the values, which suffices to tell apart values under one id.
fn with_values(id: &str, values: String) -> String {
    format!("{id}~{}", values.get(..16).unwrap_or(&values))
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
