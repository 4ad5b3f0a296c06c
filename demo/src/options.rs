//! What a run is made of.

use std::time::Duration;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Messages in a second.
    pub rate: f64,
    /// Devices.
    pub devices: usize,
    /// For how long messages are sent.
    pub duration: Duration,
    /// Decides the traffic.
    pub seed: u64,
}
