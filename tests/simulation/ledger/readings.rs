//! The model of the readings and dead letters that the records of `ingest` must become.

use super::Checked;
use super::averages::{METRICS, number_of};
use crate::invariants::{Invariant, Violation};
use crate::plan::{Content, Stream, device_number, is_out_of_range};
use myaku::device::reading::{Reading, Value};
use myaku::lake::dead_letter::{DeadLetter, Reason};
use myaku::stream::batch::{Batch, Position};
use std::collections::{BTreeMap, BTreeSet};

/// A reading as the models name it: the device, the number of its message, and the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) device: u8,
    pub(crate) number: u8,
    pub(crate) metric: u8,
}

/// The identity of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    stream: String,
    position: Position,
    reason: Reason,
}

impl Letter {
    pub(crate) fn of(letter: &DeadLetter) -> Self {
        let DeadLetter { stream, position, reason, .. } = letter;
        Self { stream: stream.clone(), position: *position, reason: *reason }
    }
}

/// What a record of `ingest` must become.
#[derive(Default)]
struct Expected {
    readings: Vec<Name>,
    letter: Option<Letter>,
}

/// The records of both streams and the letters.
#[derive(Default)]
pub(crate) struct Readings {
    /// By position, which no two shards share.
    expected: BTreeMap<Position, Expected>,
    /// The letters of records of `readings` that are not readings.
    invalid: BTreeMap<Position, Letter>,
    /// Letters of records that were given up: a refused write can still take effect later.
    late: BTreeSet<Letter>,
    /// The readings on the stream, each with its id and time.
    put: BTreeMap<Name, (String, i64)>,
    letters: BTreeMap<Letter, Vec<u8>>,
    /// What each invocation has put so far for each device, each reading once.
    order: BTreeMap<(u32, u8), Vec<Name>>,
}

impl Readings {
    /// A record was put on `ingest`.
    pub(crate) fn arrived(&mut self, content: Content, position: Position) {
        let letter = |reason| Some(Letter { stream: Stream::Ingest.name().to_owned(), position, reason });
        let expected = match content {
            Content::Message { device, number } => {
                let metrics = if is_out_of_range(number) { 0..1 } else { 0..METRICS };
                Expected {
                    readings: metrics.map(|metric| Name { device, number, metric }).collect(),
                    letter: if is_out_of_range(number) { letter(Reason::OutOfRange) } else { None },
                }
            }
            Content::Stranger => Expected { letter: letter(Reason::UnknownDevice), ..Expected::default() },
            Content::Undecodable { .. } => Expected { letter: letter(Reason::Undecodable), ..Expected::default() },
            Content::Garbage => Expected { letter: letter(Reason::NotAMessage), ..Expected::default() },
            Content::Line => Expected::default(),
        };
        self.expected.insert(position, expected);
    }

    /// A record that is not a reading was given up and put again: its letter is written at the new position, if it was
    /// not written before.
    pub(crate) fn moved(&mut self, from: Position, to: Position) {
        self.late.extend(self.invalid.remove(&from));
        self.invalid_put(to);
    }

    /// A record that is not a reading was put on `readings`.
    pub(crate) fn invalid_put(&mut self, position: Position) {
        let stream = Stream::Readings.name().to_owned();
        self.invalid.insert(position, Letter { stream, position, reason: Reason::NotAMessage });
    }

    /// A reading was put on `readings`.
    pub(crate) fn put(&mut self, reading: &Reading) -> Result<Name, Violation> {
        let name = name(reading)
            .ok_or_else(|| Violation::new(Invariant::NothingFromNowhere, format!("no device measured {reading:?}")))?;
        let made = (reading.id.clone(), reading.at);
        match self.put.get(&name) {
            Some(before) if *before != made => {
                let what = format!("{name:?} was {before:?}, but is now {made:?}");
                Err(Violation::new(Invariant::SameAgain, what))
            }
            _ => {
                self.put.insert(name, made);
                Ok(name)
            }
        }
    }

