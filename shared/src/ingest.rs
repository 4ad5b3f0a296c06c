//! How messages come in, up to the moment when the stream has them.
//!
//! - [`message`]: the [`Message`](message::Message), which the IoT rule builds in SQL and the functions build here.
//! - [`submission`]: a request's body: one item or many, JSON, NDJSON or CBOR, compressed or not.
//! - [`gateway`]: a gateway's batch, taken apart into the messages of its devices.
//! - [`delivery`]: messages, put on the stream together.
//! - [`command`]: what waits for a device that only calls in over HTTP.
//!
//! **Identity.** A delivery id names one delivery: a device that sends again gets another one. What makes two messages the
//! same is the *producer's* identity: the `messageId` of an item, a sequence number, or the digest of a batch. It never
//! depends on how the message came in.
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
pub mod message;
pub mod submission;
