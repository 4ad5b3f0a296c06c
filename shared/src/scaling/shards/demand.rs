//! The demand on a stream, in shards' worth: accepted and refused records, by the nearer of the two limits.

use super::Observation;

/// Demand by the minute, in shards' worth: 3.0 fills three shards, if their keys are spread evenly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// The values, the newest last; `None` where the demand is unknown.
    minutes: Vec<Option<f64>>,
}

impl Demand {
    /// The demand that `observation` shows. Refused records count, at the size of the accepted ones: without them, a
    /// full stream would show its capacity instead of its demand. A minute without a data point counts as zero only if
    /// the pulse shows that metrics arrived for it.
    pub fn of(observation: &Observation) -> Self {
        let capacity = observation.capacity();
        let records = &observation.load.records;
        let accepted = capacity.shards_over(&observation.load);
        let ends = (0..records.values.len()).map(|index| records.end_of(index));
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

    /// The greatest of the known values among the newest `count` minutes.
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

    /// The rise per minute, by the line through the newest `count` minutes; zero if fewer than three of them are known.
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

#[cfg(test)]
mod tests {
    use super::super::{Load, Series};
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
    fn a_minute_without_data_is_silent_with_a_pulse_and_unknown_without_one() {
        let demand = Demand::of(&observation(&[Some(60_000.0), None, None], &[], &[Some(1.0), Some(1.0), None]));
        assert_eq!(demand.minutes, [Some(1.0), Some(0.0), None]);
    }

    #[test]
    fn refused_records_count_as_demand() {
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
}
