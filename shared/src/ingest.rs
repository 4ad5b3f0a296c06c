//! How messages come in, until the stream has them.
//!
//! In reading order:
//!
//! - [`message`]: the [`Message`](message::Message). The IoT rule builds it in SQL, and the functions build it here.
//! - [`submission`]: the body of a request or a batch: one item or many, in JSON, NDJSON or CBOR, with or without gzip.
//! - [`limits`]: how much of a body is read, and how much of what is wrong is shown.
//! - [`gateway`]: splits a gateway's batch into the messages of its devices.
//! - [`delivery`]: puts messages that came in together on the stream together.
//! - [`command`]: the command that waits for a device which only calls in over HTTP.
//!
//! **Identity.** A delivery id names one delivery: a device that sends again gets another one. Two messages are the
//! same if the *producer* says so: by the `messageId` of an item, a sequence number, or the digest of a batch. Their
//! identity never depends on how they came in.
//!
//! This room uses [`lake`](crate::lake) for one thing: what it refuses becomes a dead letter, with a
//! [`Reason`](crate::lake::dead_letter::Reason).
//!
//! ```
//! use myaku::ingest::message::Message;
//!
//! let json = br#"{"deliveryId":"7d0c","deviceId":"bed-17","facility":"home-3","kind":"vital",
//!                 "clientId":"gw-3","receivedAt":1795218892020,"payload":"eyJociI6NzF9"}"#;
//! let message = Message::parse(json)?;
//! assert_eq!(message.payload, br#"{"hr":71}"#);
//! # Ok::<(), myaku::ingest::message::MessageError>(())
//! ```

pub mod command;
pub mod delivery;
pub mod gateway;
pub mod limits;
pub mod message;
pub mod submission;
