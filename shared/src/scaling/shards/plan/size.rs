//! How many shards the load needs, by the rule of each mode.

use super::{SizeGoal, View};
use crate::scaling::shards::Mode;

/// The greatest demand of this many minutes counts as the present one, so that a dip of one minute changes nothing.
const PRESENT_MINUTES: u32 = 3;
/// Minutes over which the slope of the demand is measured.
const SLOPE_MINUTES: u32 = 5;
/// A demand above this share of the peak may be rising to a new peak.
const NEAR_PEAK: f64 = 0.75;
/// Below [`NEAR_PEAK`], a forecast exceeds the peak by this factor at most, because noise looks like a rise.
const BEYOND_PEAK: f64 = 1.15;
/// The least factor by which a stream grows, indexed by the UpdateShardCount calls that are left in the current 24
/// hours.
const STRIDES: [f64; 11] = [1.0, 2.0, 2.0, 1.75, 1.5, 1.4, 1.3, 1.25, 1.2, 1.15, 1.1];

impl View<'_> {
    /// The size that the load needs; the present size without a reason for another one.
    pub(super) fn size(&self) -> SizeGoal {
        match self.policy.mode {
            Mode::Target => self.target_size(),
            Mode::Stream => self.stream_size(),
            // In this mode, each shard is split or merged by its own load.
            Mode::Shard => self.stay(format!("{} shards, none of them hot", self.open)),
        }
    }

    fn stay(&self, reason: String) -> SizeGoal {
        SizeGoal { shards: self.open, demand: None, reason }
    }

    fn target_size(&self) -> SizeGoal {
        let rule = &self.policy.target;
        let Some(present) = self.demand.max(PRESENT_MINUTES) else {
            return self.stay("the load of the last minutes is unknown".to_owned());
        };
        let need = self.need(present);
        if need.shards > self.open {
            // The fewer calls are left, the larger each growth is.
            let least = (f64::from(self.open) * STRIDES[self.calls_left() as usize]).ceil() as u32;
            return SizeGoal { shards: need.shards.max(least), ..need };
        }
        let stay = |reason: String| SizeGoal { shards: self.open, demand: need.demand, reason };
        // Shrink only to the size that the whole window needed, and only if nearly all of its minutes are known.
        let window = self.demand.newest(rule.shrink_minutes);
        let known = window.iter().flatten().count() as u32;
        if known < rule.shrink_minutes - rule.shrink_minutes / 10 {
            return stay(format!("only {known} of {} minutes are known, too few to shrink", rule.shrink_minutes));
        }
        let least = self.demand.max(rule.shrink_minutes).map_or(self.open, |most| self.need(most).shards);
        let saved = self.open.saturating_sub(least);
        if saved == 0 || f64::from(saved) < f64::from(self.open) * rule.shrink_least {
            return stay(format!("{}: {} shards are right", need.reason, self.open));
        }
        let reason = format!("the last {} minutes needed {least} shards at most", rule.shrink_minutes);
        SizeGoal { shards: least, demand: need.demand, reason }
    }

    /// The shards for a demand and for the rise that may come before the stream can follow.
    fn need(&self, demand: f64) -> SizeGoal {
        let rule = &self.policy.target;
        let rise = self.demand.slope(SLOPE_MINUTES).max(0.0) * f64::from(rule.horizon_minutes);
        let foreseen = demand + rise;
        let known =
            self.observation.habits.filter(|habits| habits.known_ms >= i64::from(rule.habits_after_hours) * 3_600_000);
        let Some(habits) = known else {
            let shards = shards_for(foreseen, rule.newcomer_utilisation);
            let reason = format!("the load fills {demand:.1} shards, and its habits are not known yet");
            return SizeGoal { shards, demand: Some(foreseen), reason };
        };
        // Keep room for what the last days have shown, and for no more. The forecast of a rise ends little above their
        // peak, unless the demand is near that peak already. There is also room for their greatest jump, but only up to
        // the peak.
        let rising = if demand < habits.peak * NEAR_PEAK { foreseen.min(habits.peak * BEYOND_PEAK) } else { foreseen };
        let jumped = (demand + habits.jump).min(habits.peak);
        let shards = shards_for(rising, rule.utilisation).max(shards_for(jumped, rule.utilisation));
        let expected = rising.max(jumped);
        let reason = format!("the load fills {demand:.1} shards and may soon fill {expected:.1}");
        SizeGoal { shards, demand: Some(expected), reason }
    }

    fn stream_size(&self) -> SizeGoal {
        let rule = &self.policy.stream;
        let open = f64::from(self.open);
        let (above, below) = (rule.grow_above * open, rule.shrink_below * open);
        let recent = self.demand.newest(rule.grow_minutes).iter().flatten();
        if recent.filter(|&&demand| demand > above).count() >= rule.grow_datapoints as usize {
            let shards = (open * rule.grow_factor).ceil() as u32;
            let reason = format!("over {:.0} % for {} minutes", rule.grow_above * 100.0, rule.grow_minutes);
            return SizeGoal { shards, demand: None, reason };
        }
        let recent = self.demand.newest(rule.shrink_minutes).iter().flatten();
        if recent.filter(|&&demand| demand < below).count() >= rule.shrink_datapoints as usize {
            let shards = ((open * rule.shrink_factor).ceil() as u32).max(1);
            // A stream that would have to grow again at once does not shrink.
            let most = self.demand.max(rule.grow_minutes).unwrap_or(f64::INFINITY);
            if shards < self.open && most <= f64::from(shards) * rule.grow_above {
                let reason = format!("under {:.0} % for {} minutes", rule.shrink_below * 100.0, rule.shrink_minutes);
                return SizeGoal { shards, demand: None, reason };
            }
        }
        self.stay("the load is between the marks".to_owned())
    }
}

/// The fewest shards that `demand` fills to `utilisation` at most.
fn shards_for(demand: f64, utilisation: f64) -> u32 {
    // A little less, so that a rounding error does not turn a whole number into the next one.
    ((demand / utilisation - 1e-9).ceil() as u32).max(1)
}
