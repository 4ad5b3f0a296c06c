//! The bytes of a detector: 1.4 to 2 KB for ordinary series, and at most [`BYTES_MAX`].
//!
//! Numbers with sizes in brackets are little-endian; `v` is a number as LEB128. Nothing is written that follows from the rest:
//!
//! `seen(v)`, and unless that is 0:
//! `origin[8] means(5 × [8]) distances(2 × [8]) square[8] departure[8]`
//! `hours(24 × (count[1] mean[4])) errors(2 × [8]) rests(2 × [8])`
//! `extremes(each view that has values: mean[8] 2 × (head[1] peaks(count × [4])))`
//! `beyond[8]`, and unless that is 0, `age[1]`; then, while the series is young, `held(seen × (hour[1] value[8]))`, and later
//! `unit[8] centre[8] rarity[8] before[1] shares(25 × v) rows(49 × row)`.
//!
//! A head has the count of peaks less one in three bits, the place of the latest peak in three, and how long it is open in two. A
//! row is the width of the stretch that has counts, where it begins unless the width is 0 or 25, and its counts.

use super::extremes::{OPEN_MAX, PEAKS, Peaks};
use super::incident::Incident;
use super::levels::{Day, HOUR_READINGS_MAX, Levels};
use super::reason::{View, WITHOUT_ORDER};
use super::sequence::{HELD, Order, ROW_MAX, SHARES_MAX, SYMBOLS, Sequence, row_total, total};
use super::{Detector, SILENCE, WARM_UP};
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};

/// The version of the format that [`Detector::encode_into`] writes.
pub const VERSION: u8 = 1;

/// The most bytes that a detector takes.
pub const BYTES_MAX: usize = 2_560;

/// Larger counts are not exact in `f64`. A reading each millisecond takes 285,000 years to get there.
const SEEN_MAX: u64 = 1 << 53;

type Result<T> = std::result::Result<T, CorruptedState>;

impl Detector {
    /// Appends the bytes of the detector. The same readings give the same bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.seen);
        if self.seen == 0 {
            return;
        }
        put_f64(out, &[self.origin]);
        put_levels(out, &self.levels);
        for extremes in &self.extremes[..views_with_values(self.seen)] {
            put_f64(out, &[extremes.mean]);
            for peaks in &extremes.sides {
                put_peaks(out, peaks);
            }
        }
        put_f64(out, &[self.incident.beyond]);
        if self.incident.beyond > 0.0 {
            out.push(self.incident.age);
        }
        match &self.sequence {
            Sequence::Young(held) => {
                for (hour, value) in &held[..self.seen as usize] {
                    out.push(*hour);
                    put_f64(out, &[*value]);
                }
            }
            Sequence::Known(order) => put_order(out, order),
        }
    }

    /// Reads what [`Self::encode_into`] of `version` appended, strictly.
    ///
    /// # Errors
    /// The bytes are not a detector, or not the one way to write it.
    pub fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self> {
        if version != VERSION {
            return Err(CorruptedState("the version of its score is unknown"));
        }
        let mut detector = Self { seen: reader.varint()?, ..Self::default() };
        if detector.seen == 0 {
            return Ok(detector);
        }
        ensure(detector.seen < SEEN_MAX, "it has seen too many readings")?;
        detector.origin = reader.f64()?;
        detector.levels = levels(reader)?;
        let views = views_with_values(detector.seen);
        for extremes in &mut detector.extremes[..views] {
            extremes.mean = reader.f64()?;
            extremes.sides = [peaks(reader)?, peaks(reader)?];
        }
        detector.incident = incident(reader)?;
        detector.sequence = if detector.seen < WARM_UP {
            Sequence::Young(held(reader, detector.seen as usize)?)
        } else {
            Sequence::Known(order(reader)?)
        };
        Ok(detector)
    }
}

/// How many views have seen values: the last ones do not until the scale of the levels is known.
const fn views_with_values(seen: u64) -> usize {
    if seen < WARM_UP { WITHOUT_ORDER } else { View::COUNT }
}

