//! A stretch of numbers that are the same.

/// The stretch that the newest number belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    /// The time of its first number, in milliseconds since the epoch.
    pub(super) since_ms: i64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Stretch {
    /// A stretch of one number.
    pub(super) const fn new(at_ms: i64, value: f64) -> Self {
        Self { since_ms: at_ms, min: value, max: value }
    }

    /// The stretch with another number. It begins again with a number that makes it wider than `within`.
    pub(super) fn with(self, at_ms: i64, value: f64, within: f64) -> Self {
        let (min, max) = (self.min.min(value), self.max.max(value));
        if max - min <= within { Self { min, max, ..self } } else { Self::new(at_ms, value) }
    }
}
