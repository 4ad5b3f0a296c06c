//! Tracks which devices are connected, and which have fallen silent.
//!
//! These are two different facts about a device:
//!
//! - A *connection* is what AWS IoT reports about an MQTT client. Its events arrive late, repeated and out of order;
//!   [`observe`] and [`settle`] resolve them into a [`Presence`], which a [`store`] keeps.
//! - *Silence* means that no message arrived for longer than the device's profile expects, over MQTT or any other way
//!   in. A [`watch`] knows when each device is expected again.
//!
//! **How the watch knows when a device was last heard.** A DynamoDB write for each message, or for each device and
//! minute, would cost as much as the results themselves. Instead, *transform* updates the watch: it sees every message
//! and has already read the profile from the registry. In one round trip to Redis for each batch, it sets when each
//! device is expected again. The watch sorts devices by that time, so the sweep reads only the overdue ones, even among
//! millions.
//!
//! Redis may lose its memory. Therefore the sweep walks through the registry once an hour, or immediately if its
//! position in that walk is lost too. It expects every device that is neither watched nor known to be silent. So a loss
//! of memory delays an alert, but never prevents one.
//!
//! ```
//! use myaku::device::presence::{Lifecycle, observe, settle};
//! use std::time::Duration;
//!
//! let now_ms = 1_795_218_892_020;
//! let event = br#"{"clientId":"bed-17","timestamp":1795218892020,"eventType":"disconnected",
//!     "sessionIdentifier":"a4","versionNumber":3,"disconnectReason":"CONNECTION_LOST"}"#;
//! let grace = Duration::from_secs(30);
//! let pending = observe(None, &Lifecycle::parse(event, now_ms)?, now_ms, grace).expect("the first event is new");
//! assert!(pending.connected, "the device may reconnect within the grace period");
//! let settled = settle(&pending, now_ms + 30_000).expect("the grace period is over");
//! assert!(!settled.connected);
//! # Ok::<(), myaku::device::presence::EventError>(())
//! ```

mod event;
mod status;
pub mod store;
pub mod watch;

pub use event::{Change, EventError, Lifecycle, MAX_AHEAD_MS};
pub use status::{Presence, observe, settle};

#[cfg(test)]
mod tests;
