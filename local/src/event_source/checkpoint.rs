//! How far each shard is processed: what a poller that starts again must know, and nothing else.

use bytes::Bytes;
use myaku::stream::batch::SequenceNumber;
use std::collections::{BTreeMap, VecDeque};

/// How far one shard is processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is processed; reading starts at the shard's beginning, because the mapping was there before the shard.
    Beginning,
    /// Nothing is processed; reading starts where the settings say.
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
    /// The state was over its limit: it was handed over, and another one begins.
    pub terminated_early: bool,
}

/// How far all shards are processed. A mapping that begins with a clone of this goes on where the other one was.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// By shard.
    pub checkpoints: BTreeMap<String, Checkpoint>,
    /// The open tumbling window, by shard.
    pub windows: BTreeMap<String, OpenWindow>,
}

/// The records of one shard between reading and the checkpoint.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// In the order of the shard, with whether each is done.
    pending: VecDeque<(SequenceNumber, bool)>,
}

impl Tracker {
    /// Notes a record as read. Records come in the order of the shard.
    pub(super) fn read(&mut self, sequence: SequenceNumber) {
        self.pending.push_back((sequence, false));
    }

    /// Notes records as done, in any order, and says how far everything is done now, if that has moved.
    pub(super) fn done(&mut self, sequences: impl IntoIterator<Item = SequenceNumber>) -> Option<SequenceNumber> {
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

    /// How many records are read and not behind the checkpoint yet.
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
        (1..=4).for_each(|n| tracker.read(number(n)));
        assert_eq!(tracker.done([number(3), number(2)]), None);
        assert_eq!(tracker.done([number(1)]), Some(number(3)));
        assert_eq!(tracker.len(), 1);
        assert_eq!(tracker.done([number(4)]), Some(number(4)));
    }
}
