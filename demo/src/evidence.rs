//! Reads back what a run left in every store. It has parsers of its own, so that the code under test does not check
//! itself. The audit checks the lake, as it does in production.

pub mod aggregate;
pub mod letters;
pub mod objects;
pub mod results;
pub mod stream;

use crate::traffic::SentMessage;
use myaku_operator::audit;
use std::collections::BTreeMap;

/// Everything that is compared.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What was sent, in the order of sending.
    pub sent: Vec<SentMessage>,
    /// The user records of the stream of messages, aggregates split.
    pub stream: Vec<stream::Record>,
    /// What the audit reports about the lake, which it compared with the stream.
    pub audit: audit::Report,
    /// The user records of the stream of readings.
    pub readings: Vec<stream::Record>,
    /// The first and last hash key of each shard of that stream.
    pub readings_ranges: BTreeMap<String, (u128, u128)>,
    /// The dead letters.
    pub letters: Vec<letters::Letter>,
    /// The latest averages, from a row for each device.
    pub results: Vec<results::Latest>,
    /// How long a device's row may wait for more readings, by their arrival, in milliseconds.
    pub results_lag_ms: i64,
    /// Whether Redis lost some of its memory, and no rebuild followed.
    pub memory_lost: bool,
}
