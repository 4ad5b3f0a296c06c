//! Decodes messages into readings.
//!
//! Problems are reported value by value: one invalid value does not affect the message's other values.

use super::condition::Condition;
use super::document::{CsvDocument, Format};
use super::explain::Explanation;
use super::field::Field;
use super::identity::identify;
use super::inside::Inside;
use super::payload::Payload;
use super::records::{MAX_VALUES, RecordViews, Records, Rows};
use super::source::{Getter, View};
use super::time::{Base, DeviceTime, Time};
use super::tree::Node;
use super::value::Fault;
use super::{Decoded, Profile, Rejection};
use crate::device::event_time::{Belief, ClockSource, EventTime, Receipt, WrongTime};
use crate::device::reading::Reading;
use crate::ingest::message::MessageRef;
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;
use std::cell::OnceCell;

/// A counter of so many bits comes again within days, at a message every few seconds.
const NARROW_BITS: u32 = 16;

/// A compiled version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) when: When,
    pub(super) format: Format,
    pub(super) csv: CsvDocument,
    pub(super) compressed: bool,
    pub(super) inside: Option<Inside>,
    pub(super) identity: Vec<Getter>,
    pub(super) time: Option<Time>,
    pub(super) sent: Option<Time>,
    pub(super) fields: Vec<Field>,
    pub(super) records: Option<Records>,
    /// Whether any time is read.
    pub(super) reads_time: bool,
    /// Whether a time depends on when the message was received.
    pub(super) follows_receipt: bool,
}

/// Which messages a version matches.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    pub(super) kind: Option<String>,
    pub(super) min_length: usize,
    pub(super) max_length: Option<usize>,
    pub(super) field: Option<Condition>,
}

impl Version {
    /// Checks whether a message is of this version. If not, the error says why.
    fn check_match(&self, message: &MessageRef<'_>, payload: &mut Payload<'_>) -> Result<(), Cow<'static, str>> {
        let when = &self.when;
        let length = message.payload.len();
        if when.kind.as_ref().is_some_and(|kind| *kind != message.kind) {
            return Err(Cow::Borrowed("the message's kind is different"));
        }
        if length < when.min_length || when.max_length.is_some_and(|most| length > most) {
            return Err(Cow::Owned(format!("the payload has {length} bytes")));
        }
        when.field
            .as_ref()
            .map_or(Ok(()), |condition| condition.check(payload.view(self.format, self.csv, self.compressed)?))
    }
}

/// The times that are known of a message and its records.
fn known<'t>(time: &'t DeviceTime, times: &'t [DeviceTime]) -> impl Iterator<Item = i64> + 't {
    std::iter::once(time).chain(times).filter_map(|time| time.as_ref().ok().copied().flatten())
}

/// The records that a version reads, and where they are in a message.
type FoundRecords<'v, 'a> = Option<(&'v Records, Result<RecordViews<'a>, Fault>)>;

impl Version {
    /// Reads the time of a message, and finds its records with theirs.
    fn read_times<'v, 'a>(
        &'v self,
        outer: View<'_>,
        view: View<'a>,
        rows: &'a Rows<'a>,
        base: Base,
    ) -> (DeviceTime, FoundRecords<'v, 'a>) {
        let time = match (self.inside.as_ref().and_then(|inside| inside.time.as_ref()), &self.time) {
            (Some(time), _) => time.read(view, base),
            (None, Some(time)) => time.read(outer, base),
            (None, None) => Ok(None),
        };
        let records = self.records.as_ref();
        let found = records.map(|records| (records, records.find(view, rows, &time, self.fields.len(), base)));
        (time, found)
    }

    /// The time that is part of a message's identity. That of a message can be the time of its sending, and change when it is
    /// sent again. Those of its records do not.
    fn time_of_identity(&self, time: &DeviceTime, times: &[DeviceTime]) -> Option<i64> {
        let first_record = times.iter().find_map(|time| time.as_ref().ok().copied().flatten());
        first_record.filter(|_| self.has_record_times()).or_else(|| known(time, times).next())
    }

