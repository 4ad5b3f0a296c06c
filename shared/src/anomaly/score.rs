//! A score of how unusual a reading is, learned from the readings of one metric of one device before it.
//!
//! It needs no training and no settings, and judges each reading as soon as it comes. A [`Detector`] looks at a
//! series in 13 [views](View): its level over several stretches of readings, what the recent level and the time of day do not explain
//! of it, its spread, and how rare the order of its levels is. Each view remembers its eight highest and eight lowest peaks
//! (`extremes`). What was seen seven times before is ordinary, and what lies beyond it is scored by how far. The score of a
//! reading is that of the view with most to say, and its [`Reason`] names that view.
//!
//! - `levels` follows the level, the spread and the time of day; `sequence` follows the order of levels.
//! - `extremes` turns a view's value into a score. `incident` reports a bad stretch once.
//! - `codec` has the bytes of a detector, at most [`BYTES_MAX`].
//!
//! A reading takes constant work, well below a microsecond, and allocates nothing.

mod codec;
mod extremes;
mod incident;
mod levels;
mod precision;
mod reason;
mod sequence;

pub use codec::{BYTES_MAX, VERSION};
pub use precision::Precision;
pub use reason::{Reason, Side, View};

use extremes::Extremes;
use incident::Incident;
use levels::Levels;
use reason::{VIEWS, WITHOUT_ORDER};
use sequence::Sequence;

/// A score from here on is an alarm. It means a value that lies 35 % further from its view's mean than the seventh most
/// extreme peak does.
pub const ALARM: f64 = 0.26;

/// How many readings an alarm silences a series for, unless it gets twice as bad.
pub const SILENCE: u8 = 100;

/// How many readings a detector sees before it scores the next one.
pub const WARM_UP: u64 = 100;

/// Larger values, of either sign, count as this one. So no square and no distance exceeds the range of a number.
const LARGEST: f64 = 1e30;

const MS_PER_HOUR: i64 = 3_600_000;

/// How unusual a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// From 0, ordinary or silenced, to 1. An alarm from [`ALARM`] on.
    pub value: f64,
    /// What is unusual about it; `None` if the value is 0.
    pub reason: Option<Reason>,
}

/// What is remembered of one metric of one device.
///
/// All arithmetic is in `f64`. `P` is how peaks and the profile of the day are kept between two readings. With `f32`, the
/// default, a detector is exactly what its bytes say at any time: one that was stored and read again goes on as if it had not been,
/// wherever its readings are cut into batches. With `f64` it is larger, cannot be stored, and serves as the yardstick: both
/// raise the same alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector<P = f32> {
    /// How many readings it has seen.
    seen: u64,
    /// The first value, which levels are kept in relation to.
    origin: f64,
    levels: Levels<P>,
    sequence: Sequence,
    extremes: [Extremes<P>; View::COUNT],
    incident: Incident,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<P: Precision> Default for Detector<P> {
    fn default() -> Self {
        Self {
            seen: 0,
            origin: 0.0,
            levels: Levels::default(),
            sequence: Sequence::default(),
            extremes: std::array::from_fn(|_| Extremes::default()),
            incident: Incident::default(),
        }
    }
}

impl<P: Precision> Detector<P> {
    /// Scores the reading `value` of the time `at_ms`, in milliseconds since the epoch, and learns from it.
    ///
    /// Readings count in the order in which they come. Their time matters only by its hour of the day, in UTC. The score is 0 for
    /// the first [`WARM_UP`] readings. A value that is not finite scores 0 and changes nothing.
    pub fn update(&mut self, at_ms: i64, value: f64) -> Score {
        if !value.is_finite() {
            return Score::default();
        }
        let value = value.clamp(-LARGEST, LARGEST);
        if self.seen == 0 {
            self.origin = value;
        }
        let seen = self.seen;
        self.seen += 1;
        let hour = hour_of_day(at_ms);
        let (of_levels, explains_day) = self.levels.update(self.seen, hour, value, self.origin);
        let extremes = &mut self.extremes;
        let of_order = self.sequence.update(self.seen, hour, value, |seen, values| {
            for (extremes, value) in extremes[WITHOUT_ORDER..].iter_mut().zip(values) {
                extremes.update(seen, value, 0.0);
            }
        });
        // The view with the highest score speaks; of equal ones the first.
        let (mut worst, mut reason) = (0.0, None);
        let values = of_levels.into_iter().chain(of_order.into_iter().flatten());
        for ((view, extremes), value) in VIEWS.iter().zip(&mut self.extremes).zip(values) {
            let origin = if view.is_level { self.origin } else { 0.0 };
            let (beyond, side) = extremes.update(seen, value, origin);
            let weighted = view.weight * beyond;
            if weighted > worst && (explains_day || !view.needs_day) {
                (worst, reason) = (weighted, Some(Reason { view: view.view, side }));
            }
        }
        if self.incident.reports(worst) { Score { value: worst / (1.0 + worst), reason } } else { Score::default() }
    }
}

/// The hour of the day, in UTC.
const fn hour_of_day(at_ms: i64) -> u8 {
    (at_ms.div_euclid(MS_PER_HOUR)).rem_euclid(24) as u8
}

#[cfg(test)]
mod tests;
