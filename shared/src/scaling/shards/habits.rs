//! The habits of a stream's load: its peak and its greatest sudden rise over days.

use super::{Capacity, Load, Series};

/// The longest period of a history, in milliseconds. Habits average over it, so that a burst of a minute does not
/// count.
const HABIT_PERIOD_MS: i64 = 300_000;

/// What the load was like over days: how high it rose, and how far it rose before a stream could have followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// How much of the load is known, in milliseconds.
    pub known_ms: i64,
    /// The highest demand, in shards' worth.
    pub peak: f64,
    /// The greatest rise within [`Habits::REACTION_MS`], in shards' worth.
    pub jump: f64,
}

impl Habits {
    /// The time within which the stream cannot follow a rise, in milliseconds: metrics arrive after a minute or two,
    /// and each doubling of the stream takes another minute or two.
    pub const REACTION_MS: i64 = 900_000;

    /// The habits in `history`, which has sums over periods of five minutes or less, with `throttled` over the same
    /// periods; `None` if no period is known.
    pub fn of(history: &Load, throttled: &Series, capacity: &Capacity) -> Option<Self> {
        let records = &history.records;
        let accepted = capacity.shards_over(history);
        let demand = accepted.iter().zip(&records.values).enumerate().map(|(index, (accepted, records))| {
            let refused = throttled.ending_at(history.records.end_of(index)).unwrap_or(0.0);
            match records {
                Some(records) if *records > 0.0 => accepted.map(|accepted| accepted * (1.0 + refused / records)),
                _ => *accepted,
            }
        });
        let demand: Vec<Option<f64>> = demand.collect();
        let known = demand.iter().flatten().count();
        let peak = demand.iter().flatten().copied().reduce(f64::max)?;
        let reach = usize::try_from(Self::REACTION_MS / records.period_ms.clamp(1, HABIT_PERIOD_MS)).unwrap_or(1);
        let rises = demand.windows(reach + 1).filter_map(|window| {
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

    #[test]
    fn habits_are_the_peak_and_the_greatest_rise_within_the_reaction_time() {
        let values = [1.0, 2.0, 2.0, 5.0, 1.0, 0.5, 0.5, 4.0].map(|shards| Some(shards * 300_000.0)).to_vec();
        let history = |values: Vec<Option<f64>>| Series { end_ms: 600_000, period_ms: 300_000, values };
        let load = Load { records: history(values), bytes: history(vec![Some(0.0); 8]) };
        let habits = Habits::of(&load, &Series::default(), &Capacity::of(&[])).unwrap();
        assert_eq!(habits, Habits { known_ms: 8 * 300_000, peak: 5.0, jump: 4.0 });
        let nothing = Load { records: history(vec![None; 3]), bytes: history(vec![None; 3]) };
        assert_eq!(Habits::of(&nothing, &Series::default(), &Capacity::of(&[])), None);
    }
}
