//! The aggregate of numbers.

use super::{Sketch, Timed, finite, read_count, span_ms};
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};

/// What numbers come to. Sums that exceed the greatest double stay there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    count: u64,
    /// The sum, and what rounding took from it.
    sum: f64,
    sum_error: f64,
    /// The sum of the squared differences from the mean.
    squares: f64,
    min: f64,
    max: f64,
    first: Option<Timed<f64>>,
    /// What holds, and since when: the last reading or, before there is one, what was carried in.
    held: Option<Timed<f64>>,
    /// The mean over the time that is covered.
    weighted: f64,
    covered_ms: u64,
    sketch: Sketch,
}

/// Statistics of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumbersSummary {
    /// How many readings.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The first by time.
    pub first: Timed<f64>,
    /// The last by time.
    pub last: Timed<f64>,
    /// Their standard deviation, as a whole population.
    pub stddev: f64,
    /// The mean over time: each value weighs as long as it holds. Where no time is covered, the last value.
    pub time_weighted_mean: f64,
    /// How much time that mean covers, in milliseconds.
    pub covered_ms: u64,
    /// The median, within 1 %.
    pub p50: f64,
    /// The 95th percentile, within 1 %.
    pub p95: f64,
    /// The 99th percentile, within 1 %.
    pub p99: f64,
}

impl Numbers {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn carry(&mut self, held: Timed<f64>) {
        self.held = Some(held);
    }

    /// Welford's update, with a compensated sum: neither a large offset nor many readings cost digits.
    /// <https://doi.org/10.1080/00401706.1962.10490022>, <https://doi.org/10.1002/zamm.19740540106>
    pub(super) fn fold(&mut self, reading: Timed<f64>) {
        self.close(reading.at);
        let value = reading.value;
        let before = if self.count == 0 { value } else { self.mean() };
        if self.count == 0 {
            (self.first, self.min, self.max) = (Some(reading), value, value);
        }
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.count += 1;
        self.add_to_sum(value, 0.0);
        self.squares = finite(self.squares + (finite(value - before) * finite(value - self.mean())).max(0.0));
        self.sketch.add(value);
        self.held = Some(reading);
    }

    pub(super) fn close(&mut self, to_ms: i64) {
        if let Some(held) = self.held {
            self.cover(held.value, span_ms(held.at, to_ms));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Chan's formula: <https://doi.org/10.1007/978-3-642-51461-6_3>
        let delta = finite(other.mean() - self.mean());
        let weight = self.count as f64 / (self.count + other.count) as f64 * other.count as f64;
        self.squares = finite(self.squares + other.squares + finite(finite(delta * delta) * weight));
        self.count += other.count;
        self.add_to_sum(other.sum, other.sum_error);
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
        let order =
            |left: &Timed<f64>, right: &Timed<f64>| left.at.cmp(&right.at).then(left.value.total_cmp(&right.value));
        self.first = self.first.into_iter().chain(other.first).min_by(order);
        self.held = self.held.into_iter().chain(other.held).max_by(order);
        self.cover(other.weighted, other.covered_ms);
        self.sketch.merge(&other.sketch);
    }

    /// Lets `value` hold for a span of time.
    fn cover(&mut self, value: f64, span_ms: u64) {
        if span_ms > 0 {
            self.covered_ms += span_ms;
            let share = span_ms as f64 / self.covered_ms as f64;
            self.weighted = finite(self.weighted + finite(value - self.weighted) * share);
        }
    }

    fn add_to_sum(&mut self, value: f64, error: f64) {
        let sum = finite(self.sum + value);
        let lost = if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        self.sum_error = finite(self.sum_error + lost + error);
    }

    fn sum(&self) -> f64 {
        finite(self.sum + self.sum_error)
    }

    /// Rounding must not move the mean of equal values away from them.
    fn mean(&self) -> f64 {
        (self.sum() / self.count as f64).clamp(self.min, self.max)
    }

    pub(super) fn summary(&self) -> Option<NumbersSummary> {
        let (first, last) = self.first.zip(self.held)?;
        let quantile = |q| self.sketch.quantile(q).map_or(self.min, |value| value.clamp(self.min, self.max));
        Some(NumbersSummary {
            count: self.count,
            sum: self.sum(),
            mean: self.mean(),
            min: self.min,
            max: self.max,
            first,
            last,
            stddev: (self.squares / self.count as f64).sqrt(),
            time_weighted_mean: if self.covered_ms > 0 { self.weighted } else { last.value },
            covered_ms: self.covered_ms,
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
        })
    }

    /// Appends the bytes: `count(v) held(0 | 1 at[8] value[8])` and, if there are readings, `numbers(8 × [8]) first.at[8]
    /// covered(v) sketch`. `v` is a number as LEB128.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        out.push(self.held.is_some().into());
        if let Some(held) = self.held {
            out.extend(held.at.to_le_bytes());
            out.extend(held.value.to_le_bytes());
        }
        let Some(first) = self.first else { return };
        let Self { sum, sum_error, squares, min, max, weighted, .. } = *self;
        for number in [sum, sum_error, squares, min, max, weighted, first.value] {
            out.extend(number.to_le_bytes());
        }
        out.extend(first.at.to_le_bytes());
        put_varint(out, self.covered_ms);
        self.sketch.encode_into(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let count = read_count(reader)?;
        let held = reader.option(|reader| Ok(Timed { at: reader.i64()?, value: reader.f64()? }))?;
        if count == 0 {
            return Ok(Self { held, ..Self::default() });
        }
        let mut numbers = [0.0; 7];
        for number in &mut numbers {
            *number = reader.f64()?;
        }
        let [sum, sum_error, squares, min, max, weighted, value] = numbers;
        let first = Some(Timed { at: reader.i64()?, value });
        let covered_ms = read_count(reader)?;
        let sketch = Sketch::decode(reader)?;
        if held.is_none() || min > max || squares < 0.0 || sketch.count() != count {
            return Err(CorruptedState("an aggregate of numbers contradicts itself"));
        }
        Ok(Self { count, sum, sum_error, squares, min, max, first, held, weighted, covered_ms, sketch })
    }
}
