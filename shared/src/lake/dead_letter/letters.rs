//! Collects the letters of a batch, a bounded number for each of its stream records.
//!
//! An aggregate of a mebibyte has up to 174,000 user records. If each of them had a letter, one record would cost a
//! function minutes and its owner a dollar. So only the first few have one; the others share a letter with the whole
//! stream record. What is shared follows from the stream record alone, and not from where a batch begins.

use super::{DeadLetter, FAILURES_MAX, Failure, Problem, Reason};
use crate::stream::batch::{Batch, Position, UserRecord};
use std::collections::BTreeMap;

/// How many user records of one stream record have a letter of their own.
const LETTERS_MAX: usize = 10;

/// The letters of a batch, in the making. They borrow the records' bytes until they are taken.
#[derive(Default)]
pub struct Letters<'a> {
    /// By the index of the stream record in its batch.
    records: BTreeMap<u32, OfRecord<'a>>,
}

/// What failed in one stream record.
#[derive(Default)]
struct OfRecord<'a> {
    /// The first user records that failed, in any order: at most [`LETTERS_MAX`].
    own: Vec<Own<'a>>,
    /// The others.
    shared: BTreeMap<Reason, Shared<'a>>,
}

/// A user record with a letter of its own.
struct Own<'a> {
    source: UserRecord<'a>,
    device_id: Option<String>,
    problem: Problem,
    failures: Vec<Failure>,
    unlisted: usize,
}

/// User records of one stream record that fail for one reason and share a letter.
struct Shared<'a> {
    /// The first of them.
    first: UserRecord<'a>,
    failures: Vec<Failure>,
    unlisted: usize,
}

impl<'a> Letters<'a> {
    /// A user record that could not be processed at all.
    pub fn reject(&mut self, source: &UserRecord<'a>, device_id: Option<&str>, problem: Problem) {
        self.add(source, device_id, problem, Vec::new(), 0);
    }

    /// A user record of which single `values` could not be used; nothing happens if there are none. One failure without an
    /// index is that of the whole record.
    pub fn reject_values(
        &mut self,
        source: &UserRecord<'a>,
        device_id: Option<&str>,
        values: impl IntoIterator<Item = Failure, IntoIter: ExactSizeIterator>,
    ) {
        let mut values = values.into_iter();
        let failures: Vec<_> = values.by_ref().take(FAILURES_MAX).map(Failure::cut).collect();
        let unlisted = values.len();
        if let [Failure { index: None, problem, .. }] = failures.as_slice()
            && unlisted == 0
        {
            return self.reject(source, device_id, problem.clone());
        }
        let Some(Problem { reason, detail }) = failures.first().map(|failure| failure.problem.clone()) else { return };
        let count = failures.len() + unlisted;
        let detail = if count == 1 { detail } else { format!("{count} values, the first: {detail}") };
        self.add(source, device_id, Problem { reason, detail }, failures, unlisted);
    }

    fn add(
        &mut self,
        source: &UserRecord<'a>,
        device_id: Option<&str>,
        problem: Problem,
        failures: Vec<Failure>,
        unlisted: usize,
    ) {
        let of_record = self.records.entry(source.record).or_default();
        let (device_id, problem) = (device_id.map(str::to_owned), problem.cut());
        of_record.own.push(Own { source: *source, device_id, problem, failures, unlisted });
        if of_record.own.len() > LETTERS_MAX {
            of_record.share_last();
        }
    }

    /// Takes the letters of the stream records before the one at `end`, in the order of the records: each with the index of
    /// its stream record in `batch`, which all records came from.
    pub fn take_before(&mut self, batch: &Batch, end: usize) -> Vec<(usize, DeadLetter)> {
        let later = self.records.split_off(&u32::try_from(end).unwrap_or(u32::MAX));
        let records = std::mem::replace(&mut self.records, later).into_iter();
        records.flat_map(|(record, failed)| failed.letters(batch, record as usize)).collect()
    }

