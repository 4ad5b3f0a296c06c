//! The key of a letter: its reason, and its record's position in the stream.

use super::{PREFIX, Reason};
use crate::lake::archive::Hour;
use crate::stream::batch::Position;
use std::fmt;

/// The parts of a letter's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterKey {
    /// Why the record could not be processed.
    pub reason: Reason,
    /// The stream that its record is in.
    pub stream: String,
    /// The hour in which the record arrived at the stream.
    pub hour: Hour,
    /// The shard that the record is in.
    pub shard: String,
    /// The record's position in the shard.
    pub position: Position,
    /// Which failure of the record it is. Only letters of earlier versions have it, which wrote one letter a value.
    pub index: Option<u32>,
}

/// `dead-letters/reason=<reason>/stream=<stream>/dt=YYYY-MM-DD/hh=HH/<shard>/<position>[-<index>].json`
impl fmt::Display for LetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, stream, hour, shard, position, index } = self;
        write!(f, "{PREFIX}reason={reason}/stream={stream}/{hour}/{shard}/{position}")?;
        if let Some(index) = index {
            write!(f, "-{index:04}")?;
        }
        f.write_str(".json")
    }
}

impl LetterKey {
    /// Parses a key; `None` if it is not the key of a letter.
    pub fn parse(key: &str) -> Option<Self> {
        let (reason, rest) = key.strip_prefix(PREFIX)?.strip_prefix("reason=")?.split_once('/')?;
        let (stream, rest) = rest.strip_prefix("stream=")?.split_once('/')?;
        let (rest, name) = rest.strip_suffix(".json")?.rsplit_once('/')?;
        let (hour, shard) = rest.rsplit_once('/')?;
        let (position, index) = match name.split_once('-') {
            Some((position, index)) => (position, Some(index.parse().ok()?)),
            None => (name, None),
        };
        let parsed = Self {
            reason: Reason::ALL.into_iter().find(|known| known.name() == reason)?,
            stream: stream.to_owned(),
            hour: hour.parse().ok()?,
            shard: shard.to_owned(),
            position: position.parse().ok()?,
            index,
        };
        // There is one valid spelling: the one that `Display` writes. No letter has a key of another spelling.
        (parsed.to_string() == key).then_some(parsed)
    }
}
