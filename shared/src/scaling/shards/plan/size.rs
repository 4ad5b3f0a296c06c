//! How many shards the load calls for, by each mode's rule.

use super::{View, Wish};
use crate::scaling::shards::Mode;

/// Minutes whose greatest demand counts as the present one: a single minute's dip is no reason to relax.
const PRESENT_MINUTES: u32 = 3;
/// Minutes over which a rise is measured.
const SLOPE_MINUTES: u32 = 5;
/// A demand beyond this share of the peak may be on its way to a new one; below it, a rise is followed a little beyond the
/// peak at most, since noise looks like a rise.
const NEAR_PEAK: f64 = 0.75;
const BEYOND_PEAK: f64 = 1.15;
/// By how much a stream grows at least, by the calls that are left of the day's.
const STRIDES: [f64; 11] = [1.0, 2.0, 2.0, 1.75, 1.5, 1.4, 1.3, 1.25, 1.2, 1.15, 1.1];

impl View<'_> {
    /// The size that the load calls for; the present one where nothing speaks for another.
    pub(super) fn size(&self) -> Wish {
        match self.policy.mode {
            Mode::Target => self.target_size(),
            Mode::Stream => self.stream_size(),
            // Shards are looked at one by one.
            Mode::Shard => self.stay(format!("{} shards, none of them hot", self.open)),
        }
    }

    fn stay(&self, reason: String) -> Wish {
        Wish { shards: self.open, demand: None, reason }
    }

    fn target_size(&self) -> Wish {
        let rule = &self.policy.target;
        let Some(present) = self.demand.max(PRESENT_MINUTES) else {
            return self.stay("no load is known of the last minutes".to_owned());
        };
        let need = self.need(present);
        if need.shards > self.open {
            // The fewer calls are left of the day's, the farther each goes.
            let least = (f64::from(self.open) * STRIDES[self.calls_left() as usize]).ceil() as u32;
            return Wish { shards: need.shards.max(least), ..need };
        }
        let stay = |reason: String| Wish { shards: self.open, demand: need.demand, reason };
        // Down only to what the whole window needed, as long as all but a few of its minutes are known.
        let window = self.demand.newest(rule.shrink_minutes);
        let known = window.iter().flatten().count() as u32;
        if known < rule.shrink_minutes - rule.shrink_minutes / 10 {
            return stay(format!("{known} of {} minutes are known, too few to shrink", rule.shrink_minutes));
        }
        let least = self.demand.max(rule.shrink_minutes).map_or(self.open, |most| self.need(most).shards);
        let saved = self.open.saturating_sub(least);
        if saved == 0 || f64::from(saved) < f64::from(self.open) * rule.shrink_least {
            return stay(format!("{}: {} are right", need.reason, self.open));
        }
        let reason = format!("{} minutes needed {least} shards at most", rule.shrink_minutes);
        Wish { shards: least, demand: need.demand, reason }
    }

    /// The shards for a demand: with what it may become before the stream can follow.
    fn need(&self, demand: f64) -> Wish {
        let rule = &self.policy.target;
        let rise = self.demand.slope(SLOPE_MINUTES).max(0.0) * f64::from(rule.horizon_minutes);
        let foreseen = demand + rise;
        let known =
            self.observation.habits.filter(|habits| habits.known_ms >= i64::from(rule.habits_after_hours) * 3_600_000);
        let Some(habits) = known else {
            let shards = shards_for(foreseen, rule.newcomer_utilisation);
            let reason = format!("the load is worth {demand:.1} shards, and its habits are not known yet");
            return Wish { shards, demand: Some(foreseen), reason };
        };
        // Room for what these days have shown, and none for more: a rise is followed up to their peak, unless the demand is
        // beyond it by now, and a jump as far as their farthest is taken even if it fills the shards to the brim.
        let lasting = if demand < habits.peak * NEAR_PEAK { foreseen.min(habits.peak * BEYOND_PEAK) } else { foreseen };
        let jumped = (demand + habits.jump).min(habits.peak);
        let shards = shards_for(lasting, rule.utilisation).max(shards_for(jumped, rule.utilisation));
        let expected = lasting.max(jumped);
        let reason = format!("the load is worth {demand:.1} shards and may soon be {expected:.1}");
        Wish { shards, demand: Some(expected), reason }
    }

    fn stream_size(&self) -> Wish {
        let rule = &self.policy.stream;
        let open = f64::from(self.open);
        let (above, below) = (rule.grow_above * open, rule.shrink_below * open);
        let recent = self.demand.newest(rule.grow_minutes).iter().flatten();
        if recent.filter(|&&demand| demand > above).count() >= rule.grow_datapoints as usize {
            let shards = (open * rule.grow_factor).ceil() as u32;
            let reason = format!("over {:.0} % for {} minutes", rule.grow_above * 100.0, rule.grow_minutes);
            return Wish { shards, demand: None, reason };
        }
        let recent = self.demand.newest(rule.shrink_minutes).iter().flatten();
        if recent.filter(|&&demand| demand < below).count() >= rule.shrink_datapoints as usize {
            let shards = ((open * rule.shrink_factor).ceil() as u32).max(1);
            // What would have to grow again at once stays.
            let most = self.demand.max(rule.grow_minutes).unwrap_or(f64::INFINITY);
            if shards < self.open && most <= f64::from(shards) * rule.grow_above {
                let reason = format!("under {:.0} % for {} minutes", rule.shrink_below * 100.0, rule.shrink_minutes);
                return Wish { shards, demand: None, reason };
            }
        }
        self.stay("between the marks".to_owned())
    }
}

/// The fewest shards that `demand` fills to `utilisation` at most.
fn shards_for(demand: f64, utilisation: f64) -> u32 {
    // A hair less, so that arithmetic which should give a whole number does.
    ((demand / utilisation - 1e-9).ceil() as u32).max(1)
}
