//! The bytes of a device's windows: some 22 for each reading.
//!
//! They are `v` metrics, in the order of their names:
//! `name(v, UTF-8) forgotten(0 | 1 at[8] id) entries(v × (at: first [8], then v more; id value[8] clock[1]))`,
//! where `v` is a number as LEB128, an id is written by [`ReadingId::put`], and the others are little-endian. Up to version 2, an
//! id was its digest alone, and there was no clock. In version 1, a name was followed by a number (v) that is not needed any more.

use super::{DeviceState, Entry, Place, Series};
use crate::device::event_time::ClockSource;
use crate::keyed::bytes::{CorruptedState, Reader, put_text, put_varint};
use crate::keyed::{ReadingId, State};
use crate::results::MetricResult;

impl State for DeviceState {
    type Outcome = MetricResult;

    const NAME: &'static str = "window";
    const VERSION: u8 = 3;

    fn size_hint(&self) -> usize {
        let entries: usize = self.series.iter().map(|(_, series)| series.entries.len()).sum();
        self.series.len() * 48 + entries * 20
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.series.len() as u64);
        for (name, series) in &self.series {
            put_text(out, name);
            put_series(out, series);
        }
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        if !(1..=Self::VERSION).contains(&version) {
            return Err(CorruptedState("the version of its windows is unknown"));
        }
        let metrics = reader.count(3)?;
        let mut series: Vec<(String, Series)> = Vec::with_capacity(metrics);
        for _ in 0..metrics {
            let name = reader.text()?;
            if series.last().is_some_and(|(last, _)| last.as_str() >= name) {
                return Err(CorruptedState("metrics are out of order"));
            }
            if version == 1 {
                reader.varint()?;
            }
            series.push((name.to_owned(), read_series(version, reader)?));
        }
        Ok(Self { series })
    }

    fn lose(&mut self, until_ms: i64) {
        for (_, series) in &mut self.series {
            series.lose(until_ms);
        }
    }
}

fn put_series(out: &mut Vec<u8>, series: &Series) {
    match series.forgotten {
        None => out.push(0),
        Some(place) => {
            out.push(1);
            out.extend(place.at.to_le_bytes());
            place.id.put(None, out);
        }
    }
    put_varint(out, series.entries.len() as u64);
    let mut before = None::<Place>;
    for Entry { place, value, clock } in &series.entries {
        match before {
            None => out.extend(place.at.to_le_bytes()),
            // Ascending, so the difference is not negative; wrapping makes it right over the whole range.
            Some(before) => put_varint(out, place.at.wrapping_sub(before.at) as u64),
        }
        place.id.put(before.map(|before| before.id), out);
        before = Some(*place);
        out.extend(value.to_le_bytes());
        out.push(clock.map_or(0, clock_byte));
    }
}

/// The byte of a clock; 0 is one that is not known.
const fn clock_byte(clock: ClockSource) -> u8 {
    match clock {
        ClockSource::Device => 1,
        ClockSource::Ingest => 2,
        ClockSource::Arrival => 3,
    }
}

fn read_clock(reader: &mut Reader<'_>) -> Result<Option<ClockSource>, CorruptedState> {
    let [byte] = reader.array()?;
    let clocks = [ClockSource::Device, ClockSource::Ingest, ClockSource::Arrival];
    let clock = clocks.into_iter().find(|clock| clock_byte(*clock) == byte);
    if clock.is_some() || byte == 0 { Ok(clock) } else { Err(CorruptedState("a clock is unknown")) }
}

fn read_series(version: u8, reader: &mut Reader<'_>) -> Result<Series, CorruptedState> {
    let read_id = |before: Option<Place>, reader: &mut Reader<'_>| match version {
        ..=2 => ReadingId::read_digest(reader),
        _ => ReadingId::read(before.map(|before| before.id), reader),
    };
    let forgotten = reader.option(|reader| Ok(Place { at: reader.i64()?, id: read_id(None, reader)? }))?;
    let count = reader.count(17)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let at = match entries.last() {
            None => reader.i64()?,
            Some(before) => before
                .place
                .at
                .checked_add_unsigned(reader.varint()?)
                .ok_or(CorruptedState("a time exceeds 64 bits"))?,
        };
        let place = Place { at, id: read_id(entries.last().map(|before| before.place), reader)? };
        let value = reader.f64()?;
        let clock = if version > 2 { read_clock(reader)? } else { None };
        if entries.last().is_some_and(|before| before.place >= place) {
            return Err(CorruptedState("readings are out of order"));
        }
        entries.push(Entry { place, value, clock });
    }
    Ok(Series { entries, forgotten })
}

#[cfg(test)]
mod tests;
