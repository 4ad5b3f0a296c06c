//! Lanes: the fixed number of parts that an index by time is cut into.
//!
//! Entries that are read in the order of their time would all fall into one partition of a table, or one node of a
//! cluster. Lanes spread them, and a reader asks lane by lane.

use md5::{Digest, Md5};

/// The lane of a device among `lanes`. It follows from the device's id alone.
pub(crate) fn lane(device_id: &str, lanes: u8) -> u8 {
    let hash = Md5::digest(device_id.as_bytes());
    (u16::from_be_bytes([hash[0], hash[1]]) % u16::from(lanes.max(1))) as u8
}
