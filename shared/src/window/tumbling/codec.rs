//! The bytes of a device's timelines.
//!
//! They are `v` metrics, in the order of their names, where `v` is a number as LEB128, the others are little-endian, and
//! `[8]?` is 0, or 1 and eight bytes:
//! `name(v, UTF-8) kind[1] clock[8]? horizon[8]? lost[8]? folded(0 | 1 at[8] value) pending(v × (at: first [8], then v
//! more; id value)) tracks(v × (name(v, UTF-8) since[8]? open(v × (from[8] length(v) carried[8]? left_out(v)
//! aggregate))))`. A value has the bytes of its kind: eight of a number, one of a boolean, `v` and UTF-8 of a text, sixteen
//! of a position. An id is written by [`ReadingId::put`]; in version 1
//! it was its digest alone.

use super::MetricTimelines;
use super::aggregate::{Aggregate, Timed};
use super::interval::Interval;
use super::result::WindowResult;
use super::timeline::{Entry, Open, Pending, Timeline, Track};
use crate::device::profile::document::Kind;
use crate::device::reading::Value;
use crate::keyed::bytes::{CorruptedState, Reader, put_option, put_text, put_varint};
use crate::keyed::{ReadingId, State};

impl State for MetricTimelines {
    type Outcome = WindowResult;

    const NAME: &'static str = "tumbling-window";
    const VERSION: u8 = 2;

    fn size_hint(&self) -> usize {
        let pending: usize = self.timelines.iter().map(|(_, timeline)| timeline.pending.iter().len()).sum();
        self.timelines.len() * 600 + pending * 20
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.timelines.len() as u64);
        for (name, timeline) in &self.timelines {
            put_text(out, name);
            put_timeline(out, timeline);
        }
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        if !(1..=Self::VERSION).contains(&version) {
            return Err(CorruptedState("the version of its windows is unknown"));
        }
        let metrics = reader.count(8)?;
        let mut timelines: Vec<(String, Timeline)> = Vec::with_capacity(metrics);
        for _ in 0..metrics {
            let name = reader.text()?;
            if timelines.last().is_some_and(|(last, _)| last.as_str() >= name) {
                return Err(CorruptedState("metrics are out of order"));
            }
            timelines.push((name.to_owned(), read_timeline(version, reader)?));
        }
        Ok(Self { timelines })
    }

    fn lose(&mut self, until_ms: i64) {
        for (_, timeline) in &mut self.timelines {
            timeline.lose(until_ms);
        }
    }
}

fn put_timeline(out: &mut Vec<u8>, timeline: &Timeline) {
    put_kind(out, timeline.kind);
    let horizon_ms = Some(timeline.horizon_ms).filter(|horizon| *horizon != i64::MIN);
    for time in [timeline.clock_ms, horizon_ms, timeline.lost_until] {
        put_time(out, time);
    }
    put_option(out, timeline.folded.as_ref(), |out, folded| {
        out.extend(folded.at.to_le_bytes());
        put_value(out, &folded.value);
    });
    put_varint(out, timeline.pending.iter().len() as u64);
    let mut before = None::<&Entry>;
    for entry in timeline.pending.iter() {
        match before {
            None => out.extend(entry.at.to_le_bytes()),
            // Ascending, so the difference is not negative; wrapping makes it right over the whole range.
            Some(before) => put_varint(out, entry.at.wrapping_sub(before.at) as u64),
        }
        entry.id.put(before.map(|before| before.id), out);
        before = Some(entry);
        put_value(out, &entry.value);
    }
    put_varint(out, timeline.tracks.len() as u64);
    for track in &timeline.tracks {
        put_text(out, &track.window);
        put_time(out, track.since_ms);
        put_varint(out, track.open.len() as u64);
        for open in &track.open {
            let Interval { from_ms, to_ms } = open.interval;
            out.extend(from_ms.to_le_bytes());
            put_varint(out, to_ms.wrapping_sub(from_ms) as u64);
            put_time(out, open.carried_at);
            put_varint(out, open.left_out);
            open.aggregate.encode_into(out);
        }
    }
}

