//! From a record of `ingest` to readings: purely, once the device that it names is known.
//!
//! The function `transform` makes readings with it, and whoever needs the readings of the lake makes the same ones.

use crate::device::profile::Decoded;
use crate::device::registry::Resolved;
use crate::ingest::message::{Borrowed, Message, MessageRef};
use crate::lake::dead_letter::Problem;
use crate::stream::batch::UserRecord;
use std::borrow::Cow;

/// What a user record is. It borrows from the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A message of a device.
    Message(Borrowed<'a>),
    /// A record of another form, whose source may be known to the registry; the problem counts if it is not.
    Foreign(Borrowed<'a>, Problem),
    /// Neither.
    Neither(Problem),
}

impl<'a> Content<'a> {
    /// Reads a record as far as that goes without knowing any device. Nothing in it can fail this.
    pub fn of(source: &UserRecord<'a>) -> Self {
        match Borrowed::of(source.data) {
            Ok(message) => Self::Message(message),
            Err(error) => {
                let problem = Problem { reason: error.reason(), detail: error.to_string() };
                match Message::foreign(source.partition_key, source.position(), source.arrived_ms, source.data) {
                    Some(message) => Self::Foreign(message, problem),
                    None => Self::Neither(problem),
                }
            }
        }
    }

    /// The device or source that must be known.
    pub fn device_id(&self) -> Option<&str> {
        match self {
            Self::Message(message) | Self::Foreign(message, _) => Some(&message.device_id),
            Self::Neither(_) => None,
        }
    }

    /// Decodes it by what the registry knows of its device.
    ///
    /// # Errors
    /// The whole record gives no readings: why, and the device where it got far enough to name one.
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
            Self::Neither(problem) => return Err((None, Cow::Borrowed(problem))),
        };
        let message = MessageRef::from(message);
        let id = message.device_id;
        match resolved.ok_or_else(|| Resolved::unknown_device(id)).and_then(|resolved| resolved.known(id)) {
            Ok((device, profile)) => {
                // The registry decides where a device stands, if it says so.
                let facility = device.facility.as_deref().unwrap_or(message.facility);
                Ok(profile.decode(Message { facility, ..message }, arrived_ms))
            }
            Err(problem) => Err((Some(id), Cow::Owned(problem))),
        }
    }
}
