//! Who sent a message, as its way in established it.
//!
//! A topic, a token or a signature proves who sent. Each way in writes that into the message, and never what the payload
//! says. It decides whether the message counts, and stays with the readings that come of it.

use super::MAX_ID;
use serde::{Serialize, Serializer};
use std::fmt;

/// The longest sender on the wire, in bytes.
pub const MAX_SENDER: usize = 2 * MAX_ID;

/// In what right a sender speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The device itself: its MQTT client, or its own token.
    Device,
    /// A gateway, which sends for the devices of its facility.
    Gateway,
    /// An app with a token, which sends for the devices of its facilities.
    App,
    /// A caller that signs with IAM.
    Iam,
    /// An MQTT client that is neither the device nor known as a gateway.
    Client,
    /// A role that this version does not know.
    Unknown,
}

impl Role {
    /// The roles that have a name on the wire.
    const NAMED: [Self; 5] = [Self::Device, Self::Gateway, Self::App, Self::Iam, Self::Client];

    /// The name on the wire; empty for a role that this version does not know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Gateway => "gateway",
            Self::App => "app",
            Self::Iam => "iam",
            Self::Client => "client",
            Self::Unknown => "",
        }
    }
}

/// A sender: `gateway:hub-3` on the wire.
///
/// ```
/// use myaku::ingest::message::{Role, Sender};
/// let sender = Sender::parse("gateway:hub-3");
/// assert_eq!((sender.role, sender.id), (Role::Gateway, "hub-3"));
/// assert_eq!(sender.to_string(), "gateway:hub-3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// In what right it speaks.
    pub role: Role,
    /// The MQTT client, the gateway, the token's subject or the ARN; the whole text of a sender with an unknown role.
    pub id: &'a str,
}

impl<'a> Sender<'a> {
    /// Parses a sender. Never fails, so that a producer can be newer than this code.
    pub fn parse(text: &'a str) -> Self {
        let named = text.split_once(':').and_then(|(name, id)| {
            let role = Role::NAMED.into_iter().find(|role| role.name() == name)?;
            Some(Self { role, id })
        });
        named.unwrap_or(Self { role: Role::Unknown, id: text })
    }

    /// The sender on the wire, within its limits: without control characters, and with at most [`MAX_ID`] bytes of its
    /// id.
    pub fn to_wire(self) -> String {
        let mut id: String = self.id.chars().filter(|character| !character.is_control()).collect();
        id.truncate(id.floor_char_boundary(MAX_ID));
        Sender { role: self.role, id: &id }.to_string()
    }
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Unknown => f.write_str(self.id),
            role => write!(f, "{}:{}", role.name(), self.id),
        }
    }
}

impl Serialize for Sender<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_read_as_it_was_written() {
        for role in Role::NAMED {
            for id in ["hub-3", "a:b", ""] {
                let text = Sender { role, id }.to_string();
                assert_eq!(Sender::parse(&text), Sender { role, id }, "{text}");
            }
        }
        for text in ["robot:7", "hub-3", ":7", ""] {
            assert_eq!(Sender::parse(text).role, Role::Unknown, "{text}");
            assert_eq!(Sender::parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_sender_on_the_wire_is_short_and_has_no_control_character() {
        let text = Sender { role: Role::App, id: &"é\n".repeat(1_000) }.to_wire();
        assert_eq!(text, format!("app:{}", "é".repeat(64)));
    }
}
