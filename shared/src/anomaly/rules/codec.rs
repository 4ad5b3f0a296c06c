//! The bytes of a device's state.
//!
//! Numbers with sizes in brackets are little-endian; `v` is a number as LEB128, and `?` an option. A state has `count(v)` metrics:
//! `name newest?(at[8] id) lost[1] rules(v × rule)`. A rule is `name phase memory`. A phase is 0 (calm), then
//! `unsure[1] since?[8]`, or 1 (open), then `since[8] calm?[8]`. A memory is its kind in a byte, and what the kind needs. An id is
//! written by [`ReadingId::put`]; in version 1 it was its digest alone.

use super::flat::Stretch;
use super::means::Means;
use super::phase::{Phase, UNSURE};
use super::recent::{PARTS, Part, Recent};
use super::rule::Nothing;
use super::state::{DetectorState, Memory, MetricState, RuleState};
use super::trend::{POINTS, Trend};
use crate::anomaly::score::{self, Detector};
use crate::keyed::bytes::{CorruptedState, Reader, put_option, put_text, put_varint};
use crate::keyed::{ReadingId, State};

type Result<T> = std::result::Result<T, CorruptedState>;

impl State for DetectorState {
    type Outcome = Nothing;

    const NAME: &'static str = "anomaly-detector";
    const VERSION: u8 = 2;

    fn size_hint(&self) -> usize {
        self.metrics.iter().map(|(_, metric)| 40 + metric.rules.len() * 250).sum()
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.metrics.len() as u64);
        for (name, MetricState { newest, is_lost, rules }) in &self.metrics {
            put_text(out, name);
            put_option(out, *newest, |out, (at, id)| {
                out.extend(at.to_le_bytes());
                id.put(None, out);
            });
            out.push((*is_lost).into());
            put_varint(out, rules.len() as u64);
            for (name, RuleState { phase, memory }) in rules {
                put_text(out, name);
                put_phase(out, *phase);
                put_memory(out, memory);
            }
        }
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self> {
        if !(1..=Self::VERSION).contains(&version) {
            return Err(CorruptedState("its version is unknown"));
        }
        let metrics = named(reader, |reader| {
            let read_id = |reader: &mut Reader<'_>| match version {
                1 => ReadingId::read_digest(reader),
                _ => ReadingId::read(None, reader),
            };
            let newest = reader.option(|reader| Ok((reader.i64()?, read_id(reader)?)))?;
            let is_lost = reader.flag()?;
            let rules =
                named(reader, |reader| Ok(RuleState { phase: read_phase(reader)?, memory: read_memory(reader)? }))?;
            Ok(MetricState { newest, is_lost, rules })
        })?;
        Ok(Self { metrics })
    }

    fn lose(&mut self, _until_ms: i64) {
        Self::lose(self);
    }
}

/// Reads items with names, which must be in their order.
fn named<T>(reader: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Result<T>) -> Result<Vec<(String, T)>> {
    let count = reader.count(3)?;
    let mut items: Vec<(String, T)> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text()?;
        if items.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(CorruptedState("its names are not in order"));
        }
        items.push((name.to_owned(), read(reader)?));
    }
    Ok(items)
}

fn put_phase(out: &mut Vec<u8>, phase: Phase) {
    let put_time = |out: &mut Vec<u8>, at: i64| out.extend(at.to_le_bytes());
    match phase {
        Phase::Calm { unsure, since_ms } => {
            out.extend([0, unsure]);
            put_option(out, since_ms, put_time);
        }
        Phase::Open { since_ms, calm_ms } => {
            out.push(1);
            put_time(out, since_ms);
            put_option(out, calm_ms, put_time);
        }
    }
}

fn read_phase(reader: &mut Reader<'_>) -> Result<Phase> {
    Ok(match reader.array()? {
        [0] => {
            let [unsure] = reader.array()?;
            if unsure > UNSURE {
                return Err(CorruptedState("a phase is unsure for too long"));
            }
            Phase::Calm { unsure, since_ms: reader.option(Reader::i64)? }
        }
        [1] => Phase::Open { since_ms: reader.i64()?, calm_ms: reader.option(Reader::i64)? },
        _ => return Err(CorruptedState("a phase is unknown")),
    })
}

fn put_memory(out: &mut Vec<u8>, memory: &Memory) {
    let put = |out: &mut Vec<u8>, numbers: &[f64]| out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    match memory {
        Memory::Nothing => out.push(0),
        Memory::Recent(Recent { part_ms, parts }) => {
            out.push(1);
            out.extend(part_ms.to_le_bytes());
            put_varint(out, parts.len() as u64);
            for Part { index, count, sum, min, max } in parts {
                out.extend(index.to_le_bytes());
                put_varint(out, *count);
                put(out, &[*sum, *min, *max]);
            }
        }
        Memory::Flat(Stretch { since_ms, min, max }) => {
            out.push(2);
            out.extend(since_ms.to_le_bytes());
            put(out, &[*min, *max]);
        }
        Memory::Means(Means { first_ms, last_ms, short, long }) => {
            out.push(3);
            out.extend(first_ms.to_le_bytes());
            out.extend(last_ms.to_le_bytes());
            put(out, &[*short, *long]);
        }
        Memory::Trend(Trend { points }) => {
            out.push(4);
            put_varint(out, points.len() as u64);
            for (at, value) in points {
                out.extend(at.to_le_bytes());
                put(out, &[*value]);
            }
        }
        Memory::Score(detector) => {
            out.extend([5, score::VERSION]);
            detector.encode_into(out);
        }
    }
}

fn read_memory(reader: &mut Reader<'_>) -> Result<Memory> {
    Ok(match reader.array()? {
        [0] => Memory::Nothing,
        [1] => Memory::Recent(read_recent(reader)?),
        [2] => {
            let stretch = Stretch { since_ms: reader.i64()?, min: reader.f64()?, max: reader.f64()? };
            Memory::Flat(Some(stretch).filter(|it| it.min <= it.max).ok_or(CorruptedState("a stretch is empty"))?)
        }
        [3] => Memory::Means(Means {
            first_ms: reader.i64()?,
            last_ms: reader.i64()?,
            short: reader.f64()?,
            long: reader.f64()?,
        }),
        [4] => {
            let count = reader.count(16)?;
            let points: Vec<_> = (0..count).map(|_| Ok((reader.i64()?, reader.f64()?))).collect::<Result<_>>()?;
            if count > POINTS || !points.is_sorted_by_key(|(at, _)| *at) {
                return Err(CorruptedState("a trend is out of order"));
            }
            Memory::Trend(Trend { points })
        }
        [5] => {
            let [version] = reader.array()?;
            Memory::Score(Box::new(Detector::decode(version, reader)?))
        }
        _ => return Err(CorruptedState("a memory is unknown")),
    })
}

fn read_recent(reader: &mut Reader<'_>) -> Result<Recent> {
    let part_ms = reader.i64()?;
    let part = |reader: &mut Reader<'_>| {
        let (index, count) = (reader.i64()?, reader.varint()?);
        Ok(Part { index, count, sum: reader.f64()?, min: reader.f64()?, max: reader.f64()? })
    };
    let parts: Vec<Part> = (0..reader.count(33)?).map(|_| part(reader)).collect::<Result<_>>()?;
    let is_right = part_ms > 0
        && parts.len() <= PARTS
        && parts.is_sorted_by(|a, b| a.index < b.index)
        && parts.iter().all(|part| part.count > 0 && part.min <= part.max);
    if is_right { Ok(Recent { part_ms, parts }) } else { Err(CorruptedState("its recent parts are damaged")) }
}
