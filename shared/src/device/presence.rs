//! Who is connected, and who has fallen silent.
//!
//! Two facts about a device that are not the same. A *connection* is what AWS IoT tells of a client of MQTT; its events
//! come late, repeated and out of order, and are resolved into a [`Presence`] here. *Silence* is that no message came for
//! longer than the device's profile expects, whichever way in it uses; a [`watch`] knows by when each device must be
//! heard again.
//!
//! **Where last seen comes from.** A write of DynamoDB for each message, or for each device and minute, would cost as much
//! as the results themselves. So *transform*, which sees every message and has asked the registry for the profile, tells
//! the watch of all devices of a batch in one round trip to Redis: by when each is expected again. The watch sorts devices
//! by that time, so that the sweep reads those that are overdue, and no other, however many millions there are. Redis may
//! lose its memory: the sweep walks the registry once an hour, and at once where its own place in that walk is lost too,
//! and expects every device that is neither watched nor known to be silent. So a loss delays an alert, and prevents none.

mod event;
mod status;
pub mod store;
pub mod watch;

pub use event::{Change, EventError, Lifecycle, MAX_AHEAD_MS};
pub use status::{Presence, observe, settle};

#[cfg(test)]
mod tests;
