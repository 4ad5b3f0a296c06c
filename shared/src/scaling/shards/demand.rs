//! What producers want of a stream, in shards' worth: what came in and what was refused, by the nearer of the two limits.

use super::observation::{Load, Observation};
use super::{Capacity, Series};

/// Minutes that are averaged away before a load counts as higher than another: five, the period of [`Habits`].
const HABIT_PERIOD_MS: i64 = 300_000;

/// Demand by the minute, in shards' worth: 3.0 fills three shards, if their keys are spread evenly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// The values, the newest last; `None` where nothing is known.
    minutes: Vec<Option<f64>>,
}

impl Demand {
    /// The demand that `observation` shows. Refused records count as demand, at the size of the others: a stream that is
    /// full shows its capacity and not what is wanted of it. A minute without a data point counts as zero only if the
    /// pulse shows that metrics arrived for it.
    pub fn of(observation: &Observation) -> Self {
        let capacity = observation.capacity();
        let records = &observation.load.records;
        let accepted = capacity.shards_over(&observation.load);
        let ends = (0..records.values.len()).map(|index| end_of(records, index));
        let minutes = ends.zip(&accepted).zip(&records.values).map(|((end_ms, accepted), records)| {
            let refused = observation.throttled.ending_at(end_ms).unwrap_or(0.0);
            match (accepted, records) {
                (Some(accepted), Some(records)) if *records > 0.0 => Some(accepted * (1.0 + refused / records)),
                (Some(accepted), _) => Some(accepted + capacity.shards_for(refused / 60.0, 0.0)),
                (None, None) if observation.pulse.ending_at(end_ms).is_some() => Some(0.0),
                _ => None,
            }
        });
        Self { minutes: minutes.collect() }
    }

    /// The newest `count` minutes.
    pub fn newest(&self, count: u32) -> &[Option<f64>] {
        &self.minutes[self.minutes.len().saturating_sub(count as usize)..]
    }

    /// The greatest of the newest `count` minutes, as far as they are known.
    pub fn max(&self, count: u32) -> Option<f64> {
        self.newest(count).iter().flatten().copied().reduce(f64::max)
    }

    /// The least of the newest `count` minutes, if all of them are known.
    pub fn floor(&self, count: u32) -> Option<f64> {
        let minutes = self.newest(count);
        if minutes.len() < count as usize {
            return None;
        }
        minutes.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::min)
    }

    /// How much it rises in a minute, by the line through the newest `count` minutes; zero where fewer than three are known.
    pub fn slope(&self, count: u32) -> f64 {
        let known: Vec<(f64, f64)> =
            (0_u32..).zip(self.newest(count)).filter_map(|(at, value)| Some((f64::from(at), (*value)?))).collect();
        if known.len() < 3 {
            return 0.0;
        }
        let n = known.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = known.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let variance: f64 = known.iter().map(|point| (point.0 - x).powi(2)).sum();
        covariance / variance
    }
}

/// The end of the period at `index`, in milliseconds since the epoch.
fn end_of(series: &Series, index: usize) -> i64 {
    series.end_ms - (series.values.len() - 1 - index) as i64 * series.period_ms
}

/// What the load was like over days: how high it went, and how far it rose before a stream could have followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// How long the load is known for, in milliseconds.
    pub known_ms: i64,
    /// The highest demand, in shards' worth.
    pub peak: f64,
    /// The farthest that it rose within [`Habits::REACTION_MS`], in shards' worth.
    pub jump: f64,
}

impl Habits {
    /// The time within which a rise cannot be followed: metrics arrive after a minute or two, and each doubling of the
    /// stream takes another.
    pub const REACTION_MS: i64 = 900_000;

