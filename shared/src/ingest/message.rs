//! The record of the stream `ingest`: exactly what a device sent, and who sent it, where and when.
//!
//! The IoT rule and the functions build it. The parser enforces the same limits for every producer, so that later users
//! of its fields (keys, topics, logs) need not check them again.

mod fingerprint;
mod parse;
mod sender;

pub(crate) use fingerprint::fingerprint;
pub use parse::MessageError;
pub use parse::topic_level;
pub use sender::{MAX_SENDER, Role, Sender};

use crate::stream::batch::Position;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::borrow::Cow;

/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// The longest id of a device, a facility, a kind, a client or a delivery, in bytes: AWS IoT's limit for a client id.
pub const MAX_ID: usize = 128;
/// The longest `messageId`, in bytes.
pub const MAX_MESSAGE_ID: usize = 256;
/// The source of a foreign record whose partition key does not name one. Some log agents only support random keys.
pub const UNNAMED_SOURCE: &str = "unnamed-source";

/// One delivery of one message. It owns its texts and its payload, or borrows them from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<T = String, P = Vec<u8>> {
    /// Identifies this delivery. If a device sends a message again, that is another delivery.
    pub delivery_id: T,
    /// The device, as its topic names it.
    pub device_id: T,
    /// Where the device is.
    pub facility: T,
    /// The last level of the topic: `vital`.
    pub kind: T,
    /// The MQTT client that published it, if there was one. For a gateway's batch it is the gateway's client.
    pub client_id: Option<T>,
    /// When it was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// Exactly what the device sent.
    pub payload: P,
    /// The producer's own id of the message, if it came over HTTP or in a gateway's batch.
    pub message_id: Option<T>,
    /// Who sent it, as [`Sender::to_wire`] writes it; `None` if the MQTT client says it, or if a producer of ours put the
    /// message on the stream itself.
    pub sender: Option<T>,
}

impl<T: AsRef<str>, P> Message<T, P> {
    /// Who sent it. `None` if a producer put it on the stream itself: IAM lets only producers of ours do that.
    pub fn sender(&self) -> Option<Sender<'_>> {
        if let Some(sender) = &self.sender {
            return Some(Sender::parse(sender.as_ref()));
        }
        let id = self.client_id.as_ref()?.as_ref();
        let role = if id == self.device_id.as_ref() { Role::Device } else { Role::Client };
        Some(Sender { role, id })
    }
}

/// A message that borrows from its record all texts without escapes.
pub type BorrowedMessage<'a> = Message<Cow<'a, str>, Cow<'a, [u8]>>;

/// A reference to a message, whichever way it holds its fields.
pub type MessageRef<'a> = Message<&'a str, &'a [u8]>;

impl<'a, T: AsRef<str>, P: AsRef<[u8]>> From<&'a Message<T, P>> for MessageRef<'a> {
    fn from(message: &'a Message<T, P>) -> Self {
        Self {
            delivery_id: message.delivery_id.as_ref(),
            device_id: message.device_id.as_ref(),
            facility: message.facility.as_ref(),
            kind: message.kind.as_ref(),
            client_id: message.client_id.as_ref().map(T::as_ref),
            received_at: message.received_at,
            payload: message.payload.as_ref(),
            message_id: message.message_id.as_ref().map(T::as_ref),
            sender: message.sender.as_ref().map(T::as_ref),
        }
    }
}

impl Message {
    /// Parses a record of `ingest`. Unknown keys are ignored, so that a producer can be newer than this code.
    ///
    /// # Errors
    /// The record is not a JSON object; or a field is missing, has the wrong type or is beyond its limit. The error
    /// names the field.
    pub fn parse(record: &[u8]) -> Result<Self, MessageError> {
        let message = parse::message(record)?;
        Ok(Self {
            delivery_id: message.delivery_id.into_owned(),
            device_id: message.device_id.into_owned(),
            facility: message.facility.into_owned(),
            kind: message.kind.into_owned(),
            client_id: message.client_id.map(Cow::into_owned),
            received_at: message.received_at,
            payload: message.payload.into_owned(),
            message_id: message.message_id.map(Cow::into_owned),
            sender: message.sender.map(Cow::into_owned),
        })
    }