    /// What a lone narrow counter is not good for.
    pub(super) fn advice_on_identity(&self) -> Option<String> {
        let bits = self.identity.iter().map(Getter::bits).try_fold(0, |sum, bits| bits.map(|bits| sum + bits))?;
        let is_narrow = (1..=NARROW_BITS).contains(&bits) && !self.reads_time;
        is_narrow.then(|| {
            format!(
                "a counter of {bits} bits begins again after {} messages; a later message with the same number and the same \
                 values then counts as a repetition. Name a wider number, a boot counter beside it, or a time",
                1_u64 << bits
            )
        })
    }

    fn has_record_times(&self) -> bool {
        self.records.as_ref().is_some_and(|records| records.time.is_some())
    }

    /// When a counter of the device begins again, in milliseconds; 0 if none does. Where one does, the message is taken to be
    /// sent in its second round, and times are of the first or of the second.
    fn wraps_ms(&self) -> i64 {
        self.times().find_map(|time| time.wraps_ms).unwrap_or_default()
    }

    /// With what follows from its times.
    pub(super) fn with_times_known(self) -> Self {
        let reads_time = self.times().next().is_some();
        let follows_receipt = self.times().any(Time::follows_receipt);
        Self { reads_time, follows_receipt, ..self }
    }

    fn times(&self) -> impl Iterator<Item = &Time> {
        let of_records = self.records.iter().filter_map(|records| records.time.as_ref());
        self.inside.iter().filter_map(|inside| inside.time.as_ref()).chain(&self.time).chain(of_records)
    }
}

impl Profile {
    /// Decodes a message into readings, and reports the values that cannot be used. Pure: the same message, decoded
    /// again, gives the same result.
    ///
    /// `arrived_ms` is the record's arrival at the stream, in milliseconds since the epoch.
    pub fn decode<'a>(&'a self, message: impl Into<MessageRef<'a>>, arrived_ms: i64) -> Decoded<'a> {
        self.decode_and_explain(message.into(), arrived_ms, None)
    }

