//! Checks the reading of window states from Redis.

use crate::keyed::codec::{decode, encode};
use crate::window::DeviceState;
use sha2::{Digest as _, Sha256};

/// Uses the bytes as a stored state, and as one with a valid digest.
pub fn state(bytes: &[u8]) {
    check_same_state(bytes);
    let digest = Sha256::digest(bytes);
    check_same_state(&[&digest[..16], bytes].concat());
}

/// Checks that a state is encoded as bytes that are decoded to the same state.
fn check_same_state(bytes: &[u8]) {
    if let Ok(state) = decode::<DeviceState>(bytes) {
        assert_eq!(decode(&encode(&state)), Ok(state));
    }
}
