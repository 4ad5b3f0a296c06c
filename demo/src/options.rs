//! The options of a run.

use std::time::Duration;

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Messages in a second.
    pub rate: f64,
    /// How many devices send.
    pub devices: usize,
    /// For how long messages are sent.
    pub duration: Duration,
    /// The seed that decides the traffic.
    pub seed: u64,
}
