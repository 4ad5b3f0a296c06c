//! Decodes records of the stream `ingest` into readings, with what the registry knows of their devices.
//!
//! Decoding is pure. So the function `transform` and the tools that decode the lake's records again get the same
//! readings.

use crate::device::profile::Decoded;
use crate::device::registry::Resolved;
use crate::ingest::message::{BorrowedMessage, Message, MessageRef};
use crate::lake::dead_letter::Problem;
use crate::stream::batch::UserRecord;
use std::borrow::Cow;

/// What a user record contains. It borrows from the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A message of a device.
    Message(BorrowedMessage<'a>),
    /// A record of another form. Its source may be registered as a device; if it is not, the problem says why the
    /// record is not a message.
    Foreign(BorrowedMessage<'a>, Problem),
    /// Neither a message nor a record with a source.
    Unreadable(Problem),
}

impl<'a> Content<'a> {
    /// Reads as much of a record as is possible without the registry. Never fails: a problem is part of the result.
    pub fn of(source: &UserRecord<'a>) -> Self {
        match BorrowedMessage::of(source.data) {
            Ok(message) => Self::Message(message),
            Err(error) => {
                let problem = Problem { reason: error.reason(), detail: error.to_string() };
                match Message::foreign(source.partition_key, source.position(), source.arrived_ms, source.data) {
                    Some(message) => Self::Foreign(message, problem),
                    None => Self::Unreadable(problem),
                }
            }
        }
    }

    /// The device or source to look up in the registry.
    pub fn device_id(&self) -> Option<&str> {
        match self {
            Self::Message(message) | Self::Foreign(message, _) => Some(&message.device_id),
            Self::Unreadable(_) => None,
        }
    }

    /// Decodes the record with what the registry knows of its device.
    ///
    /// # Errors
    /// Why the whole record gives no readings, and the device if one is known.
    pub fn decode<'r>(
        &'r self,
        resolved: Option<&'r Resolved>,
        arrived_ms: i64,
    ) -> Result<Decoded<'r>, (Option<&'r str>, Cow<'r, Problem>)> {
        let message = match self {
            Self::Foreign(_, problem) if matches!(resolved, None | Some(Resolved::UnknownDevice)) => {
                return Err((None, Cow::Borrowed(problem)));
            }
            Self::Message(message) | Self::Foreign(message, _) => message,
            Self::Unreadable(problem) => return Err((None, Cow::Borrowed(problem))),
        };
        let message = MessageRef::from(message);
        let id = message.device_id;
        match resolved.ok_or_else(|| Resolved::unknown_device(id)).and_then(|resolved| resolved.known(id)) {
            Ok((device, profile)) => {
                // The registry's facility takes precedence over the message's.
                let facility = device.facility.as_deref().unwrap_or(message.facility);
                Ok(profile.decode(Message { facility, ..message }, arrived_ms))
            }
            Err(problem) => Err((Some(id), Cow::Owned(problem))),
        }
    }
}
