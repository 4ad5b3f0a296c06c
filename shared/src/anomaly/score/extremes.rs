//! The peaks of a view, and how far a value lies beyond them.
//!
//! A fixed limit would need a setting, and a limit by mean and standard deviation would need values that are normally
//! distributed. The peaks of the series itself need neither: what it has done seven times before is ordinary, however wild it is.

use super::WARM_UP;
use super::precision::Precision;
use super::reason::Side;

/// A value is compared with the peak of this rank, counted from 0: seven are more extreme.
const RANK: usize = 7;
/// How many peaks are kept on each side.
pub(super) const PEAKS: usize = RANK + 1;
/// A young view has not had the time to show seven peaks. Until it has, the rank is one in this many readings.
const READINGS_PER_RANK: f64 = 500.0;
/// Readings from the first of an episode that belong to the same peak. Without that, one long anomaly would fill all ranks,
/// and the next one like it would be ordinary.
const EPISODE: u8 = 3;
/// The memory of the mean, in readings.
const MEAN_READINGS: f64 = 5_000.0;
/// Peaks approach the mean by one part in so many a reading, so that a wild year is forgotten: half of the distance in 35,000
/// readings.
const FADE_READINGS: f64 = 50_000.0;
/// Peaks fade every so many readings, to save work.
const FADE_EVERY: u64 = 64;

/// The most extreme peaks of a view, on both sides, and its mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extremes<P> {
    pub(super) mean: f64,
    /// The highest peaks, and the lowest with their sign turned.
    pub(super) sides: [Peaks<P>; 2],
}

/// The sign by which each side turns values, so that its most extreme ones are the greatest.
const SIGNS: [f64; 2] = [1.0, -1.0];
const SIDES: [Side; 2] = [Side::High, Side::Low];

/// The greatest peaks, the greatest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Peaks<P> {
    pub(super) kept: [P; PEAKS],
    pub(super) count: u8,
    /// The place of the latest peak, as long as it may grow.
    pub(super) latest: u8,
    /// For how many more readings a greater value is the same peak.
    pub(super) open_for: u8,
}

/// The longest that a peak stays open.
pub(super) const OPEN_MAX: u8 = EPISODE - 1;

impl<P: Precision> Default for Extremes<P> {
    fn default() -> Self {
        let peaks = || Peaks { kept: [P::ZERO; PEAKS], count: 0, latest: 0, open_for: 0 };
        Self { mean: 0.0, sides: [peaks(), peaks()] }
    }
}

impl<P: Precision> Extremes<P> {
    /// How far `value` lies beyond the ordinary extremes, in units of their distance from the mean, and on which side; 0 for
    /// what lies within. Then learns from it. The view has seen `seen` values before, and levels are kept in relation to `origin`.
    pub(super) fn update(&mut self, seen: u64, value: f64, origin: f64) -> (f64, Side) {
        // Compare like with like: a value that is rounded as the peaks are equals a peak of the same value.
        let value = P::keep(value, origin).value(origin);
        let (mut beyond, mut side) = (0.0, Side::High);
        if seen >= WARM_UP {
            let rank = (1.0 / READINGS_PER_RANK * (seen - 1) as f64).min(RANK as f64);
            for ((peaks, sign), this) in self.sides.iter().zip(SIGNS).zip(SIDES) {
                let ordinary = peaks.at_rank(rank, sign * origin);
                let unit = (ordinary - sign * self.mean).max(0.0) + 1e-9 * self.mean.abs() + 1e-12;
                let by = (sign * value - ordinary) / unit;
                if by > beyond {
                    (beyond, side) = (by, this);
                }
            }
        }
        let seen = seen + 1;
        self.mean += (value - self.mean) * (1.0 / seen as f64).max(1.0 / MEAN_READINGS);
        for (peaks, sign) in self.sides.iter_mut().zip(SIGNS) {
            if seen.is_multiple_of(FADE_EVERY) {
                peaks.fade(sign * self.mean, sign * origin);
            }
            peaks.insert(P::keep(sign * value, sign * origin));
        }
        (beyond, side)
    }
}

impl<P: Precision> Peaks<P> {
    /// The peaks that there are.
    pub(super) fn list(&self) -> &[P] {
        &self.kept[..usize::from(self.count)]
    }

    /// The value at a rank, interpolated between two peaks. There is at least one.
    fn at_rank(&self, rank: f64, origin: f64) -> f64 {
        let last = usize::from(self.count) - 1;
        let below = rank as usize;
        let at = |index: usize| self.kept[index.min(last)].value(origin);
        let part = if below <= last { rank - below as f64 } else { 0.0 };
        at(below) + (at(below + 1) - at(below)) * part
    }

    /// Moves the peaks above the mean towards it.
    fn fade(&mut self, mean: f64, origin: f64) {
        for peak in &mut self.kept[..usize::from(self.count)] {
            let height = peak.value(origin);
            if height > mean {
                *peak = P::keep(height - (height - mean) * (FADE_EVERY as f64 / FADE_READINGS), origin);
            }
        }
    }

    /// Inserts a value that is high enough, in place of the latest peak as long as that is open.
    fn insert(&mut self, value: P) {
        let is_open = self.open_for > 0;
        let latest = usize::from(self.latest);
        self.open_for = self.open_for.saturating_sub(1);
        if self.open_for == 0 {
            self.latest = 0;
        }
        let count = usize::from(self.count);
        if count == PEAKS && value <= self.kept[PEAKS - 1] {
            return;
        }
        // The place that becomes free: that of the peak that grows, or the last one.
        let free = if !is_open {
            self.open_for = OPEN_MAX;
            self.count = (count + 1).min(PEAKS) as u8;
            count.min(PEAKS - 1)
        } else if value > self.kept[latest] {
            latest
        } else {
            return;
        };
        let mut place = free;
        while place > 0 && self.kept[place - 1] < value {
            self.kept[place] = self.kept[place - 1];
            place -= 1;
        }
        self.kept[place] = value;
        if self.open_for > 0 {
            self.latest = place as u8;
        }
    }
}
