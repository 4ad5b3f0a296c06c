//! Decodes records of the stream `ingest` into readings, with what the registry knows of their devices.
//!
//! Decoding is pure. So the function `transform` and the tools that decode the lake's records again get the same
//! readings.

use crate::device::profile::{Decoded, Profile};
use crate::device::registry::Resolved;
use crate::ingest::message::{BorrowedMessage, Message, MessageRef, Role, Sender};
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

/// Why a whole record gives no readings, after its device if one is known.
pub type NoReadings<'r> = (Option<&'r str>, Cow<'r, Problem>);

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

    /// Who sent the message, if it is known and not the device itself.
    pub fn sent_by(&self) -> Option<Sender<'_>> {
        let (Self::Message(message) | Self::Foreign(message, _)) = self else { return None };
        let sender = message.sender()?;
        (sender.role != Role::Device || sender.id != message.device_id).then_some(sender)
    }

    /// The message with its profile, if the registry knows the device, and its sender may speak for it.
    ///
    /// # Errors
    /// The message or its device cannot be used, or the device does not take messages of this sender.
    pub fn admit<'r>(
        &'r self,
        resolved: Option<&'r Resolved>,
    ) -> Result<(MessageRef<'r>, &'r Profile), NoReadings<'r>> {
        let message = match self {
            Self::Foreign(_, problem) if matches!(resolved, None | Some(Resolved::UnknownDevice)) => {
                return Err((None, Cow::Borrowed(problem)));
            }
            Self::Message(message) | Self::Foreign(message, _) => message,
            Self::Unreadable(problem) => return Err((None, Cow::Borrowed(problem))),
        };
        let mut message = MessageRef::from(message);
        let id = message.device_id;
        let known = resolved.ok_or_else(|| Resolved::unknown_device(id)).and_then(|resolved| resolved.known(id));
        let (device, profile) = known.map_err(|problem| (Some(id), Cow::Owned(problem)))?;
        if let Self::Foreign(..) = self {
            // It came through no facility: a producer of ours put it on the stream itself.
            message.facility = device.facility.as_deref().unwrap_or_default();
        } else {
            let right = device.takes_from(message.facility, message.sender());
            right.map_err(|wrong| (Some(id), Cow::Owned(wrong.into())))?;
        }
        Ok((message, profile))
    }

    /// Decodes the record with what the registry knows of its device.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn decode<'r>(
        &'r self,
        resolved: Option<&'r Resolved>,
        arrived_ms: i64,
    ) -> Result<Decoded<'r>, NoReadings<'r>> {
        let (message, profile) = self.admit(resolved)?;
        Ok(profile.decode(message, arrived_ms))
    }
}
