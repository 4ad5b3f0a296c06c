//! What a run leaves behind, read back with parsers of its own: the code under test is no witness. Of the lake it is the
//! audit that tells, as it does in production.

pub mod aggregate;
pub mod letters;
mod objects;
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
    /// The user records of the stream of messages, aggregates taken apart.
    pub stream: Vec<stream::Record>,
    /// What the audit says of the lake, held against the stream.
    pub audit: audit::Report,
    /// The user records of the stream of readings.
    pub readings: Vec<stream::Record>,
    /// The first and last hash key of each shard of that stream.
    pub readings_ranges: BTreeMap<String, (u128, u128)>,
    /// The dead letters.
    pub letters: Vec<letters::Letter>,
    /// The rows that hold the latest averages.
    pub results: Vec<results::Latest>,
    /// Whether Redis lost something of its memory, and nobody has rebuilt it.
    pub memory_lost: bool,
}
