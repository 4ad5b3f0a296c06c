//! Two pieces of work, side by side: what one costs in units of the other.
//!
//! A ratio of two measurements that were taken one after the other says as much about the machine's mood as about the
//! code, and criterion, which measures one thing at a time, has no way to take them together. So this does: in each round
//! both run, whichever was second before first now, and the round gives one ratio. Whatever the machine does besides falls
//! on both. The median of the rounds is reported with the quartiles around it.

use crate::row::Spread;
use std::time::Duration;

/// A side runs as often in a round as fills this: far above what the clock can tell.
const SLICE: Duration = Duration::from_millis(20);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    /// The first's CPU time over the second's.
    pub(crate) spread: Spread,
    /// The first's CPU time, the median.
    pub(crate) ours: Duration,
    /// The second's.
    pub(crate) other: Duration,
}

/// Runs `ours` and `other` in turn for `rounds` rounds. Each says itself what it spent, so that what it only prepares does
/// not count.
pub(crate) fn beside(rounds: usize, mut ours: impl FnMut() -> Duration, mut other: impl FnMut() -> Duration) -> Ratio {
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

/// How many calls fill a slice. It warms up as well.
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

/// Seconds of one call, of so many.
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
        let ratio = beside(3, || spent(|| busy(&ours, 40_000)), || spent(|| busy(&other, 10_000)));
        assert!(ours.get() >= 3 && other.get() >= 3);
        assert!(ratio.spread.low <= ratio.spread.median && ratio.spread.median <= ratio.spread.high);
        assert!(ratio.spread.low > 0.0);
    }
}
