//! The alert rules of a profile, as a rule of [`keyed`](crate::keyed): readings of a device begin and end incidents.
//!
//! - [`DetectorState`]: what is kept of a device. For each rule a [`Phase`], and what its condition remembers.
//! - `condition` judges a reading: does the rule's condition hold? `recent`, `means`, `trend` and `area` are what it needs for that.
//! - `phase` says when an incident begins and ends: after a condition has held for long enough, and has not held for long enough.
//! - `words` says it in words. [`AnomalyDetector`] puts all of it together.
//!
//! The readings of a metric are judged in the order in which they come. One that is older than the newest is left out: an alert is
//! about the present.

mod area;
mod codec;
mod condition;
mod flat;
mod means;
mod phase;
mod recent;
mod rule;
mod state;
mod trend;
mod words;

pub use phase::Phase;
pub use rule::{AnomalyDetector, Nothing};
pub use state::{DetectorState, MetricState};

#[cfg(test)]
mod tests;
