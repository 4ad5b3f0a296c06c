//! Counts what is done, Kinesis record by Kinesis record.
//!
//! A chunk may end in the middle of a Kinesis record. If a later chunk fails, the whole record is delivered again, so it counts
//! only when all of it is done.

use crate::decode::Work;
use myaku::platform::telemetry::{Metric, count, observe};

/// What was done and is not counted yet: each with its Kinesis record, in ascending order.
#[derive(Default)]
pub(crate) struct Counts {
    /// The user records, with their bytes.
    sizes: Vec<(usize, usize)>,
    letters: Vec<usize>,
    /// The readings, with how long after its own time each arrived, in milliseconds.
    lateness_ms: Vec<(usize, i64)>,
    /// Readings that have the arrival's time in place of the device's.
    clock_replaced: Vec<(usize, usize)>,
}

/// What was done of some Kinesis records.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Done {
    records: usize,
    bytes: usize,
    letters: usize,
    lateness_ms: Vec<f64>,
    clock_replaced: usize,
}

impl Counts {
    /// Adds what a part of a chunk came to.
    pub(crate) fn add(&mut self, work: &Work<'_>) {
        self.sizes.extend(&work.sizes);
        self.letters.extend(&work.letter_records);
        self.clock_replaced.extend(&work.clock_replaced);
        self.lateness_ms.extend(work.item_records.iter().copied().zip(work.lateness_ms.iter().copied()));
    }

    /// Takes what was done of the Kinesis records before `end`.
    pub(crate) fn take_before(&mut self, end: usize) -> Done {
        let sizes = take(&mut self.sizes, |(record, _)| *record < end);
        let clock_replaced = take(&mut self.clock_replaced, |(record, _)| *record < end);
        let readings = take(&mut self.lateness_ms, |(record, _)| *record < end);
        Done {
            records: sizes.len(),
            bytes: sizes.iter().map(|(_, bytes)| bytes).sum(),
            letters: take(&mut self.letters, |record| *record < end).len(),
            lateness_ms: readings.into_iter().map(|(_, lateness_ms)| lateness_ms as f64).collect(),
            clock_replaced: clock_replaced.iter().map(|(_, readings)| readings).sum(),
        }
    }
}

impl Done {
    /// Counts it in the metrics.
    pub(crate) fn count(self) {
        count(Metric::Records, self.records);
        count(Metric::Bytes, self.bytes);
        count(Metric::DeadLetters, self.letters);
        count(Metric::Readings, self.lateness_ms.len());
        count(Metric::ClockReplaced, self.clock_replaced);
        observe(Metric::LatenessMs, self.lateness_ms);
    }
}

fn take<T>(of: &mut Vec<T>, is_done: impl Fn(&T) -> bool) -> Vec<T> {
    let later = of.split_off(of.partition_point(is_done));
    std::mem::replace(of, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinesis_record_counts_when_all_of_it_is_done() {
        let mut counts = Counts::default();
        let work = |record: usize| {
            let mut work = Work::default();
            work.sizes.push((record, 100));
            work.item_records.push(record);
            work.lateness_ms.push(5);
            work.clock_replaced.push((record, 1));
            work.letter_records.push(record);
            work
        };
        counts.add(&work(0));
        counts.add(&work(1));
        let one = Done { records: 1, bytes: 100, letters: 1, lateness_ms: vec![5.0], clock_replaced: 1 };
        assert_eq!(counts.take_before(1), one, "the second record goes on in the next chunk");
        counts.add(&work(1));
        let two = Done { records: 2, bytes: 200, letters: 2, lateness_ms: vec![5.0, 5.0], clock_replaced: 2 };
        assert_eq!(counts.take_before(2), two);
        assert_eq!(counts.take_before(9), Done::default());
    }
}