    /// The same, and notes in `explanation` how.
    pub(super) fn decode_and_explain<'a>(
        &'a self,
        message: MessageRef<'a>,
        arrived_ms: i64,
        mut explanation: Option<&mut Explanation>,
    ) -> Decoded<'a> {
        if message.payload.is_empty() {
            // A retained message is deleted by an empty one, which says nothing.
            return Decoded::default();
        }
        let decompressed = OnceCell::new();
        let mut payload = Payload::new(message.payload, &decompressed);
        let mut why = Vec::new();
        for version in &self.versions {
            let matched = version.check_match(&message, &mut payload);
            if let Some(explanation) = &mut explanation {
                explanation.tried(&version.name, matched.as_ref().err().map(Cow::as_ref));
            }
            match matched {
                Ok(()) => return self.decode_as(version, message, arrived_ms, &mut payload, explanation),
                Err(reason) => why.push((&version.name, reason)),
            }
        }
        let why: Vec<_> = why.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
        let detail = format!("no version of profile {} matches: {}", self.id, why.join("; "));
        Decoded::rejected(Rejection { reason: Reason::Undecodable, detail, index: None, metric: None })
    }

    fn decode_as<'a>(
        &'a self,
        version: &Version,
        message: MessageRef<'a>,
        arrived_ms: i64,
        payload: &mut Payload<'_>,
        explanation: Option<&mut Explanation>,
    ) -> Decoded<'a> {
        if version.format == Format::Text {
            return Decoded::default();
        }
        let unread = |reason, problem: String| {
            let detail = format!("version {}: {problem}", version.name);
            Decoded::rejected(Rejection { reason, detail, index: None, metric: None })
        };
        let outer = match payload.view(version.format, version.csv, version.compressed) {
            Ok(view) => view,
            Err(problem) => return unread(Reason::Undecodable, problem),
        };
        let inner = match version.inside.as_ref().map(|inside| inside.open(outer)).transpose() {
            Ok(inner) => inner,
            Err(fault) => return unread(fault.reason, fault.detail),
        };
        let tree = version.inside.as_ref().zip(inner.as_deref()).filter(|(inside, _)| inside.format.is_tree());
        let tree = match tree.map(|(inside, bytes)| Node::parse(inside.format, inside.csv, bytes)).transpose() {
            Ok(tree) => tree,
            Err(problem) => return unread(Reason::Undecodable, format!("the payload inside: {problem}")),
        };
        // What fields and records are read in.
        let view = tree.as_ref().map(View::Tree).or(inner.as_deref().map(View::Bytes)).unwrap_or(outer);
        let first = version.fields.len();
        let receipt = Receipt { ingest: message.received_at, arrival: arrived_ms };
        let base = Base { received: Some(receipt.ingest.min(receipt.arrival)), ..Base::default() };
        let sent = version.sent.as_ref().map_or(Ok(None), |sent| sent.read(outer, base));
        let base = Base { sent: sent.as_ref().ok().copied().flatten(), ..base };
        let rows = version.records.as_ref().map(|records| records.rows(view)).unwrap_or_default();
        let (time, records) = version.read_times(outer, view, &rows, base);
        let times = match &records {
            Some((_, Ok(found))) => found.times.as_slice(),
            _ => &[],
        };
        // A message that does not say when it was sent is judged by its times alone.
        let sent_at = base.sent.map(|sent| sent.saturating_add(version.wraps_ms()));
        let belief = self.clock.judge(known(&time, times), sent_at, receipt);
        let time_of_identity = if version.follows_receipt {
            // When the message comes again, it is received at another time.
            let (time, records) = version.read_times(outer, view, &rows, Base { received: None, ..base });
            let times = records.and_then(|(_, found)| found.ok()).map(|found| found.times).unwrap_or_default();
            version.time_of_identity(&time, &times)
        } else {
            version.time_of_identity(&time, times)
        };
        let mut decoding = Decoding {
            profile: self,
            message,
            receipt,
            belief,
            identity: identify(&version.identity, outer, &message, time_of_identity, self.clock.not_before_ms),
            reads_time: version.reads_time,
            outer,
            is_absent: false,
            explanation,
            decoded: Decoded { readings: Vec::with_capacity(first), ..Decoded::default() },
        };
        if let Some(explanation) = &mut decoding.explanation {
            explanation.judged(&decoding.identity, belief, known(&time, times).next().is_some());
        }
        if let Err(fault) = sent {
            decoding.reject(fault, 0, None);
        }
        if !version.fields.is_empty() {
            decoding.read(&version.fields, view, &time, 0);
        }
        match &records {
            None => {}
            Some((_, Err(fault))) => decoding.reject(fault.clone(), first, None),
            Some((records, Ok(found))) => decoding.read_records(records, found, first),
        }
        if decoding.is_absent && view.has_odd_key() {
            let detail = "a key is not a text, and a value that is missing may stand there".to_owned();
            decoding.decoded.rejected.push(Rejection {
                reason: Reason::Undecodable,
                detail,
                index: None,
                metric: None,
            });
        }
        decoding.decoded
    }
}

/// The decoding of one message.
struct Decoding<'a, 'p> {
    profile: &'a Profile,
    message: MessageRef<'a>,
    receipt: Receipt,
    belief: Belief,
    identity: String,
    /// The payload outside, where the version reads one within it.
    outer: View<'p>,
    /// Whether the version reads a time.
    reads_time: bool,
    /// Whether something that the version reads is not there.
    is_absent: bool,
    explanation: Option<&'p mut Explanation>,
    decoded: Decoded<'a>,
}

