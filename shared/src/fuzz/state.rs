//! Checks the reading of states from Redis.

use crate::anomaly::rules::DetectorState;
use crate::keyed::State;
use crate::keyed::codec::{decode, encode};
use crate::window::DeviceState;
use crate::window::tumbling::MetricTimelines;
use sha2::{Digest as _, Sha256};

/// Uses the bytes as a stored state, and as one with a valid digest.
pub fn state(bytes: &[u8]) {
    let digest = Sha256::digest(bytes);
    for bytes in [bytes, &[&digest[..16], bytes].concat()] {
        check_same_state::<DeviceState>(bytes);
        check_same_state::<MetricTimelines>(bytes);
        check_same_state::<DetectorState>(bytes);
    }
}

/// Checks that a state is encoded as bytes that are decoded to the same state.
fn check_same_state<S: State + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(state) = decode::<S>(bytes) {
        assert_eq!(decode(&encode(&state)), Ok(state));
    }
}
