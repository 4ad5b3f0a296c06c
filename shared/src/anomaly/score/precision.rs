//! How a number is kept between two readings: as it is, or in four bytes.

use std::fmt::Debug;

/// A number as it is kept, in relation to an origin.
///
/// Four bytes hold seven digits. A pressure of 101,325 Pa would be known only to a hundredth; its distance from the first
/// reading of the series is known to far more digits. So levels are kept as their distance from that, and everything that
/// lies around zero by itself as its distance from zero.
pub trait Precision: Copy + Debug + PartialEq + PartialOrd + Send + Sync + 'static {
    /// A distance of zero.
    const ZERO: Self;

    /// Keeps `value`.
    fn keep(value: f64, origin: f64) -> Self;

    /// What was kept.
    fn value(self, origin: f64) -> f64;
}

/// As it is: the origin does not matter.
impl Precision for f64 {
    const ZERO: Self = 0.0;

    fn keep(value: f64, _: f64) -> Self {
        value
    }

    fn value(self, _: f64) -> f64 {
        self
    }
}

/// Seven digits of the distance from the origin.
impl Precision for f32 {
    const ZERO: Self = 0.0;

    fn keep(value: f64, origin: f64) -> Self {
        (value - origin) as Self
    }

    fn value(self, origin: f64) -> f64 {
        origin + f64::from(self)
    }
}
