//! Lanes: a fixed number of parts into which an index by time is divided.
//!
//! Without them, all entries of such an index would be in one partition of a table, or on one node of a cluster. Lanes
//! spread the entries, and a reader queries lane by lane.

use md5::{Digest, Md5};

/// The lane of a device among `lanes`. It depends on the device's id only.
pub(crate) fn lane(device_id: &str, lanes: u8) -> u8 {
    let hash = Md5::digest(device_id.as_bytes());
    (u16::from_be_bytes([hash[0], hash[1]]) % u16::from(lanes.max(1))) as u8
}