fn put_f64(out: &mut Vec<u8>, values: &[f64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn f64s<const N: usize>(reader: &mut Reader<'_>) -> Result<[f64; N]> {
    let mut values = [0.0; N];
    for value in &mut values {
        *value = reader.f64()?;
    }
    Ok(values)
}

/// Numbers that are not below zero.
fn sizes<const N: usize>(reader: &mut Reader<'_>) -> Result<[f64; N]> {
    let values = f64s(reader)?;
    ensure(values.iter().all(|value| *value >= 0.0 && value.is_sign_positive()), "a size is below zero")?;
    Ok(values)
}

fn f32(reader: &mut Reader<'_>) -> Result<f32> {
    let value = f32::from_le_bytes(reader.array()?);
    ensure(value.is_finite(), "a value is not finite")?;
    Ok(value)
}

fn u8(reader: &mut Reader<'_>) -> Result<u8> {
    let [value] = reader.array()?;
    Ok(value)
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(CorruptedState(otherwise)) }
}

fn put_levels(out: &mut Vec<u8>, levels: &Levels<f32>) {
    put_f64(out, &levels.means);
    put_f64(out, &[levels.distance_1024, levels.distance_5000, levels.square, levels.departure]);
    let day = &levels.day;
    for (count, mean) in day.counts.iter().zip(day.means) {
        out.push(*count);
        out.extend(mean.to_le_bytes());
    }
    put_f64(out, &[day.error_without, day.error_with, day.rest_8, day.rest_16]);
}

fn levels(reader: &mut Reader<'_>) -> Result<Levels<f32>> {
    let means = f64s(reader)?;
    let [distance_1024, distance_5000, square] = sizes(reader)?;
    let departure = reader.f64()?;
    let (mut counts, mut of_hours) = ([0; 24], [0.0; 24]);
    for (count, mean) in counts.iter_mut().zip(&mut of_hours) {
        *count = u8(reader)?;
        ensure(*count <= HOUR_READINGS_MAX, "an hour has too many readings")?;
        *mean = f32(reader)?;
        ensure(*count > 0 || mean.to_bits() == 0, "an hour without readings has a mean")?;
    }
    let [error_without, error_with] = sizes(reader)?;
    let [rest_8, rest_16] = f64s(reader)?;
    Ok(Levels {
        means,
        distance_1024,
        distance_5000,
        departure,
        square,
        day: Day { means: of_hours, counts, error_without, error_with, rest_8, rest_16 },
    })
}

fn put_peaks(out: &mut Vec<u8>, peaks: &Peaks<f32>) {
    out.push((peaks.count - 1) | peaks.latest << 3 | peaks.open_for << 6);
    out.extend(peaks.list().iter().flat_map(|peak| peak.to_le_bytes()));
}

fn peaks(reader: &mut Reader<'_>) -> Result<Peaks<f32>> {
    let head = u8(reader)?;
    let (count, latest, open_for) = ((head & 7) + 1, head >> 3 & 7, head >> 6);
    ensure(latest < count && open_for <= OPEN_MAX && (open_for > 0 || latest == 0), "the latest peak is not a peak")?;
    let mut kept = [0.0; PEAKS];
    for index in 0..usize::from(count) {
        kept[index] = f32(reader)?;
        ensure(index == 0 || kept[index - 1] >= kept[index], "peaks are out of order")?;
    }
    Ok(Peaks { kept, count, latest, open_for })
}

fn incident(reader: &mut Reader<'_>) -> Result<Incident> {
    let [beyond] = sizes(reader)?;
    let age = if beyond > 0.0 { u8(reader)? } else { 0 };
    ensure(age <= SILENCE, "an alarm silences its series for too long")?;
    Ok(Incident { beyond, age })
}

fn held(reader: &mut Reader<'_>, seen: usize) -> Result<[(u8, f64); HELD]> {
    let mut held = [(0, 0.0); HELD];
    for (hour, value) in &mut held[..seen] {
        (*hour, *value) = (u8(reader)?, reader.f64()?);
        ensure(*hour < 24, "an hour is above 23")?;
    }
    Ok(held)
}

fn put_order(out: &mut Vec<u8>, order: &Order) {
    put_f64(out, &[order.unit, order.centre, order.rarity_4]);
    // A series that is not young has a level before.
    out.push(order.before.unwrap_or_default());
    for share in order.shares {
        put_varint(out, u64::from(share));
    }
    for row in order.after.iter().chain(&order.in_hour) {
        let first = row.iter().position(|count| *count > 0);
        let last = row.iter().rposition(|count| *count > 0);
        if let (Some(first), Some(last)) = (first, last) {
            out.push((last - first + 1) as u8);
            // A row that is full has only one place to begin.
            if last - first + 1 < SYMBOLS {
                out.push(first as u8);
            }
            out.extend(&row[first..=last]);
        } else {
            out.push(0);
        }
    }
}

fn order(reader: &mut Reader<'_>) -> Result<Order> {
    let [unit] = sizes(reader)?;
    ensure(unit > 0.0, "the unit of its levels is zero")?;
    let [centre, rarity_4] = f64s(reader)?;
    let before = u8(reader)?;
    ensure(usize::from(before) < SYMBOLS, "a level is above the highest")?;
    let mut shares = [0; SYMBOLS];
    for share in &mut shares {
        *share = u16::try_from(reader.varint()?).unwrap_or(u16::MAX);
        ensure(*share <= SHARES_MAX, "a level has too many readings")?;
    }
    ensure(total(&shares) <= SHARES_MAX, "the levels have too many readings")?;
    let mut order = Order {
        centre,
        unit,
        before: Some(before),
        rarity_4,
        after: [[0; SYMBOLS]; SYMBOLS],
        in_hour: [[0; SYMBOLS]; 24],
        shares,
    };
    for row in order.after.iter_mut().chain(&mut order.in_hour) {
        read_row(reader, row)?;
    }
    Ok(order)
}

fn read_row(reader: &mut Reader<'_>, row: &mut [u8; SYMBOLS]) -> Result<()> {
    let width = usize::from(u8(reader)?);
    if width == 0 {
        return Ok(());
    }
    let first = if width < SYMBOLS { usize::from(u8(reader)?) } else { 0 };
    let stretch = row.get_mut(first..first + width).ok_or(CorruptedState("a row is too wide"))?;
    stretch.copy_from_slice(reader.take(width)?);
    ensure(stretch[0] > 0 && stretch[width - 1] > 0, "a row begins or ends with nothing")?;
    ensure(row_total(row) <= ROW_MAX, "a row has too many readings")
}

#[cfg(test)]
mod tests;
