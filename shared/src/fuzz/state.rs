//! Checks the reading of window states from Redis.

use crate::keyed::codec::{decode, encode};
use crate::window::DeviceState;
use sha2::{Digest as _, Sha256};

/// Uses the bytes as a stored state, and as one with a valid digest.
pub fn state(bytes: &[u8]) {
    check_same_bytes(bytes);
    let digest = Sha256::digest(bytes);
    check_same_bytes(&[&digest[..16], bytes].concat());
}

/// Checks that a state is encoded as the bytes that it was decoded from: there is only one encoding.
fn check_same_bytes(bytes: &[u8]) {
    if let Ok(state) = decode::<DeviceState>(bytes) {
        assert_eq!(encode(&state), bytes);
    }
}
