//! Records how far each shard is processed. A mapping that starts again needs only this.

use bytes::Bytes;
use myaku::stream::batch::SequenceNumber;
use std::collections::{BTreeMap, VecDeque};

/// How far one shard is processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is processed. Reading starts at the shard's beginning, because the mapping existed before the shard.
    Beginning,
    /// Nothing is processed. Reading starts at the settings' starting position.
    StartingPosition,
    /// Everything up to this record is processed, discarded or filtered out.
    After(SequenceNumber),
    /// The shard is closed and all of it is processed.
    Ended,
}

/// A tumbling window between two invocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// Its first millisecond since the epoch.
    pub start_ms: i64,
    /// The JSON that the function returned as its state.
    pub state: Bytes,
    /// The state exceeded its limit: the window ends early, and begins again with an empty state.
    pub terminated_early: bool,
}

/// How far all shards are processed. A mapping that begins with a clone of this continues from there.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The checkpoint of each shard, by the shard's id.
    pub checkpoints: BTreeMap<String, Checkpoint>,
    /// The open tumbling window of each shard, by the shard's id.
    pub windows: BTreeMap<String, OpenWindow>,
}

/// The records of one shard that are read, but not yet before the checkpoint.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// In the shard's order. The flag says whether the record is done.
    pending: VecDeque<(SequenceNumber, bool)>,
}

impl Tracker {
    /// Adds a record that was read. Call it in the shard's order.
    pub(super) fn mark_read(&mut self, sequence: SequenceNumber) {
        self.pending.push_back((sequence, false));
    }

    /// Marks records as done, in any order. Returns the last record up to which all are done now, if that has changed.
    pub(super) fn mark_done(&mut self, sequences: impl IntoIterator<Item = SequenceNumber>) -> Option<SequenceNumber> {
        for sequence in sequences {
            if let Ok(index) = self.pending.binary_search_by_key(&sequence, |(sequence, _)| *sequence) {
                self.pending[index].1 = true;
            }
        }
        let mut last = None;
        while let Some((sequence, _)) = self.pending.pop_front_if(|(_, done)| *done) {
            last = Some(sequence);
        }
        last
    }

    /// How many records are read, but not yet before the checkpoint.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_never_passes_a_record_that_is_not_done() {
        let number = |n: u64| n.to_string().parse::<SequenceNumber>().unwrap();
        let mut tracker = Tracker::default();
        (1..=4).for_each(|n| tracker.mark_read(number(n)));
        assert_eq!(tracker.mark_done([number(3), number(2)]), None);
        assert_eq!(tracker.mark_done([number(1)]), Some(number(3)));
        assert_eq!(tracker.len(), 1);
        assert_eq!(tracker.mark_done([number(4)]), Some(number(4)));
    }
}
