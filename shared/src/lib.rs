//! The domain of Myaku: what a device sends, what it means, and where it goes.
//!
//! The crate is divided into rooms. A room keeps a concept's rules, its ports (narrow traits) and their adapters
//! together. A port has one adapter in memory and one for the real service, and both pass one conformance suite. A room
//! uses only the rooms above it in this list, and `make tidy` checks that:
//!
//! | room | what it is for |
//! |---|---|
//! | [`platform`] | what every room needs from outside: clock, settings, errors, logs, metrics, AWS clients, Redis |
//! | [`alert`] | incidents, and the alerts that report them |
//! | [`stream`] | records of a Kinesis stream: a batch of them, aggregates, putting records, reading shard by shard |
//! | [`lake`] | the archive in S3 that holds each record exactly once, and the dead letters |
//! | [`ingest`] | messages, and the ways by which they arrive |
//! | [`http`] | requests through the HTTP API, and who makes them |
//! | [`device`] | devices, their profiles, the readings that a profile decodes, and which devices are connected |
//! | [`results`] | the rows that readers query |
//! | [`keyed`] | the state that a function keeps for each device, and the order of effects and commits |
//! | [`window`] | moving averages and windows of time, as pure functions of a set of readings |
//! | [`anomaly`] | how unusual a reading is, by the readings before it |
//! | [`scaling`] | how many shards a stream should have, and how it gets there; uses `platform` and `stream` only |
//!
//! **Reading order for a newcomer**: [`ingest::message`], [`stream::batch`], [`lake::archive`], [`device::profile`],
//! [`window`].
//!
//! **Decisions are pure.** They are functions of their inputs, time included. Effects are behind ports. Without
//! features the crate depends on no SDK. The features `kinesis`, `s3`, `dynamodb`, `cloudwatch`, `sns` and `redis` add
//! the adapters, `lambda` adds the serving of handlers, `stateful` runs a stateful function,
//! and `testing` adds the conformance suites.
//!
//! From a payload to a reading, without any service:
//!
//! ```
//! use myaku::device::profile::Profile;
//! use myaku::device::reading::Value;
//! use myaku::ingest::message::MessageRef;
//!
//! let document = br#"{
//!     "id": "lamp",
//!     "metrics": {"brightness": {"unit": "%"}},
//!     "versions": [{"name": "1", "format": "json", "fields": [{"metric": "brightness", "from": "level"}]}]
//! }"#;
//! let profile = Profile::parse(document).map_err(|problems| problems[0].to_string())?;
//! let message = MessageRef {
//!     delivery_id: "7d0c",
//!     device_id: "lamp-1",
//!     facility: "home-3",
//!     kind: "state",
//!     client_id: None,
//!     received_at: 1_795_218_892_020,
//!     payload: br#"{"level": 80}"#,
//!     message_id: None,
//!     sender: None,
//! };
//! let decoded = profile.decode(message, 1_795_218_892_120);
//! assert_eq!(decoded.readings[0].value, Value::Number(80.0));
//! # Ok::<(), String>(())
//! ```

pub mod alert;
pub mod anomaly;
pub mod device;
pub mod http;
pub mod ingest;
pub mod keyed;
pub mod lake;
pub mod platform;
pub mod results;
pub mod scaling;
pub mod stream;
pub mod window;

#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
