//! Follows the order of a series' coarse levels: how rare a level is after the one before it, and at this hour.
//!
//! A value may be ordinary by itself and come at an extraordinary moment. So levels become 25 symbols, and the counts of what followed
//! what say how rare each step is, in nats: the negative logarithm of its probability.

use super::WARM_UP;
use super::reason::View;

/// How many levels there are: one in the middle, and 12 on each side.
pub(super) const SYMBOLS: usize = 25;
const MIDDLE: i64 = SYMBOLS as i64 / 2;
const HOURS: usize = 24;
/// How many readings fix the scale of the levels.
pub(super) const HELD: usize = WARM_UP as usize;
/// Counts of a row are halved above this total, so that what is long past loses weight.
pub(super) const ROW_MAX: u16 = 250;
/// The shares of the symbols are halved above this total.
pub(super) const SHARES_MAX: u16 = 2_000;
/// The views that this module has values for.
const VIEWS: usize = View::COUNT - super::reason::WITHOUT_ORDER;

/// The order of the levels. Until the scale of the levels is known, the first readings are held instead.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is what a detector is for most of its life, and a box would be an allocation"
)]
pub(super) enum Sequence {
    /// The hours and the values of the first readings.
    Young([(u8, f64); HELD]),
    /// The order of the levels.
    Known(Order),
}

impl Default for Sequence {
    fn default() -> Self {
        Self::Young([(0, 0.0); HELD])
    }
}

impl Sequence {
    /// The values of the views of order at the reading `value`, the `seen`th of the series; `None` while it is young. When the
    /// scale becomes known, `learn` gets the values at the readings that were held, each with how many came before it.
    pub(super) fn update(
        &mut self,
        seen: u64,
        hour: u8,
        value: f64,
        mut learn: impl FnMut(u64, [f64; VIEWS]),
    ) -> Option<[f64; VIEWS]> {
        match self {
            Self::Known(order) => Some(order.update(hour, value)),
            Self::Young(held) => {
                held[seen as usize - 1] = (hour, value);
                if seen < WARM_UP {
                    return None;
                }
                let mut order = Order::of(held.map(|(_, value)| value));
                for (before, (hour, value)) in (0..).zip(&held[..HELD - 1]) {
                    learn(before, order.update(*hour, *value));
                }
                let values = order.update(hour, value);
                *self = Self::Known(order);
                Some(values)
            }
        }
    }
}

/// The scale of the levels, and what followed what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// The middle of the levels, and half the width of the middle one, about.
    pub(super) centre: f64,
    pub(super) unit: f64,
    /// The level before; none at first.
    pub(super) before: Option<u8>,
    /// The rarity of a step, smoothed over 4.
    pub(super) rarity_4: f64,
    /// How often each level came after each.
    pub(super) after: [[u8; SYMBOLS]; SYMBOLS],
    /// How often each level came in each hour.
    pub(super) in_hour: [[u8; SYMBOLS]; HOURS],
    /// How often each level came.
    pub(super) shares: [u16; SYMBOLS],
}

impl Order {
    /// An order that has seen nothing, with the scale of `values`: their median, and their mean distance from it.
    fn of(mut values: [f64; HELD]) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let centre = values[HELD / 2];
        let distances: f64 = values.iter().map(|value| (value - centre).abs()).sum();
        Self {
            centre,
            unit: distances / HELD as f64 + 1e-9 * centre.abs() + 1e-12,
            before: None,
            rarity_4: 0.0,
            after: [[0; SYMBOLS]; SYMBOLS],
            in_hour: [[0; SYMBOLS]; HOURS],
            shares: [0; SYMBOLS],
        }
    }

    /// The level of a value. Levels are narrow in the middle and grow like a logarithm, so that 25 of them span any range.
    fn level(&self, value: f64) -> u8 {
        let height = (1.5 * (value - self.centre) / self.unit).asinh() / 0.5;
        ((height + 0.5).floor() as i64 + MIDDLE).clamp(0, SYMBOLS as i64 - 1) as u8
    }

    /// How rare the level of a value is after the one before, the same smoothed, and how rare it is in this hour. Then
    /// learns from it.
    fn update(&mut self, hour: u8, value: f64) -> [f64; VIEWS] {
        let level = self.level(value);
        let index = usize::from(level);
        let total = total(&self.shares);
        let share = (f64::from(self.shares[index]) + 1.0 / SYMBOLS as f64) / f64::from(total + 1);
        let step = count(&mut self.after[usize::from(self.before.unwrap_or(level))], index, share);
        let in_hour = count(&mut self.in_hour[usize::from(hour)], index, share);
        self.shares[index] += 1;
        if total + 1 > SHARES_MAX {
            self.shares = self.shares.map(|count| count.div_ceil(2));
        }
        self.rarity_4 = if self.before.is_none() { step } else { self.rarity_4 + (step - self.rarity_4) / 4.0 };
        self.before = Some(level);
        [step, self.rarity_4, in_hour]
    }
}

/// How rare a level is by the counts of its row, and by its share of all as long as the row has few. Then counts it.
fn count(row: &mut [u8; SYMBOLS], level: usize, share: f64) -> f64 {
    let total = row_total(row);
    let rarity = -((f64::from(row[level]) + 2.0 * share) / f64::from(total + 2)).ln();
    row[level] += 1;
    if total + 1 > ROW_MAX {
        *row = row.map(|count| count.div_ceil(2));
    }
    rarity
}

/// The sum of a row.
pub(super) fn row_total(row: &[u8; SYMBOLS]) -> u16 {
    row.iter().map(|count| u16::from(*count)).sum()
}

/// The sum of the shares.
pub(super) fn total(shares: &[u16; SYMBOLS]) -> u16 {
    shares.iter().sum()
}
