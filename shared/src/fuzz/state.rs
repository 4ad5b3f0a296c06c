//! Windows, as Redis has them.

use crate::keyed::codec::{decode, encode};
use crate::window::DeviceState;
use sha2::{Digest as _, Sha256};

/// Bytes as a stored state, and as one whose digest is right.
pub fn state(bytes: &[u8]) {
    only_encoding(bytes);
    let digest = Sha256::digest(bytes);
    only_encoding(&[&digest[..16], bytes].concat());
}

/// What is read as a state is the one way to write that state.
fn only_encoding(bytes: &[u8]) {
    if let Ok(state) = decode::<DeviceState>(bytes) {
        assert_eq!(encode(&state), bytes);
    }
}
