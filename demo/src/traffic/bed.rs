//! Beds with a pressure mat, which send packed bytes in two formats: `smart-bed`.

use super::{Moment, Sent};
use myaku::device::reading::Value;
use rand::{RngExt, rngs::StdRng};

const POSTURES: [&str; 6] = ["none", "supine", "left", "right", "prone", "sitting"];

/// Firmware 1: 14 bytes, little-endian, one sample; the time in whole seconds.
pub(super) fn firmware_1(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let seconds = moment.at_ms.div_euclid(1000) as u32;
    let at_ms = i64::from(seconds) * 1000;
    let heart = rng.random_range(48..110_u8);
    // In quarters of a breath. 61.5 breaths are above the range; the profile keeps the value.
    let breaths = if moment.out_of_range { 246 } else { rng.random_range(40..88_u8) };
    let decagrams = rng.random_range(4_200..9_800_i16);
    let (occupied, posture) = (rng.random_bool(0.95), rng.random_range(0..POSTURES.len()));
    sent.number("heart_rate", f64::from(heart), at_ms);
    if moment.out_of_range {
        sent.flagged("respiration", f64::from(breaths) / 4.0, at_ms);
    } else {
        sent.number("respiration", f64::from(breaths) / 4.0, at_ms);
    }
    sent.number("weight", f64::from(decagrams) / 100.0, at_ms);
    sent.value("occupied", Value::Boolean(occupied), at_ms);
    sent.value("posture", Value::Text(POSTURES[posture].to_owned()), at_ms);
    let bytes = &mut sent.payload;
    bytes.extend((sequence as u32).to_le_bytes());
    bytes.extend(seconds.to_le_bytes());
    bytes.extend([heart, breaths]);
    bytes.extend(decagrams.to_le_bytes());
    bytes.extend([u8::from(occupied) | (posture as u8) << 1, 0]);
    sent
}

/// Firmware 2: a header of 12 bytes, big-endian, and samples of 4 bytes, a second apart; the last is the newest.
pub(super) fn firmware_2(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let count = rng.random_range(1..=4_u8);
    let first_ms = moment.at_ms - i64::from(count - 1) * 1000;
    let occupied = rng.random_bool(0.95);
    sent.value("occupied", Value::Boolean(occupied), first_ms);
    sent.payload.extend((sequence as u32).to_be_bytes());
    sent.payload.extend(&first_ms.to_be_bytes()[2..]);
    sent.payload.extend([count, u8::from(occupied) << 7]);
    for sample in 0..count {
        let at_ms = first_ms + i64::from(sample) * 1000;
        let is_last = sample + 1 == count;
        let heart = match (moment.out_of_range && is_last, rng.random_bool(0.05)) {
            (true, _) => 9_000,
            (false, true) => u16::MAX,
            (false, false) => rng.random_range(480..1_100_u16),
        };
        let breaths = rng.random_range(1_000..2_200_u16);
        match heart {
            u16::MAX => {}
            2_501.. => sent.rejected("out-of-range"),
            tenths => sent.number("heart_rate", f64::from(tenths) / 10.0, at_ms),
        }
        sent.number("respiration", f64::from(breaths) / 100.0, at_ms);
        sent.payload.extend(heart.to_be_bytes());
        sent.payload.extend(breaths.to_be_bytes());
    }
    sent
}
