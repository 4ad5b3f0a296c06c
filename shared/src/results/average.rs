//! The statistics of the readings of a window.

/// Above it, squares and sums of thousands of values may leave a double's range.
const LARGE: f64 = 1e140;
/// A power of two, so that scaling loses no digit.
const SCALE: f64 = {
    let step = 1.0 / (1_u128 << 127) as f64;
    step * step * step * step * step
};

/// Statistics of the readings of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// How many readings.
    pub count: u32,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their standard deviation, of the readings as a whole population: divided by their count.
    pub stddev: f64,
}

impl Average {
    /// The statistics of `values`, which must be finite; `None` if there are none.
    ///
    /// Computed again each time in two passes, since windows are short. So no error adds up from reading to reading, as it
    /// does in running sums, and a large offset costs the deviation no digits.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let (min, max, count) = values
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY, 0_u32), |(min, max, n), x| (min.min(x), max.max(x), n + 1));
        if count == 0 {
            return None;
        }
        let scale = if max.abs().max(min.abs()) > LARGE { SCALE } else { 1.0 };
        let n = f64::from(count);
        let mean = compensated_sum(values.clone().map(|x| x * scale)) / n;
        let variance = values.map(|x| (x * scale - mean).powi(2)).sum::<f64>() / n;
        Some(Self {
            count,
            // Rounding must not move the mean of equal values away from them.
            mean: (mean / scale).clamp(min, max),
            min,
            max,
            stddev: if min.total_cmp(&max).is_eq() { 0.0 } else { variance.sqrt() / scale },
        })
    }
}

/// Neumaier's compensated sum. <https://doi.org/10.1002/zamm.19740540106>
fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, lost) = values.fold((0.0_f64, 0.0_f64), |(sum, lost), x| {
        let next = sum + x;
        let error = if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        (next, lost + error)
    });
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Average {
        Average::of(values.iter().copied()).unwrap()
    }

    #[test]
    fn nothing_has_no_average() {
        assert_eq!(Average::of(std::iter::empty()), None);
    }

    #[test]
    fn the_deviation_is_that_of_the_population() {
        let average = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(average, Average { count: 8, mean: 5.0, min: 2.0, max: 9.0, stddev: 2.0 });
    }

    #[test]
    fn a_large_offset_takes_no_digits_from_the_deviation() {
        let average = of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert!((average.stddev - 22.5_f64.sqrt()).abs() < 1e-12, "{average:?}");
    }

    #[test]
    fn equal_values_deviate_by_nothing_and_average_to_themselves() {
        assert_eq!(of(&[0.1; 10]), Average { count: 10, mean: 0.1, min: 0.1, max: 0.1, stddev: 0.0 });
    }

    #[test]
    fn the_largest_doubles_have_a_finite_average() {
        let average = of(&[f64::MAX, f64::MAX, -f64::MAX]);
        assert!((average.mean / (f64::MAX / 3.0) - 1.0).abs() < 1e-12, "{average:?}");
        assert!(average.stddev.is_finite(), "{average:?}");
    }

    proptest! {
        #[test]
        fn it_is_what_plain_recomputation_gives(values in prop::collection::vec(-1e6..1e6_f64, 1..60)) {
            let average = of(&values);
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let stddev = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
            prop_assert!((average.mean - mean).abs() <= 1e-9 * (1.0 + mean.abs()));
            prop_assert!((average.stddev - stddev).abs() <= 1e-9 * (1.0 + stddev));
            prop_assert!(average.min <= average.mean && average.mean <= average.max);
        }
    }
}
