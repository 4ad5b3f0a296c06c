//! Compares two pieces of work: the cost of one in units of the other.
//!
//! If two measurements follow each other, their ratio depends on the machine's other work as much as on the code, and
//! criterion measures only one thing at a time. So here both run in each round, in alternating order, and each round
//! gives one ratio. Other work on the machine affects both alike. The result is the median of the rounds with its
//! quartiles.

use crate::row::Spread;
use std::time::Duration;

/// Each side runs in a round as often as fills this time, which is far above the clock's resolution.
const SLICE: Duration = Duration::from_millis(20);

/// The result of a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    /// The first side's time divided by the second's.
    pub(crate) spread: Spread,
    /// The median time of the first side.
    pub(crate) ours: Duration,
    /// The median time of the second side.
    pub(crate) other: Duration,
}

/// Runs `ours` and `other` alternately for `rounds` rounds. Each returns the time that counts, so that its preparation
/// does not.
pub(crate) fn compare(rounds: usize, mut ours: impl FnMut() -> Duration, mut other: impl FnMut() -> Duration) -> Ratio {
    let (our_calls, other_calls) = (calls(&mut ours), calls(&mut other));
    let (mut ratios, mut our_times, mut other_times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds.max(1) {
        let (one, another);
        if round % 2 == 0 {
            one = each(our_calls, &mut ours);
            another = each(other_calls, &mut other);
        } else {
            another = each(other_calls, &mut other);
            one = each(our_calls, &mut ours);
        }
        ratios.push(one / another);
        our_times.push(one);
        other_times.push(another);
    }
    let median = |times| Duration::from_secs_f64(Spread::of(times).median);
    Ratio { spread: Spread::of(ratios), ours: median(our_times), other: median(other_times) }
}

/// How many calls fill a slice. Finding that out also warms up.
fn calls(work: &mut impl FnMut() -> Duration) -> u32 {
    let mut calls = 1;
    loop {
        let took = each(calls, work) * f64::from(calls);
        if took >= SLICE.as_secs_f64() || calls >= 1 << 20 {
            return calls;
        }
        calls *= 2;
    }
}

/// The time of one call, in seconds, from `calls` calls.
fn each(calls: u32, work: &mut impl FnMut() -> Duration) -> f64 {
    let took: Duration = (0..calls).map(|_| work()).sum();
    took.as_secs_f64() / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::spent;
    use std::cell::Cell;

    #[test]
    fn both_sides_run_in_every_round() {
        let (ours, other) = (Cell::new(0_u32), Cell::new(0_u32));
        let busy = |times: &Cell<u32>, turns: u32| {
            times.set(times.get() + 1);
            std::hint::black_box((0..turns).fold(0_u32, |sum, turn| std::hint::black_box(sum ^ turn)));
        };
        let ratio = compare(3, || spent(|| busy(&ours, 40_000)), || spent(|| busy(&other, 10_000)));
        assert!(ours.get() >= 3 && other.get() >= 3);
        assert!(ratio.spread.low <= ratio.spread.median && ratio.spread.median <= ratio.spread.high);
        assert!(ratio.spread.low > 0.0);
    }
}
