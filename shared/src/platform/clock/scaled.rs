//! A clock that runs faster than the machine's, so that one can watch half an hour of a policy in half a minute.

use super::{Now, SystemClock};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The machine's clock, or a clock that has run `rate` times as fast as the machine's since some moment.
///
/// ```
/// use myaku::platform::clock::ScaledClock;
/// let clock: ScaledClock = "1795218892020*60".parse().unwrap();
/// assert_eq!(clock.at(1_795_218_892_020 + 500), 1_795_218_892_020 + 30_000);
/// assert_eq!(ScaledClock::default().at(7), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledClock {
    origin_ms: i64,
    rate: f64,
}

/// A text that is not a clock.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be <milliseconds since the epoch>*<rate above zero>, for example 1795218892020*60")]
pub struct ParseClockError;

impl Default for ScaledClock {
    /// The machine's clock.
    fn default() -> Self {
        Self { origin_ms: 0, rate: 1.0 }
    }
}

impl ScaledClock {
    /// A clock that shows the machine's time now and runs `rate` times as fast from here on. A rate that is not a
    /// finite number above zero counts as 1.
    pub fn from_now(rate: f64) -> Self {
        let differs = rate.is_finite() && rate > 0.0 && (rate - 1.0).abs() > f64::EPSILON;
        if differs { Self { origin_ms: SystemClock.now_ms(), rate } } else { Self::default() }
    }

    /// How many milliseconds pass on this clock in one millisecond of the machine's.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The time on this clock when the machine's shows `real_ms`; both in milliseconds since the epoch.
    pub fn at(&self, real_ms: i64) -> i64 {
        let passed = (real_ms - self.origin_ms) as f64 * self.rate;
        self.origin_ms.saturating_add(passed as i64)
    }

    /// How long a span of this clock's time takes on the machine's clock.
    pub fn real(&self, span: Duration) -> Duration {
        span.div_f64(self.rate)
    }
}

impl Now for ScaledClock {
    fn now_ms(&self) -> i64 {
        self.at(SystemClock.now_ms())
    }
}

impl fmt::Display for ScaledClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.origin_ms, self.rate)
    }
}

impl FromStr for ScaledClock {
    type Err = ParseClockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (origin, rate) = text.split_once('*').ok_or(ParseClockError)?;
        let origin_ms = origin.parse().map_err(|_| ParseClockError)?;
        let rate = rate.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
        Ok(Self { origin_ms, rate: rate.ok_or(ParseClockError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_back_from_its_text_and_a_wrong_text_is_an_error() {
        for clock in [ScaledClock::from_now(60.0), ScaledClock::default(), ScaledClock { origin_ms: 7, rate: 0.5 }] {
            assert_eq!(clock.to_string().parse(), Ok(clock));
        }
        for wrong in ["", "60", "0*0", "0*-1", "0*inf", "x*1", "0*"] {
            assert_eq!(wrong.parse::<ScaledClock>(), Err(ParseClockError), "{wrong}");
        }
    }

    #[test]
    fn half_an_hour_takes_half_a_minute_at_sixty() {
        let clock = ScaledClock::from_now(60.0);
        assert_eq!(clock.real(Duration::from_mins(30)), Duration::from_secs(30));
    }
}
