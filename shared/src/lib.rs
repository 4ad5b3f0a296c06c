//! Myaku's domain: what a device sent, what it means, and where it goes, with the adapters beside their ports.
//!
//! In reading order. With no features there is no SDK in the tree: decisions are pure functions of their inputs,
//! time included, and every effect stands behind a narrow port.

pub mod alarms;
pub mod alert;
pub mod archive;
pub mod batch;
pub mod clock;
pub mod command;
pub mod dead_letter;
pub mod delivery;
pub mod gateway;
pub mod intake;
pub mod kpl;
pub mod message;
pub mod presence;
pub mod profile;
pub mod reading;
pub mod reshard;
pub mod results;
pub mod shards;
pub mod stream;
pub mod submission;
pub mod window;

#[cfg(feature = "aws")]
pub mod aws;
pub mod env;
pub mod errors;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod logging;
pub mod telemetry;
#[cfg(feature = "redis")]
pub mod valkey;