    /// The record of `ingest`.
    ///
    /// ```
    /// use myaku::ingest::message::Message;
    /// let record = br#"{"deliveryId":"d","deviceId":"bed-17","facility":"home-3","kind":"vital","receivedAt":1,"payload":"aGk="}"#;
    /// let message = Message::parse(record)?;
    /// assert_eq!((message.payload.as_slice(), message.to_json().as_bytes()), (b"hi".as_slice(), record.as_slice()));
    /// # Ok::<(), myaku::ingest::message::MessageError>(())
    /// ```
    pub fn to_json(&self) -> String {
        let wire = Wire {
            delivery_id: &self.delivery_id,
            device_id: &self.device_id,
            facility: &self.facility,
            kind: &self.kind,
            client_id: self.client_id.as_deref(),
            received_at: self.received_at,
            payload: STANDARD.encode(&self.payload),
            message_id: self.message_id.as_deref(),
            sender: self.sender.as_deref(),
        };
        // Strings and one integer can always be serialized.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

impl<'a> BorrowedMessage<'a> {
    /// Parses a record of `ingest` like [`Message::parse`], without copying texts that have no escapes.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn of(record: &'a [u8]) -> Result<Self, MessageError> {
        parse::message(record)
    }

    /// A message for a foreign record, such as a log agent's line. The source of the record is the part of its
    /// partition key before the first `:`, or [`UNNAMED_SOURCE`] if there is no `:`. The registry has the source as a
    /// device, whose profile says how to decode the record, or that the lake is all it needs (format `text`).
    ///
    /// `None` if the source cannot be the id of a device, or if the record is too large.
    pub fn foreign(partition_key: &'a str, position: Position, arrived_ms: i64, data: &'a [u8]) -> Option<Self> {
        let source = partition_key.split_once(':').map_or(UNNAMED_SOURCE, |(source, _)| source);
        if topic_level(source).is_err() || data.len() > MAX_PAYLOAD {
            return None;
        }
        Some(Self {
            delivery_id: Cow::Owned(position.to_string()),
            device_id: Cow::Borrowed(source),
            facility: Cow::Borrowed(""),
            kind: Cow::Borrowed(""),
            client_id: None,
            received_at: arrived_ms,
            payload: Cow::Borrowed(data),
            message_id: None,
            sender: None,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    delivery_id: &'a str,
    device_id: &'a str,
    facility: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    received_at: i64,
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wire_form_is_that_of_the_topic_rule() {
        let message = Message {
            delivery_id: "7d0c2a55-7f4b-4f54-8a50-0d5a2b3a3c11".to_owned(),
            device_id: "bed-17".to_owned(),
            facility: "home-3".to_owned(),
            kind: "vital".to_owned(),
            client_id: Some("gw-3".to_owned()),
            received_at: 1_795_218_892_020,
            payload: vec![0, 255, 16],
            message_id: None,
            sender: None,
        };
        insta::assert_snapshot!(
            message.to_json(),
            @r#"{"deliveryId":"7d0c2a55-7f4b-4f54-8a50-0d5a2b3a3c11","deviceId":"bed-17","facility":"home-3","kind":"vital","clientId":"gw-3","receivedAt":1795218892020,"payload":"AP8Q"}"#
        );
    }

    #[test]
    fn a_foreign_record_belongs_to_the_source_that_its_partition_key_names() {
        let foreign = |partition_key: &str| {
            Message::foreign(partition_key, Position::ZERO, 7, b"GET /")
                .map(|message| (message.device_id.into_owned(), message.received_at, message.payload.into_owned()))
        };
        assert_eq!(foreign("app-log:7f3a:1"), Some(("app-log".to_owned(), 7, b"GET /".to_vec())));
        assert_eq!(foreign("7f3a").unwrap().0, UNNAMED_SOURCE);
        for bad in [":7f3a", "a/b:7f3a", "a\nb:7f3a"] {
            assert_eq!(foreign(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_way_in_says_who_sent_a_message_and_without_its_word_the_client_does() {
        let sender = |sender: Option<&str>, client: Option<&str>| {
            let mut message = Message::foreign("bed-17:1", Position::ZERO, 7, b"").unwrap();
            (message.sender, message.client_id) = (sender.map(Cow::Borrowed), client.map(Cow::Borrowed));
            message.sender().map(|sender| sender.to_string())
        };
        assert_eq!(sender(None, Some("bed-17")).as_deref(), Some("device:bed-17"));
        assert_eq!(sender(None, Some("hub-3")).as_deref(), Some("client:hub-3"));
        assert_eq!(sender(Some("gateway:hub-3"), Some("bed-17")).as_deref(), Some("gateway:hub-3"));
        assert_eq!(sender(None, None), None);
    }

    fn id() -> impl Strategy<Value = String> {
        "[\\PC&&[^/+#]]{1,30}"
    }

    proptest! {
        #[test]
        fn json_round_trips(
            (delivery_id, device_id, facility, kind) in (id(), id(), id(), id()),
            client_id in prop::option::of(id()),
            (message_id, sender) in (prop::option::of(id()), prop::option::of(id())),
            received_at in 0..=crate::platform::clock::MAX_MS,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let message = Message { delivery_id, device_id, facility, kind, client_id, received_at, payload, message_id, sender };
            prop_assert_eq!(Message::parse(message.to_json().as_bytes()), Ok(message));
        }
    }
}
