//! The slope of a number over the last time, which single wrong numbers do not move.

/// How many points there are at most. The time is cut into so many parts, and each has one point.
pub(super) const POINTS: usize = 24;
/// How many points a slope needs.
const POINTS_MIN: usize = 6;

/// Some numbers of a time that ends with the newest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trend {
    /// Time in milliseconds since the epoch, and number; the earliest first.
    pub(super) points: Vec<(i64, f64)>,
}

impl Trend {
    /// Adds a number, if the last point is at least a part of `over_ms` ago, and removes those that are older than `over_ms`.
    pub(super) fn add(&mut self, at_ms: i64, value: f64, over_ms: i64) {
        let part_ms = over_ms / POINTS as i64;
        if self.points.last().is_none_or(|(last, _)| at_ms.saturating_sub(*last) >= part_ms) {
            self.points.push((at_ms, value));
            let excess = self.points.len().saturating_sub(POINTS);
            let mut index = 0;
            self.points.retain(|(at, _)| {
                index += 1;
                index > excess && at_ms.saturating_sub(*at) <= over_ms
            });
        }
    }

    /// The median of the slopes between any two points (Theil and Sen), by millisecond; `None` with too few points.
    pub(super) fn slope(&self) -> Option<f64> {
        if self.points.len() < POINTS_MIN {
            return None;
        }
        let pairs =
            self.points.iter().enumerate().flat_map(|(index, a)| self.points[..index].iter().map(move |b| (a, b)));
        let mut slopes: Vec<f64> = pairs.map(|((at, a), (before, b))| (a - b) / (at - before).max(1) as f64).collect();
        let middle = slopes.len() / 2;
        let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        Some(*median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_not_moved_by_some_wrong_numbers() {
        let mut trend = Trend::default();
        for minute in 0..48_i64 {
            let value = if minute % 11 == 3 { 500.0 } else { 90.0 - minute as f64 };
            trend.add(minute * 60_000, value, 24 * 60_000);
            assert_eq!(trend.slope().is_some(), minute >= 5);
        }
        assert!(trend.points.len() <= POINTS);
        assert!((trend.slope().unwrap() * 60_000.0 + 1.0).abs() < 1e-9);
    }
}
