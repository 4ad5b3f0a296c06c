//! Cuts records into batches: by number, by bytes, and at the end of a tumbling window.

use myaku::stream::batch::StreamRecord;
use std::collections::VecDeque;

/// The most that one batch may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Records.
    pub(super) records: usize,
    /// Bytes of the records in the event.
    pub(super) bytes: usize,
    /// Records that arrived at or after this time, in milliseconds since the epoch, belong to a later window.
    pub(super) before_ms: Option<i64>,
}

/// Records that wait to be cut into batches, each with its length in an event, in bytes.
#[derive(Debug, Default)]
pub(super) struct Batcher(VecDeque<(StreamRecord, usize)>);

impl Batcher {
    /// Adds a record with its length in an event, in bytes.
    pub(super) fn push(&mut self, record: StreamRecord, len: usize) {
        self.0.push_back((record, len));
    }

    /// The record that the next batch begins with.
    pub(super) fn first(&self) -> Option<&StreamRecord> {
        self.0.front().map(|(record, _)| record)
    }

    /// Takes a batch if it is full: no other record fits. A record that alone is too large is a batch of its own.
    pub(super) fn take_full(&mut self, limits: Limits) -> Option<Vec<StreamRecord>> {
        let count = self.count_fitting(limits);
        let full = count == limits.records || count < self.0.len();
        full.then(|| self.take(count))
    }

    /// Takes as many records as fit into a batch, even if the batch is not full.
    pub(super) fn take_any(&mut self, limits: Limits) -> Option<Vec<StreamRecord>> {
        let count = self.count_fitting(limits);
        (count > 0).then(|| self.take(count))
    }

    fn count_fitting(&self, limits: Limits) -> usize {
        let mut bytes = 0;
        let fitting = self.0.iter().take(limits.records).enumerate().take_while(|(index, (record, len))| {
            bytes += len;
            *index == 0 || (bytes <= limits.bytes && limits.before_ms.is_none_or(|end| record.arrived_ms < end))
        });
        fitting.count()
    }

    fn take(&mut self, count: usize) -> Vec<StreamRecord> {
        self.0.drain(..count).map(|(record, _)| record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batcher(lens: &[usize]) -> Batcher {
        let mut batcher = Batcher::default();
        for (index, len) in lens.iter().enumerate() {
            let sequence = (index + 1).to_string().parse().unwrap();
            let record = StreamRecord {
                sequence,
                partition_key: "k".into(),
                arrived_ms: index as i64 * 10,
                data: vec![].into(),
            };
            batcher.push(record, *len);
        }
        batcher
    }

    fn limits(records: usize, bytes: usize) -> Limits {
        Limits { records, bytes, before_ms: None }
    }

    /// "Lambda passes all of the records in the batch to the function in a single call, as long as the total size of
    /// the events doesn't exceed the payload limit for synchronous invocation (6 MB)."
    #[test]
    fn a_batch_is_full_at_the_batch_size_or_when_the_next_record_does_not_fit() {
        assert_eq!(batcher(&[1, 1]).take_full(limits(3, 100)), None);
        assert_eq!(batcher(&[1, 1, 1]).take_full(limits(3, 100)).unwrap().len(), 3);
        assert_eq!(batcher(&[40, 60, 1]).take_full(limits(9, 100)).unwrap().len(), 2);
        assert_eq!(batcher(&[40, 60]).take_full(limits(9, 100)), None);
    }

    #[test]
    fn a_record_that_alone_is_too_large_is_a_batch_of_its_own() {
        assert_eq!(batcher(&[500, 1]).take_full(limits(9, 100)).unwrap().len(), 1);
    }

    #[test]
    fn a_batch_ends_with_its_window() {
        let cut = Limits { before_ms: Some(15), ..limits(9, 100) };
        assert_eq!(batcher(&[1, 1, 1]).take_full(cut).unwrap().len(), 2);
    }
}
