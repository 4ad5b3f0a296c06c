//! Follows the level of a series over several stretches of readings, its spread, and its course over the day.
//!
//! Each of the means is exponential: a mean over `n` readings moves by one part in `n` towards each reading. While a series is
//! younger than that, it is the plain mean.

use super::precision::Precision;
use super::reason::WITHOUT_ORDER;

/// Over how many readings the means are.
const MEANS: [f64; 5] = [8.0, 32.0, 64.0, 256.0, 1_000.0];
const HOURS: usize = 24;
/// The least readings of an hour by which the profile of the day is used.
const HOUR_READINGS: u8 = 3;
/// The memory of the profile of the day, in readings of an hour.
pub(super) const HOUR_READINGS_MAX: u8 = 100;
/// The memory of the errors by which the profile is judged: 200 readings.
const ERROR_RATE: f64 = 0.005;
/// The profile is used where it leaves less than this part of the deviation from the mean.
const EXPLAINS: f64 = 0.7;
/// The most that a departure counts for, in units of the usual size.
const DEPARTURE_MAX: f64 = 50.0;
/// Readings before a departure has a usual size.
const DEPARTURE_WARM_UP: u64 = 20;

/// The level of a series, what it leaves of each reading, and how large that usually is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels<P> {
    /// The means over so many readings as [`MEANS`] says.
    pub(super) means: [f64; MEANS.len()],
    /// The mean distance from the mean over 64, over 1,024 and over 5,000 readings.
    pub(super) distance_1024: f64,
    pub(super) distance_5000: f64,
    /// The distance from the mean over 64 in units of its usual size, smoothed over 8.
    pub(super) departure: f64,
    /// The mean square of that distance, over 64.
    pub(super) square: f64,
    pub(super) day: Day<P>,
}

/// The mean of each hour of the day, and what it leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Day<P> {
    pub(super) means: [P; HOURS],
    pub(super) counts: [u8; HOURS],
    /// The mean distance from the mean of all hours, and from that of the hour.
    pub(super) error_without: f64,
    pub(super) error_with: f64,
    /// The distance from the mean of the hour, smoothed over 8 and over 16.
    pub(super) rest_8: f64,
    pub(super) rest_16: f64,
}

impl<P: Precision> Default for Levels<P> {
    fn default() -> Self {
        Self {
            means: [0.0; MEANS.len()],
            distance_1024: 0.0,
            distance_5000: 0.0,
            departure: 0.0,
            square: 0.0,
            day: Day {
                means: [P::ZERO; HOURS],
                counts: [0; HOURS],
                error_without: 0.0,
                error_with: 0.0,
                rest_8: 0.0,
                rest_16: 0.0,
            },
        }
    }
}

impl<P: Precision> Levels<P> {
    /// The values of the views from `View::Value` to `View::HourMean16` at the reading `value`, the `seen`th of the series, and whether
    /// the profile of the day explains enough for its views to count.
    pub(super) fn update(&mut self, seen: u64, hour: u8, value: f64, origin: f64) -> ([f64; WITHOUT_ORDER], bool) {
        let while_young = 1.0 / seen as f64;
        let rate = |readings: f64| (1.0 / readings).max(while_young);
        if seen == 1 {
            self.means = [value; MEANS.len()];
        }
        let [.., before_64, before_256, before_1000] = self.means;
        let (from_64, from_256) = (value - before_64, value - before_256);
        for (mean, readings) in self.means.iter_mut().zip(MEANS) {
            *mean += rate(readings) * (value - *mean);
        }
        let [of_8, of_32, ..] = self.means;

        // Part of the longer memory keeps a quiet stretch from making the unit tiny.
        let unit = self.distance_1024 + 0.1 * self.distance_5000 + 1e-12;
        let in_units =
            if seen > DEPARTURE_WARM_UP { (from_64 / unit).clamp(-DEPARTURE_MAX, DEPARTURE_MAX) } else { 0.0 };
        self.departure += (in_units - self.departure) / 8.0;
        self.distance_1024 += rate(1_024.0) * (from_64.abs() - self.distance_1024);
        self.distance_5000 += rate(5_000.0) * (from_64.abs() - self.distance_5000);
        self.square += rate(64.0) * (from_64 * from_64 - self.square);

        let (rest, explains) = self.day.update(usize::from(hour), value, before_1000, origin);
        let day = &mut self.day;
        day.rest_8 += rate(8.0) * (rest - day.rest_8);
        day.rest_16 += rate(16.0) * (rest - day.rest_16);
        let (departure, spread) = (self.departure, self.square.sqrt());
        ([value, of_8, of_32, from_64, from_256, departure, spread, rest, day.rest_8, day.rest_16], explains)
    }
}

impl<P: Precision> Day<P> {
    /// What the hour leaves of `value`, and whether the profile explains enough to be used. Then learns from the value.
    fn update(&mut self, hour: usize, value: f64, mean: f64, origin: f64) -> (f64, bool) {
        let (before, count) = (self.means[hour].value(origin), self.counts[hour]);
        let (mut rest, mut explains) = (value - mean, false);
        if count >= HOUR_READINGS {
            self.error_without += ERROR_RATE * (rest.abs() - self.error_without);
            rest = value - before;
            self.error_with += ERROR_RATE * (rest.abs() - self.error_with);
            explains = self.error_with < EXPLAINS * self.error_without;
        }
        let count = (count + 1).min(HOUR_READINGS_MAX);
        let before = if count == 1 { 0.0 } else { before };
        self.counts[hour] = count;
        self.means[hour] = P::keep(before + (value - before) / f64::from(count), origin);
        (rest, explains)
    }
}
