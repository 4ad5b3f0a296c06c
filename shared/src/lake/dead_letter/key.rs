//! The key of a letter: its reason, and its record's place in the stream.

use super::{PREFIX, Reason};
use crate::lake::archive::Hour;
use crate::stream::batch::Position;
use std::fmt;

/// What the key of a letter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterKey {
    /// Why the letter is there.
    pub reason: Reason,
    /// The stream that its record is in.
    pub stream: String,
    /// The hour in which the record arrived at the stream.
    pub hour: Hour,
    /// The shard that the record is in.
    pub shard: String,
    /// The record's place in the shard.
    pub position: Position,
    /// Which failure of the record it is, where several of its values can fail.
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
    /// Reads a key; `None`: it is that of no letter.
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
        // Only the one spelling that is written: under another one the letter is not found.
        (parsed.to_string() == key).then_some(parsed)
    }
}
