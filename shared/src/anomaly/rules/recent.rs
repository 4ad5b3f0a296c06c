//! The numbers of the last so many seconds: their mean, range and count, in constant memory.

/// How many parts the time is cut into. What leaves it leaves by whole parts, so it covers between 15 and 16 sixteenths.
pub(super) const PARTS: usize = 16;

/// The numbers of a time that ends with the newest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recent {
    /// The length of a part in milliseconds.
    pub(super) part_ms: i64,
    /// The parts that have numbers, the earliest first.
    pub(super) parts: Vec<Part>,
}

/// The numbers of a part of the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// How many parts lie between the epoch and this one.
    pub(super) index: i64,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Recent {
    /// The length of a part of so many seconds, in milliseconds.
    pub(super) fn part_ms(seconds: u32) -> i64 {
        (i64::from(seconds) * 1_000 / PARTS as i64).max(1)
    }

    /// Moves on to the time of so many seconds that ends at `at_ms`. Settings that have changed begin again.
    pub(super) fn move_to(&mut self, seconds: u32, at_ms: i64) {
        let part_ms = Self::part_ms(seconds);
        if self.part_ms != part_ms {
            *self = Self { part_ms, parts: Vec::new() };
        }
        let newest = at_ms.div_euclid(part_ms);
        self.parts.retain(|part| part.index > newest - PARTS as i64);
    }

    /// Adds a number to the time that ends at `at_ms`; times do not go backwards.
    pub(super) fn add(&mut self, at_ms: i64, value: f64) {
        let index = at_ms.div_euclid(self.part_ms);
        match self.parts.last_mut().filter(|part| part.index == index) {
            Some(part) => {
                part.count += 1;
                part.sum += value;
                part.min = part.min.min(value);
                part.max = part.max.max(value);
            }
            None => self.parts.push(Part { index, count: 1, sum: value, min: value, max: value }),
        }
    }

    /// How many numbers there are.
    pub(super) fn count(&self) -> u64 {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// Their mean; `None` without a number, or if their sum is too large for one.
    pub(super) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.parts.iter().map(|part| part.sum).sum();
        Some(sum / self.count() as f64).filter(|mean| mean.is_finite())
    }

    /// The largest less the smallest.
    pub(super) fn span(&self) -> f64 {
        let max = self.parts.iter().map(|part| part.max).fold(f64::NEG_INFINITY, f64::max);
        let min = self.parts.iter().map(|part| part.min).fold(f64::INFINITY, f64::min);
        (max - min).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_leave_with_their_part_of_the_time() {
        let mut recent = Recent::default();
        for second in 0..64_i64 {
            recent.move_to(16, second * 1_000);
            recent.add(second * 1_000, second as f64);
        }
        assert_eq!((recent.count(), recent.mean(), recent.span()), (16, Some(55.5), 15.0));
        recent.move_to(16, 70_000);
        assert_eq!((recent.count(), recent.span()), (9, 8.0));
        recent.move_to(16, 79_000);
        assert_eq!((recent.count(), recent.mean(), recent.span()), (0, None, 0.0));
    }

    #[test]
    fn another_length_begins_again() {
        let mut recent = Recent::default();
        recent.move_to(16, 0);
        recent.add(0, 1.0);
        recent.move_to(32, 0);
        assert_eq!(recent.count(), 0);
    }
}