fn read_timeline(version: u8, reader: &mut Reader<'_>) -> Result<Timeline, CorruptedState> {
    let kind = read_kind(reader)?;
    let [clock_ms, horizon_ms, lost_until] =
        [reader.option(Reader::i64)?, reader.option(Reader::i64)?, reader.option(Reader::i64)?];
    if horizon_ms == Some(i64::MIN) {
        return Err(CorruptedState("a time is not in its only form"));
    }
    let folded = reader.option(|reader| Ok(Timed { at: reader.i64()?, value: read_value(kind, reader)? }))?;
    let mut pending = Pending::new();
    let (mut before, mut before_id) = (None, None);
    for _ in 0..reader.count(10)? {
        let at = later(before, reader)?;
        let id = if version == 1 { ReadingId::read_digest(reader)? } else { ReadingId::read(before_id, reader)? };
        (before, before_id) = (Some(at), Some(id));
        let entry = Entry { at, id, value: read_value(kind, reader)? };
        if !pending.push(entry) {
            return Err(CorruptedState("readings are out of order"));
        }
    }
    let tracks = reader.count(3)?;
    let tracks = (0..tracks).map(|_| read_track(kind, reader)).collect::<Result<_, _>>()?;
    let horizon_ms = horizon_ms.unwrap_or(i64::MIN);
    Ok(Timeline { kind, clock_ms, horizon_ms, lost_until, folded, pending, tracks })
}

fn read_track(kind: Kind, reader: &mut Reader<'_>) -> Result<Track, CorruptedState> {
    let window = reader.text()?.to_owned();
    let since_ms = reader.option(Reader::i64)?;
    let length = reader.count(11)?;
    let mut open: Vec<Open> = Vec::with_capacity(length);
    for _ in 0..length {
        let from_ms = reader.i64()?;
        let interval = Interval { from_ms, to_ms: later(Some(from_ms), reader)? };
        if open.last().is_some_and(|before| before.interval >= interval) {
            return Err(CorruptedState("windows are out of order"));
        }
        let (carried_at, left_out) = (reader.option(Reader::i64)?, reader.varint()?);
        open.push(Open { interval, carried_at, left_out, aggregate: Aggregate::decode(kind, reader)? });
    }
    Ok(Track { window, since_ms, open })
}

/// A time that is not before another one, or the first of several.
fn later(before: Option<i64>, reader: &mut Reader<'_>) -> Result<i64, CorruptedState> {
    match before {
        None => reader.i64(),
        Some(before) => before.checked_add_unsigned(reader.varint()?).ok_or(CorruptedState("a time exceeds 64 bits")),
    }
}

fn put_time(out: &mut Vec<u8>, time: Option<i64>) {
    put_option(out, time, |out, time| out.extend(time.to_le_bytes()));
}

/// Appends the kind of values: one byte.
pub(super) fn put_kind(out: &mut Vec<u8>, kind: Kind) {
    out.push(match kind {
        Kind::Number => 0,
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Position => 3,
    });
}

/// Reads what [`put_kind`] appended.
pub(super) fn read_kind(reader: &mut Reader<'_>) -> Result<Kind, CorruptedState> {
    match reader.array()? {
        [0] => Ok(Kind::Number),
        [1] => Ok(Kind::Boolean),
        [2] => Ok(Kind::Text),
        [3] => Ok(Kind::Position),
        _ => Err(CorruptedState("the kind of a metric is unknown")),
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => out.extend(number.to_le_bytes()),
        Value::Boolean(state) => out.push((*state).into()),
        Value::Text(text) => put_text(out, text),
        Value::Position(position) => out.extend(position.iter().flat_map(|degrees| degrees.to_le_bytes())),
    }
}

fn read_value(kind: Kind, reader: &mut Reader<'_>) -> Result<Value, CorruptedState> {
    Ok(match kind {
        Kind::Number => Value::Number(reader.f64()?),
        Kind::Boolean => Value::Boolean(reader.flag()?),
        Kind::Text => Value::Text(reader.text()?.to_owned()),
        Kind::Position => Value::Position([reader.f64()?, reader.f64()?]),
    })
}

#[cfg(test)]
mod tests;