impl Decoding<'_, '_> {
    fn read_records(&mut self, records: &Records, found: &RecordViews<'_>, first: usize) {
        let RecordViews { views, times, fault } = found;
        let width = records.fields.len();
        // A record that is skipped keeps its place in the ids, so that they do not follow from the condition.
        let is_read = |record: &View<'_>| records.is_read(*record);
        for (number, (record, time)) in views.iter().zip(times).enumerate().filter(|(_, (record, _))| is_read(record)) {
            self.read(&records.fields, *record, time, first + number * width);
        }
        let room = times.len();
        if views.len() > room {
            let detail = format!("a message may have at most {MAX_VALUES} values, so only {room} records are read");
            self.reject(Fault::new(Reason::TooLarge, detail), first + room * width, None);
        }
        if let Some(fault) = fault {
            self.reject(fault.clone(), first + views.len() * width, None);
        }
    }

    /// Reads fields that have the same time.
    fn read(&mut self, fields: &[Field], view: View<'_>, device: &DeviceTime, first: usize) {
        self.is_absent |= self.reads_time && device == &Ok(None);
        let chosen = device.clone().and_then(|device| {
            let chosen = self.profile.clock.time(self.belief, device, self.receipt);
            let is_replaced = |clock| clock == ClockSource::Arrival && device.is_some();
            chosen.map(|time| (time, is_replaced(time.clock))).map_err(|error| {
                let is_late = matches!(error, WrongTime::Late { .. });
                Fault::new(if is_late { Reason::Late } else { Reason::TimeBeyondBelief }, error.to_string())
            })
        });
        let (time, is_replaced) = match chosen {
            Ok(chosen) => chosen,
            // Without a time, none of these values can be used. One rejection reports them all.
            Err(fault) => return self.reject(fault, first, None),
        };
        let before = self.decoded.readings.len();
        for (offset, field) in fields.iter().enumerate() {
            self.measure(field, view, time, first + offset);
        }
        if is_replaced && self.profile.clock.trust == ClockSource::Device {
            self.decoded.clock_replaced += self.decoded.readings.len() - before;
        }
    }

    fn measure(&mut self, field: &Field, view: View<'_>, time: EventTime, index: usize) {
        let view = if field.outside { self.outer } else { view };
        let metric = &self.profile.metrics[field.metric];
        if let Some(explanation) = &mut self.explanation {
            explanation.value(field, view, metric, index);
        }
        if !field.is_here(view) {
            return;
        }
        match field.measure(view, metric) {
            Ok(None) => self.is_absent = true,
            Ok(Some((value, quality))) => {
                self.decoded.readings.push(Reading {
                    id: reading_id(&self.identity, index),
                    device_id: self.message.device_id,
                    facility: self.message.facility,
                    metric: &metric.name,
                    value,
                    unit: &metric.unit,
                    at: time.at,
                    clock: time.clock,
                    received_at: self.message.received_at,
                    quality,
                });
            }
            Err(fault) => self.reject(fault, index, Some(metric.name.clone())),
        }
    }

    fn reject(&mut self, fault: Fault, index: usize, metric: Option<String>) {
        let Fault { reason, detail } = fault;
        let detail = match &metric {
            Some(metric) => format!("{metric} (value {index}): {detail}"),
            None => format!("from value {index} on: {detail}"),
        };
        self.decoded.rejected.push(Rejection { reason, detail, index: Some(index), metric });
    }
}

/// The id of a reading: `<identity>#<index>`.
fn reading_id(identity: &str, index: usize) -> String {
    // The index is less than `MAX_VALUES`, and usually less than ten. `format!` would take longer than everything else
    // here.
    let mut id = String::with_capacity(identity.len() + 6);
    id.push_str(identity);
    id.push('#');
    match u32::try_from(index).ok().and_then(|index| char::from_digit(index, 10)) {
        Some(digit) => id.push(digit),
        None => id.push_str(&index.to_string()),
    }
    id
}
