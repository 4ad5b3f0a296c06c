//! How far a function is in each shard, and what each slot is known to have lost: one item of each function and stream.
//!
//! The item is stored apart from the states, in a store that does not lose what it has. So a fence of a slot that is below
//! the item shows that the slot's states have been lost.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;

use super::id_digest;
use super::origin::Origin;
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use crate::stream::slot::{Slot, Slots};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How far a function is in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is acknowledged of each shard, by the shard's id.
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// Of each slot that has lost states: readings up to this time may be missing, in milliseconds since the epoch.
    pub lost_until: BTreeMap<Slot, i64>,
}

/// What is acknowledged of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The last record.
    pub position: Position,
    /// The time of the newest reading, of the shards that it was made of as well, in milliseconds since the epoch.
    pub newest_ms: i64,
    /// The slots of the shard, without those that a later shard has taken over.
    pub slots: Slots,
}

impl Progress {
    /// What is acknowledged of the shards that a slot is in or was in.
    pub fn of_slot(&self, slot: Slot) -> impl Iterator<Item = (&str, &Acknowledged)> {
        let entries = self.acknowledged.iter().map(|(shard, entry)| (shard.as_str(), entry));
        entries.filter(move |(_, entry)| entry.slots.contains(slot))
    }

    /// The progress after the records of `shard` up to `position`, the newest of which is of `newest_ms`. `slots` are all
    /// slots of the shard.
    ///
    /// The shard takes over its slots from earlier shards: those are processed to their ends.
    #[must_use]
    pub fn after(&self, shard: &str, position: Position, newest_ms: i64, slots: Slots) -> Self {
        let mut after = self.clone();
        let mut newest_ms = newest_ms;
        let before = self.acknowledged.get(shard).map(|entry| entry.position);
        let position = before.map_or(position, |before| before.max(position));
        let is_later = |entry: &Acknowledged| entry.position > position;
        for (of, entry) in &self.acknowledged {
            if of == shard || !entry.slots.and(slots).is_empty() {
                newest_ms = newest_ms.max(entry.newest_ms);
            }
            if of != shard && !is_later(entry) {
                let left = entry.slots.without(slots);
                if left.is_empty() {
                    after.acknowledged.remove(of);
                } else {
                    after.acknowledged.insert(of.clone(), Acknowledged { slots: left, ..*entry });
                }
            }
        }
        // An invocation that should be dead does not take slots back from a later shard.
        let taken = self.acknowledged.iter().filter(|(of, entry)| *of != shard && is_later(entry));
        let slots = taken.fold(slots, |slots, (_, entry)| slots.without(entry.slots));
        if !slots.is_empty() {
            after.acknowledged.insert(shard.to_owned(), Acknowledged { position, newest_ms, slots });
        }
        after
    }
}

/// What is acknowledged of a stream, seen from one shard, to look up many records.
pub(super) struct Acknowledgements {
    stream: u64,
    shard: u64,
    last: Position,
    positions: Vec<(u64, Position)>,
}

impl Acknowledgements {
    /// What `progress` has, seen from a batch of `shard` of `stream` whose last record is at `last`.
    pub(super) fn new(progress: &Progress, stream: &str, shard: &str, last: Position) -> Self {
        let positions = progress.acknowledged.iter().map(|(shard, entry)| (id_digest(shard), entry.position));
        Self { stream: id_digest(stream), shard: id_digest(shard), last, positions: positions.collect() }
    }

    /// Whether the record at `origin` is acknowledged. Earlier shards, whose slots were taken over, are processed to their
    /// ends. A later shard, which only an invocation that should be dead can meet, may have nothing acknowledged yet.
    pub(super) fn covers(&self, origin: Origin) -> bool {
        if origin.stream != self.stream {
            return true;
        }
        let of_shard = self.positions.iter().find(|(shard, _)| *shard == origin.shard);
        let is_earlier = origin.shard != self.shard && origin.position <= self.last;
        of_shard.map_or(is_earlier, |(_, position)| origin.position <= *position)
    }
}

/// `<position> <newest> <slots>`: `49541…921.7 1795218892020 00-7f`.
impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, newest_ms, slots } = self;
        write!(f, "{position:?} {newest_ms} {slots}")
    }
}

impl FromStr for Acknowledged {
    type Err = ParseAcknowledgedError;

    fn from_str(text: &str) -> Result<Self, ParseAcknowledgedError> {
        let parse = || {
            let mut parts = text.split(' ');
            let position = parts.next()?.parse().ok()?;
            let newest_ms = parts.next()?.parse().ok()?;
            Some(Self { position, newest_ms, slots: parts.next()?.parse().ok()? })
        };
        parse().ok_or_else(|| ParseAcknowledgedError(text.to_owned()))
    }
}

/// A text that does not say what is acknowledged of a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not `<position> <newest time> <slots>`")]
pub struct ParseAcknowledgedError(String);

/// How many entries one change may change: an expression of DynamoDB has 4 KB at most, and each entry takes some 32 bytes
/// of the condition.
pub const CHANGES_MAX: usize = 100;

/// The port to the progress of functions.
pub trait ProgressStore: Send + Sync {
    /// How far `function` is in `stream`. Reads what was written last.
    fn read(&self, function: &str, stream: &str) -> impl Future<Output = Result<Progress, RemoteError>> + Send;

    /// Changes what differs between `before` and `after`, if all of that is stored as it was `before`. Returns whether it
    /// was. After an error, the change may have been made. At most [`CHANGES_MAX`] entries may differ.
    fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> impl Future<Output = Result<bool, RemoteError>> + Send;
}

/// The entries of a progress that differ: the name of each, what it was, and what it will be.
///
/// A name is `acknowledged:<shard>` or `lost:<slot>`.
fn differences(before: &Progress, after: &Progress) -> Vec<(String, Option<String>, Option<String>)> {
    let (before, mut after) = (entries(before), entries(after));
    let mut differences = Vec::new();
    for (name, was) in before {
        let now = after.remove(&name);
        if now.as_ref() != Some(&was) {
            differences.push((name, Some(was), now));
        }
    }
    differences.extend(after.into_iter().map(|(name, now)| (name, None, Some(now))));
    differences
}

/// The entries of a progress, as text by name.
fn entries(progress: &Progress) -> BTreeMap<String, String> {
    let acknowledged = progress.acknowledged.iter();
    let acknowledged = acknowledged.map(|(shard, entry)| (format!("{ACKNOWLEDGED}{shard}"), entry.to_string()));
    let lost = progress.lost_until.iter().map(|(slot, until)| (format!("{LOST}{:02x}", slot.0), until.to_string()));
    acknowledged.chain(lost).collect()
}

/// The progress of such entries; `None` if one is not right. Other names are ignored.
fn progress_of<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Progress> {
    let mut progress = Progress::default();
    for (name, value) in entries {
        if let Some(shard) = name.strip_prefix(ACKNOWLEDGED) {
            progress.acknowledged.insert(shard.to_owned(), value.parse().ok()?);
        } else if let Some(slot) = name.strip_prefix(LOST) {
            progress.lost_until.insert(Slot(u8::from_str_radix(slot, 16).ok()?), value.parse().ok()?);
        }
    }
    Some(progress)
}

const ACKNOWLEDGED: &str = "acknowledged:";
const LOST: &str = "lost:";

#[cfg(test)]
mod tests;