    /// Takes all letters.
    pub fn take(&mut self, batch: &Batch) -> Vec<DeadLetter> {
        self.take_before(batch, batch.records.len()).into_iter().map(|(_, letter)| letter).collect()
    }
}

impl OfRecord<'_> {
    /// Moves the last user record that has a letter of its own to those that share one.
    fn share_last(&mut self) {
        let last = self.own.iter().enumerate().max_by_key(|(_, own)| own.source.sub).map(|(index, _)| index);
        let Some(Own { source, problem, failures, unlisted, .. }) = last.map(|last| self.own.swap_remove(last)) else {
            return;
        };
        let shared = self.shared.entry(problem.reason).or_insert_with(|| Shared {
            first: source,
            failures: Vec::new(),
            unlisted: 0,
        });
        if source.sub < shared.first.sub {
            shared.first = source;
        }
        let whole = Failure { sub: None, index: None, metric: None, problem };
        let failures = if failures.is_empty() { vec![whole] } else { failures };
        for failure in failures {
            if shared.failures.len() < FAILURES_MAX {
                shared.failures.push(Failure { sub: Some(source.sub), ..failure });
            } else {
                shared.unlisted += 1;
            }
        }
        shared.unlisted += unlisted;
    }

    fn letters(mut self, batch: &Batch, record: usize) -> impl Iterator<Item = (usize, DeadLetter)> {
        self.own.sort_unstable_by_key(|own| own.source.sub);
        let own = self.own.into_iter().map(move |own| (record, own.letter(batch)));
        own.chain(self.shared.into_iter().map(move |(reason, shared)| (record, shared.letter(batch, reason))))
    }
}

impl Own<'_> {
    fn letter(self, batch: &Batch) -> DeadLetter {
        let Self { source, device_id, problem: Problem { reason, detail }, failures, unlisted } = self;
        DeadLetter {
            stream: batch.stream.clone(),
            shard: batch.shard.clone(),
            position: source.position(),
            is_whole: false,
            partition_key: source.partition_key.to_owned(),
            arrived_ms: source.arrived_ms,
            device_id,
            reason,
            detail,
            failures,
            unlisted,
            data: source.data.to_vec(),
        }
    }
}

impl Shared<'_> {
    fn letter(self, batch: &Batch, reason: Reason) -> DeadLetter {
        let Self { first, failures, unlisted } = self;
        let detail = "user records of this aggregate that have no letter of their own".to_owned();
        let position = first.position();
        DeadLetter {
            failures,
            unlisted,
            ..DeadLetter::of_stream_record(batch, first.record as usize, position, reason, detail)
        }
    }
}

impl DeadLetter {
    /// The letter of the stream record at `record` of `batch`, about its user records from `position` on.
    pub(super) fn of_stream_record(
        batch: &Batch,
        record: usize,
        position: Position,
        reason: Reason,
        detail: String,
    ) -> Self {
        let record = &batch.records[record];
        Self {
            stream: batch.stream.clone(),
            shard: batch.shard.clone(),
            position,
            is_whole: true,
            partition_key: record.partition_key.to_string(),
            arrived_ms: record.arrived_ms,
            device_id: None,
            reason,
            detail,
            failures: Vec::new(),
            unlisted: 0,
            data: record.data.to_vec(),
        }
    }
}