    /// The habits that show in `history`, sums by periods of five minutes or less, with `throttled` of the same periods;
    /// none if nothing is known.
    pub fn of(history: &Load, throttled: &Series, capacity: &Capacity) -> Option<Self> {
        let records = &history.records;
        let accepted = capacity.shards_over(history);
        let wanted = accepted.iter().zip(&records.values).enumerate().map(|(index, (accepted, records))| {
            let refused = throttled.ending_at(end_of(&history.records, index)).unwrap_or(0.0);
            match records {
                Some(records) if *records > 0.0 => accepted.map(|accepted| accepted * (1.0 + refused / records)),
                _ => *accepted,
            }
        });
        let wanted: Vec<Option<f64>> = wanted.collect();
        let known = wanted.iter().flatten().count();
        let peak = wanted.iter().flatten().copied().reduce(f64::max)?;
        let reach = usize::try_from(Self::REACTION_MS / records.period_ms.clamp(1, HABIT_PERIOD_MS)).unwrap_or(1);
        let rises = wanted.windows(reach + 1).filter_map(|window| {
            let from = window[0]?;
            window[1..].iter().flatten().copied().reduce(f64::max).map(|to| to - from)
        });
        let jump = rises.fold(0.0, f64::max);
        Some(Self { known_ms: known as i64 * records.period_ms, peak, jump })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END_MS: i64 = 600_000;

    fn observation(records: &[Option<f64>], refused: &[Option<f64>], pulse: &[Option<f64>]) -> Observation {
        let bytes = records.iter().map(|records| records.map(|records| records * 100.0)).collect();
        Observation {
            load: Load { records: Series::minutes(END_MS, records.to_vec()), bytes: Series::minutes(END_MS, bytes) },
            throttled: Series::minutes(END_MS, refused.to_vec()),
            pulse: Series::minutes(END_MS, pulse.to_vec()),
            ..Observation::default()
        }
    }

    #[test]
    fn a_minute_without_data_is_silent_if_the_pulse_was_there_and_unknown_if_it_was_not() {
        let demand = Demand::of(&observation(&[Some(60_000.0), None, None], &[], &[Some(1.0), Some(1.0), None]));
        assert_eq!(demand.minutes, [Some(1.0), Some(0.0), None]);
    }

    #[test]
    fn what_was_refused_was_wanted() {
        let demand = Demand::of(&observation(&[Some(60_000.0), Some(0.0)], &[Some(30_000.0), Some(6_000.0)], &[]));
        assert_eq!(demand.minutes, [Some(1.5), Some(0.1)]);
    }

    #[test]
    fn the_nearer_limit_counts() {
        let mut both = observation(&[Some(30_000.0)], &[], &[]);
        assert_eq!(Demand::of(&both).minutes, [Some(0.5)]);
        both.load.bytes.values = vec![Some(60.0 * 1_048_576.0)];
        assert_eq!(Demand::of(&both).minutes, [Some(1.0)]);
    }

    #[test]
    fn a_slope_is_per_minute_and_needs_three_known_minutes() {
        let rising = Demand { minutes: vec![Some(9.0), Some(1.0), None, Some(3.0), Some(4.0)] };
        assert!((rising.slope(4) - 1.0).abs() < 1e-9);
        assert!((rising.slope(2) - 0.0).abs() < 1e-9);
    }

    #[test]
    fn habits_are_the_peak_and_the_farthest_rise_within_the_time_of_reaction() {
        let values = [1.0, 2.0, 2.0, 5.0, 1.0, 0.5, 0.5, 4.0].map(|shards| Some(shards * 300_000.0)).to_vec();
        let history = |values: Vec<Option<f64>>| Series { end_ms: END_MS, period_ms: 300_000, values };
        let load = Load { records: history(values), bytes: history(vec![Some(0.0); 8]) };
        let habits = Habits::of(&load, &Series::default(), &Capacity::of(&[])).unwrap();
        assert_eq!(habits, Habits { known_ms: 8 * 300_000, peak: 5.0, jump: 4.0 });
        let nothing = Load { records: history(vec![None; 3]), bytes: history(vec![None; 3]) };
        assert_eq!(Habits::of(&nothing, &Series::default(), &Capacity::of(&[])), None);
    }
}
