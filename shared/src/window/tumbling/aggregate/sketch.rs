//! A sketch of the distribution of numbers: any quantile within 1 % of its value, and two sketches merge.
//!
//! It is `DDSketch` (<https://doi.org/10.14778/3352063.3352135>): numbers are counted in bins whose bounds grow by a factor of
//! 1.0202, in a format of our own. A number's bin follows from the number alone, so a sketch is a function of the set of its
//! numbers, whatever their order, and however they were merged.

use super::read_count;
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};

/// The greatest number of bins. The values of 512 full bins side by side span a factor of 28,000.
///
/// When there are more, the lowest ones become one. What that costs: a quantile that falls into that bin is too high, by any
/// amount. The quantiles above stay within 1 %.
pub const MAX_BINS: usize = 512;

/// How far an estimate may be from the quantile, relative to its value.
const ACCURACY: f64 = 0.01;
/// The bound of a bin divided by that of the bin before.
const GAMMA: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// One less than the logarithm, to the base gamma, of the least number that has a bin: the least normal double.
const BELOW: i32 = -35_420;
/// The greatest key, which holds the greatest double.
const MAX_KEY: i32 = 70_910;

/// How many numbers fell into which bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Keys and counts, in ascending order of the keys, which is that of the values.
    bins: Vec<(i32, u64)>,
}

/// The key of the bin of `value`: 0 for zero, and negative for negative numbers.
fn key(value: f64) -> i32 {
    let size = value.abs();
    if size < f64::MIN_POSITIVE {
        return 0;
    }
    let key = (size.ln() / GAMMA.ln()).ceil() as i32 - BELOW;
    if value < 0.0 { -key } else { key }
}

/// The value that is within 1 % of all those of a bin.
fn estimate(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let size = (f64::from(key.abs() + BELOW) * GAMMA.ln()).exp() * 2.0 / (1.0 + GAMMA);
    if key < 0 { -size } else { size }
}

impl Sketch {
    /// Counts a finite number.
    pub fn add(&mut self, value: f64) {
        self.add_bin(key(value), 1);
        self.collapse();
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.bins {
            self.add_bin(*key, *count);
        }
        self.collapse();
    }

    fn add_bin(&mut self, key: i32, count: u64) {
        match self.bins.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(index) => self.bins[index].1 += count,
            Err(index) => self.bins.insert(index, (key, count)),
        }
    }

    /// The highest bins stay as they are, and what is below them is counted in the lowest of them. So it does not matter when
    /// bins are collapsed.
    fn collapse(&mut self) {
        let excess = self.bins.len().saturating_sub(MAX_BINS);
        let below: u64 = self.bins.drain(..excess).map(|(_, count)| count).sum();
        if let Some((_, count)) = self.bins.first_mut() {
            *count += below;
        }
    }

    /// How many numbers it has counted.
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|(_, count)| count).sum()
    }

    /// The number that a share `q` (0 to 1) of the numbers is not above; `None` if there are none. It may exceed the greatest
    /// number by 1 %.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = Some(self.count()).filter(|count| *count > 0)?;
        let rank = (q.clamp(0.0, 1.0) * (count - 1) as f64).floor() as u64;
        let mut counted = 0;
        let bin = self.bins.iter().find(|(_, count)| {
            counted += count;
            counted > rank
        });
        bin.or(self.bins.last()).map(|(key, _)| estimate(*key))
    }

    /// Appends the bytes: `bins(v × (key: first [4], then v more; count(v)))`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.bins.len() as u64);
        let mut before = None;
        for (key, count) in &self.bins {
            match before {
                None => out.extend(key.to_le_bytes()),
                Some(before) => put_varint(out, (key - before) as u64),
            }
            before = Some(*key);
            put_varint(out, *count);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        const CORRUPTED: CorruptedState = CorruptedState("the bins of a sketch are not valid");
        let length = reader.count(2)?;
        let mut bins: Vec<(i32, u64)> = Vec::with_capacity(length);
        for _ in 0..length {
            let key = match bins.last() {
                None => i32::from_le_bytes(reader.array()?),
                Some((before, _)) => {
                    let more = i32::try_from(reader.varint()?).ok().filter(|more| *more > 0).ok_or(CORRUPTED)?;
                    before.checked_add(more).ok_or(CORRUPTED)?
                }
            };
            let count = read_count(reader)?;
            if !(-MAX_KEY..=MAX_KEY).contains(&key) || count == 0 {
                return Err(CORRUPTED);
            }
            bins.push((key, count));
        }
        if length > MAX_BINS {
            return Err(CORRUPTED);
        }
        Ok(Self { bins })
    }
}

#[cfg(test)]
mod tests {
    use super::super::finite;
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.add(*value);
        }
        sketch
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            -50.0..50.0_f64,
            36.0..38.0_f64,
            (-300.0..300.0_f64).prop_map(|power| 10_f64.powf(power)),
            Just(0.0),
        ];
        prop::collection::vec(value, 1..200)
    }

    proptest! {
        #[test]
        fn each_quantile_is_within_one_percent_of_its_value(values in values(), q in 0.0..=1.0_f64) {
            let sketch = sketch(&values);
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(q * (sorted.len() - 1) as f64).floor() as usize];
            let estimate = sketch.quantile(q).unwrap();
            prop_assert!((estimate - exact).abs() <= exact.abs() * 0.010_001, "{estimate} for {exact}");
        }

        #[test]
        fn a_sketch_is_that_of_the_set_however_it_was_merged(values in values(), cut in any::<prop::sample::Index>()) {
            let (left, right) = values.split_at(cut.index(values.len()));
            let mut merged = sketch(right);
            merged.merge(&sketch(left));
            prop_assert_eq!(merged, sketch(&values));
        }
    }

    #[test]
    fn every_double_has_a_bin_that_can_be_stored() {
        for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 5e-324, 0.0, -0.0, 1.0] {
            let (key, estimate) = (key(value), sketch(&[value]).quantile(0.5).unwrap());
            assert!((-MAX_KEY..=MAX_KEY).contains(&key), "{value} has {key}");
            assert!((finite(estimate) - value).abs() <= 0.010_001 * value.abs() + f64::MIN_POSITIVE, "{value}");
        }
        assert_eq!(key(-2.5), -key(2.5));
    }

    #[test]
    fn the_lowest_bins_collapse_whatever_the_order_and_the_quantiles_above_stay_exact() {
        let rising: Vec<f64> = (0..3_000).map(|power| GAMMA.powi(power)).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        let sketch_of_rising = sketch(&rising);
        assert_eq!(sketch_of_rising.bins.len(), MAX_BINS);
        assert_eq!(sketch_of_rising.count(), 3_000);
        assert_eq!(sketch_of_rising, sketch(&falling));
        let (mut merged, low) = (sketch(&rising[1_500..]), sketch(&rising[..1_500]));
        merged.merge(&low);
        assert_eq!(sketch_of_rising, merged);
        let p95 = sketch_of_rising.quantile(0.95).unwrap();
        assert!((p95 / rising[2_849] - 1.0).abs() < 0.010_001, "{p95}");
        assert!(sketch_of_rising.quantile(0.01).unwrap() > rising[29], "the price of the collapse");
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
