//! Two means of a number over a long and a short time, each of which forgets by and by.

/// The long time is so many times the short one.
const RATIO: f64 = 24.0;

/// The two means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Means {
    /// The time of the first number, in milliseconds since the epoch.
    pub(super) first_ms: i64,
    /// The time of the newest.
    pub(super) last_ms: i64,
    /// The mean over about the short time.
    pub(super) short: f64,
    /// The mean over about the long time.
    pub(super) long: f64,
}

impl Means {
    /// The means of one number.
    pub(super) const fn new(at_ms: i64, value: f64) -> Self {
        Self { first_ms: at_ms, last_ms: at_ms, short: value, long: value }
    }

    /// The means with another number. `long_ms` is the long time in milliseconds.
    pub(super) fn with(self, at_ms: i64, value: f64, long_ms: i64) -> Self {
        // While the series is young, the long mean is that of all numbers, by their times.
        let waited = at_ms.saturating_sub(self.last_ms).max(0) as f64;
        let known = at_ms.saturating_sub(self.first_ms).max(1) as f64;
        let share = |time: f64| if waited == 0.0 { 0.0 } else { 1.0 - (-waited / time.min(known).max(1.0)).exp() };
        let long_ms = long_ms as f64;
        let towards = |mean: f64, share: f64| (value - mean).mul_add(share, mean);
        Self {
            last_ms: at_ms,
            short: towards(self.short, share(long_ms / RATIO)),
            long: towards(self.long, share(long_ms)),
            ..self
        }
    }

    /// How far the short mean is from the long one; `None` until the long time has passed.
    pub(super) fn distance(&self, long_ms: i64) -> Option<f64> {
        (self.last_ms.saturating_sub(self.first_ms) >= long_ms).then_some(self.short - self.long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_mean_follows_a_step_and_the_long_one_hardly() {
        let long_ms = 24 * 60 * 60_000;
        let minute = |minute: i64| minute * 60_000;
        let ordinary = |means: Means, n: i64| means.with(minute(n), 20.0 + (n % 3) as f64, long_ms);
        let before = (1..1_440).fold(Means::new(0, 20.0), ordinary);
        assert_eq!(before.distance(long_ms), None, "a day has not passed");
        let means = ordinary(before, 1_440);
        assert!(means.distance(long_ms).unwrap().abs() < 0.1);
        let after = (1_441..1_441 + 120).fold(means, |means, n| means.with(minute(n), 24.0, long_ms));
        let distance = after.distance(long_ms).unwrap();
        assert!((2.2..3.0).contains(&distance), "{distance}");
    }
}