impl Failure {
    fn cut(self) -> Self {
        Self { problem: self.problem.cut(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::batch::StreamRecord;
    use crate::stream::kpl;
    use proptest::prelude::*;

    /// A batch of aggregates with so many user records each, of one byte.
    fn batch(aggregates: &[usize]) -> Batch {
        let record = |(number, len): (usize, &usize)| StreamRecord {
            sequence: (100 + number).to_string().parse().unwrap(),
            partition_key: format!("aggregate-{number}").into(),
            arrived_ms: 1_795_218_892_020,
            data: kpl::encode((0..*len).map(|_| ("key", b"x".as_slice()))).into(),
        };
        let records = aggregates.iter().enumerate().map(record).collect();
        Batch { stream: "ingest".to_owned(), shard: "shardId-000000000000".to_owned(), records }
    }

    fn problem(reason: Reason) -> Problem {
        Problem { reason, detail: "d".repeat(10_000) }
    }

    fn value(index: u32) -> Failure {
        Failure { sub: None, index: Some(index), metric: None, problem: problem(Reason::OutOfRange) }
    }

    #[test]
    fn a_message_has_one_letter_with_its_bytes_once_and_its_first_failures() {
        let batch = batch(&[2]);
        let source = batch.user_records().nth(1).unwrap();
        let mut letters = Letters::default();
        letters.reject_values(&source, Some("bed-17"), []);
        assert_eq!(letters.take(&batch), []);
        letters.reject_values(&source, Some("bed-17"), (0..6_664).map(value).collect::<Vec<_>>());
        let [letter] = letters.take(&batch).try_into().unwrap();
        assert_eq!((letter.position, letter.is_whole, letter.data.as_slice()), (source.position(), false, &b"x"[..]));
        assert_eq!((letter.reason, letter.device_id.as_deref()), (Reason::OutOfRange, Some("bed-17")));
        assert!(letter.detail.starts_with("6664 values, the first: ddd"), "{}", letter.detail);
        assert_eq!((letter.failures.len(), letter.unlisted), (FAILURES_MAX, 6_664 - FAILURES_MAX));
        assert!((0..).zip(&letter.failures).all(|(index, failure)| failure.index == Some(index)));
        assert!(letter.to_json().len() < 200_000, "details are cut");
    }

    proptest! {
        #[test]
        fn letters_are_few_name_all_that_failed_and_do_not_depend_on_order_or_chunks(
            failed in proptest::collection::btree_map((0_usize..3, 0_usize..40), 0..2_usize, 0..60),
            shuffled in any::<prop::sample::Index>(),
            chunk in 1_usize..3,
        ) {
            let batch = batch(&[40; 3]);
            let reasons = [Reason::UnknownDevice, Reason::NotAMessage];
            let all: Vec<_> = batch.user_records().collect();
            let failed: Vec<_> = failed.into_iter().map(|((record, sub), reason)| (all[record * 40 + sub], reasons[reason])).collect();
            let mut letters = Letters::default();
            for (source, reason) in &failed {
                letters.reject(source, None, problem(*reason));
            }
            let expected = letters.take(&batch);
            for record in 0..3 {
                let of_record = |letter: &&DeadLetter| letter.position.sequence == batch.records[record].sequence;
                let few = expected.iter().filter(of_record).count();
                prop_assert!(few <= LETTERS_MAX + reasons.len(), "{few}");
            }
            let listed = |letter: &DeadLetter| if letter.is_whole { letter.failures.len() + letter.unlisted } else { 1 };
            prop_assert_eq!(expected.iter().map(listed).sum::<usize>(), failed.len());
            let mut keys: Vec<_> = expected.iter().map(DeadLetter::key).collect();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), expected.len(), "no letter replaces another");

            // Another order of the same failures gives the same letters, but for the order of what they list.
            let mut again = Letters::default();
            let from = if failed.is_empty() { 0 } else { shuffled.index(failed.len()) };
            for (source, reason) in failed[from..].iter().chain(&failed[..from]) {
                again.reject(source, None, problem(*reason));
            }
            let mut found = Vec::new();
            for end in (chunk..).step_by(chunk).take_while(|end| *end < 3).chain([3]) {
                found.extend(again.take_before(&batch, end).into_iter().map(|(_, letter)| letter));
            }
            let unordered = |letters: Vec<DeadLetter>| {
                letters.into_iter().map(|mut letter| {
                    letter.failures.sort_by_key(|failure| failure.sub);
                    letter
                }).collect::<Vec<_>>()
            };
            prop_assert_eq!(unordered(found), unordered(expected));
        }
    }
}
