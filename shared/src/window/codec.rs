//! The bytes of a device's windows: some 19 for each reading.
//!
//! They are `v` metrics, in the order of their names:
//! `name(v, UTF-8) forgotten(0 | 1 at[8] id[8]) entries(v × (at: first [8], then v more; id[8] value[8]))`,
//! where `v` is a number as LEB128 and the others are little-endian. In version 1, a name was followed by a number (v) that is
//! not needed any more.

use super::{DeviceState, Entry, Place, Series};
use crate::keyed::State;
use crate::keyed::bytes::{CorruptedState, Reader, put_text, put_varint};
use crate::results::MetricResult;

impl State for DeviceState {
    type Outcome = MetricResult;

    const NAME: &'static str = "window";
    const VERSION: u8 = 2;

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
            series.push((name.to_owned(), read_series(reader)?));
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
            out.extend(place.id.to_le_bytes());
        }
    }
    put_varint(out, series.entries.len() as u64);
    let mut before = None;
    for entry in &series.entries {
        match before {
            None => out.extend(entry.place.at.to_le_bytes()),
            // Ascending, so the difference is not negative; wrapping makes it right over the whole range.
            Some(before) => put_varint(out, entry.place.at.wrapping_sub(before) as u64),
        }
        before = Some(entry.place.at);
        out.extend(entry.place.id.to_le_bytes());
        out.extend(entry.value.to_le_bytes());
    }
}

fn read_series(reader: &mut Reader<'_>) -> Result<Series, CorruptedState> {
    let forgotten = if reader.flag()? { Some(Place { at: reader.i64()?, id: reader.u64()? }) } else { None };
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
        let place = Place { at, id: reader.u64()? };
        let value = reader.f64()?;
        if entries.last().is_some_and(|before| before.place >= place) {
            return Err(CorruptedState("readings are out of order"));
        }
        entries.push(Entry { place, value });
    }
    Ok(Series { entries, forgotten })
}

#[cfg(test)]
mod tests;
