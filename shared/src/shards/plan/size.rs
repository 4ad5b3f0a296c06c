//! How many shards the load calls for, by each mode's rule.

use super::{View, Wish};
use crate::shards::Mode;

/// Minutes whose greatest demand counts as the present one: a single minute's dip is no reason to relax.
const PRESENT_MINUTES: u32 = 3;
/// Minutes over which a rise is measured.
const SLOPE_MINUTES: u32 = 5;

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
        Wish { shards: self.open, reason }
    }

    fn target_size(&self) -> Wish {
        let rule = &self.policy.target;
        let Some(present) = self.demand.max(PRESENT_MINUTES) else {
            return self.stay("no load is known of the last minutes".to_owned());
        };
        let (need, why) = self.need(present);
        if need > self.open {
            return Wish { shards: need, reason: why };
        }
        // Down only to what the whole window needed, as long as all but a few of its minutes are known.
        let window = self.demand.newest(rule.shrink_minutes);
        let known = window.iter().flatten().count() as u32;
        if known < rule.shrink_minutes - rule.shrink_minutes / 10 {
            return self.stay(format!("{known} of {} minutes are known, too few to shrink", rule.shrink_minutes));
        }
        let least = self.demand.max(rule.shrink_minutes).map_or(self.open, |most| self.need(most).0);
        let saved = self.open.saturating_sub(least);
        if saved == 0 || f64::from(saved) < f64::from(self.open) * rule.shrink_least {
            return self.stay(format!("{why}: {} are right", self.open));
        }
        Wish { shards: least, reason: format!("{} minutes needed {least} shards at most", rule.shrink_minutes) }
    }

    /// The shards for a demand: with what it may become before the stream can follow.
    fn need(&self, demand: f64) -> (u32, String) {
        let rule = &self.policy.target;
        let rise = self.demand.slope(SLOPE_MINUTES).max(0.0) * f64::from(rule.horizon_minutes);
        let foreseen = demand + rise;
        let known =
            self.observation.habits.filter(|habits| habits.known_ms >= i64::from(rule.habits_after_hours) * 3_600_000);
        let Some(habits) = known else {
            let shards = shards_for(foreseen, rule.newcomer_utilisation);
            return (shards, format!("the load is worth {demand:.1} shards, and its habits are not known yet"));
        };
        // A jump as far as the farthest of these days, but not beyond their peak: that would be a new record.
        let jumped = (demand + habits.jump).min(habits.peak.max(foreseen));
        let shards = shards_for(foreseen.max(jumped), rule.utilisation);
        (shards, format!("the load is worth {demand:.1} shards and may soon be {:.1}", foreseen.max(jumped)))
    }

    fn stream_size(&self) -> Wish {
        let rule = &self.policy.stream;
        let open = f64::from(self.open);
        let (above, below) = (rule.grow_above * open, rule.shrink_below * open);
        let recent = self.demand.newest(rule.grow_minutes).iter().flatten();
        if recent.filter(|&&demand| demand > above).count() >= rule.grow_datapoints as usize {
            let shards = (open * rule.grow_factor).ceil() as u32;
            let reason = format!("over {:.0} % for {} minutes", rule.grow_above * 100.0, rule.grow_minutes);
            return Wish { shards, reason };
        }
        let recent = self.demand.newest(rule.shrink_minutes).iter().flatten();
        if recent.filter(|&&demand| demand < below).count() >= rule.shrink_datapoints as usize {
            let shards = ((open * rule.shrink_factor).ceil() as u32).max(1);
            // What would have to grow again at once stays.
            let most = self.demand.max(rule.grow_minutes).unwrap_or(f64::INFINITY);
            if shards < self.open && most <= f64::from(shards) * rule.grow_above {
                let reason = format!("under {:.0} % for {} minutes", rule.shrink_below * 100.0, rule.shrink_minutes);
                return Wish { shards, reason };
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
