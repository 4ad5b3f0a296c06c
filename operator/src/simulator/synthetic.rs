//! Synthetic traces, each of which tempts a policy to be late, to waste, or to flap.

use super::trace::Trace;
use std::f64::consts::TAU;

const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 24.0 * HOUR_S;

/// The synthetic traces: name and description.
pub const SYNTHETIC: [(&str, &str); 8] = [
    ("constant", "the same load for a week"),
    ("daily", "two weeks with ten times as much load by day as by night"),
    ("step", "ten times the load from one minute to the next, on the third day"),
    ("growth", "slow growth to twenty times the load in a month"),
    ("flash", "eight times the load within five minutes, for an hour, on every other day"),
    ("hot-key", "days on which one key has a tenth of the load"),
    ("sawtooth", "up and down every two hours, across both thresholds of a policy that doubles and halves"),
    ("silence", "days that begin with eight hours of no load at all"),
];

impl Trace {
    /// Returns the synthetic trace of that name, with at most 10,000 records a second; `None` if there is none.
    pub fn synthetic(name: &str) -> Option<Self> {
        let day = |t: f64| 0.5 - 0.5 * (t / DAY_S * TAU).cos();
        let daily = |t: f64| 1_000.0 + 9_000.0 * day(t);
        Some(match name {
            "constant" => per_minute(name, 7.0, |_| 5_000.0),
            "daily" => per_minute(name, 14.0, daily),
            "step" => per_minute(name, 5.0, |t| if t < 2.0 * DAY_S { 1_000.0 } else { 10_000.0 }),
            "growth" => per_minute(name, 30.0, |t| 500.0 * 20_f64.powf(t / (30.0 * DAY_S))),
            "flash" => per_minute(name, 14.0, |t| {
                let at = (t / DAY_S).rem_euclid(2.0) * 24.0;
                // Rises from 13:00 to 13:05 of every other day, and is over by 14:30.
                let crowd = ((at - 37.0) * 12.0).min(((38.5 - at) * 2.0).min(1.0)).clamp(0.0, 1.0);
                1_000.0 + 250.0 * day(t) + 7_000.0 * crowd
            }),
            "hot-key" => Self { hot_key: 0.1, ..per_minute(name, 7.0, |t| 1_000.0 + 8_000.0 * day(t)) },
            "sawtooth" => per_minute(name, 7.0, |t| {
                let phase = (t / (2.0 * HOUR_S)).rem_euclid(1.0);
                1_500.0 + 6_000.0 * (1.0 - (2.0 * phase - 1.0).abs())
            }),
            "silence" => per_minute(name, 7.0, |t| if t.rem_euclid(DAY_S) < 8.0 * HOUR_S { 0.0 } else { daily(t) }),
            _ => return None,
        })
    }
}

/// Returns a trace with a point for every minute.
fn per_minute(name: &str, days: f64, of: impl Fn(f64) -> f64) -> Trace {
    let points = (0..=(days * 1_440.0) as u32).map(|minute| f64::from(minute) * 60.0).map(|t| (t, of(t)));
    Trace { name: name.to_owned(), points: points.collect(), start_ms: 1_767_225_600_000, hot_key: 0.0, left_out: 0 }
}