    /// One call of an invocation put these readings, in this order.
    pub(crate) fn in_order(&mut self, invocation: u32, batch: &Batch, names: &[Name]) -> Checked {
        for name in names {
            let done = self.order.entry((invocation, name.device)).or_default();
            if done.contains(name) {
                continue;
            }
            let all = batch.user_records().filter_map(|record| self.expected.get(&record.position()));
            let all = all.flat_map(|expected| &expected.readings).filter(|next| next.device == name.device);
            let next = all.into_iter().find(|next| !done.contains(next));
            if next != Some(name) {
                let what = format!("invocation {invocation} put {name:?} before {next:?}");
                return Err(Violation::new(Invariant::OrderOfAKey, what));
            }
            done.push(*name);
        }
        Ok(())
    }

    /// A dead letter was written.
    pub(crate) fn letter(&mut self, letter: &DeadLetter) -> Checked {
        let (name, data) = (Letter::of(letter), &letter.data);
        if let Some(before) = self.letters.insert(name, data.clone())
            && before != *data
        {
            return Err(Violation::new(Invariant::SameAgain, format!("a different letter was at {}", letter.key())));
        }
        Ok(())
    }

    /// The first `records` records of a batch of `ingest` were acknowledged.
    pub(crate) fn transformed(&self, batch: &Batch, records: usize) -> Checked {
        let lacks = |what: String| Err(Violation::new(Invariant::DurableBeforeAcknowledged, what));
        for record in batch.user_records().take_while(|record| (record.record as usize) < records) {
            let Some(expected) = self.expected.get(&record.position()) else { continue };
            if let Some(missing) = expected.readings.iter().find(|name| !self.put.contains_key(name)) {
                return lacks(format!("{missing:?} of {:?} is not on the stream", record.position()));
            }
            if let Some(missing) = expected.letter.iter().find(|letter| !self.letters.contains_key(letter)) {
                return lacks(format!("{missing:?} is not written"));
            }
        }
        Ok(())
    }

    /// A batch of `readings` was acknowledged.
    pub(crate) fn acknowledged(&self, batch: &Batch) -> Checked {
        let letters = batch.user_records().filter_map(|record| self.invalid.get(&record.position()));
        match letters.into_iter().find(|letter| !self.letters.contains_key(letter)) {
            Some(missing) => {
                Err(Violation::new(Invariant::DurableBeforeAcknowledged, format!("{missing:?} is not written")))
            }
            None => Ok(()),
        }
    }

    /// Checks the readings and letters after everything is processed.
    pub(crate) fn settled(&self) -> Checked {
        let wrong = |what: String| Err(Violation::new(Invariant::NothingFromNowhere, what));
        let expected: BTreeSet<Name> =
            self.expected.values().flat_map(|expected| &expected.readings).copied().collect();
        let put: BTreeSet<Name> = self.put.keys().copied().collect();
        if expected != put {
            let (missing, foreign): (Vec<_>, Vec<_>) =
                (expected.difference(&put).collect(), put.difference(&expected).collect());
            return wrong(format!("missing readings: {missing:?}, unexpected readings: {foreign:?}"));
        }
        let letters = self.expected.values().filter_map(|expected| expected.letter.as_ref());
        let expected: BTreeSet<&Letter> = letters.chain(self.invalid.values()).collect();
        let written: BTreeSet<&Letter> = self.letters.keys().collect();
        let missing: Vec<_> = expected.difference(&written).collect();
        let foreign: Vec<_> = written.difference(&expected).filter(|letter| !self.late.contains(**letter)).collect();
        if !missing.is_empty() || !foreign.is_empty() {
            return wrong(format!("missing letters: {missing:?}, unexpected letters: {foreign:?}"));
        }
        Ok(())
    }
}

/// The name of a reading, by its value.
pub(crate) fn name(reading: &Reading) -> Option<Name> {
    let Value::Number(value) = reading.value else { return None };
    let device = device_number(&reading.device_id)?;
    let metric = (0..METRICS).find(|metric| super::averages::metric_name(*metric) == reading.metric)?;
    Some(Name { device, number: number_of(value)?, metric })
}
