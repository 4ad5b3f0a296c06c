//! Reports a bad stretch once: what goes on for an hour is one incident, not sixty.

use super::{ALARM, SILENCE};

/// How many times as bad a score must be to be reported within the silence.
const WORSE: f64 = 2.0;

/// The latest alarm.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Incident {
    /// How far beyond the ordinary it was; 0 if it no longer silences.
    pub(super) beyond: f64,
    /// Readings since then, at most [`SILENCE`].
    pub(super) age: u8,
}

impl Incident {
    /// Whether a reading that is so far beyond the ordinary is reported.
    pub(super) fn reports(&mut self, beyond: f64) -> bool {
        if self.beyond > 0.0 {
            self.age += 1;
            if self.age > SILENCE {
                *self = Self::default();
            }
        }
        if beyond <= WORSE * self.beyond {
            return false;
        }
        if beyond >= ALARM / (1.0 - ALARM) {
            *self = Self { beyond, age: 0 };
        }
        true
    }
}
