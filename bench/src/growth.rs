//! How cost grows with its input: each curve by criterion, in CPU time, over sizes that lie a decade or less apart.
//!
//! What is looked for is growth that is faster than the input's: the slope of the total cost over the size, both as
//! logarithms. Work that is proportional has slope 1; fixed costs pull it below, at small sizes most. So the slope is fitted
//! to the upper half of the sizes, where nothing hides behind fixed costs.

mod archive;
#[cfg(feature = "functions")]
mod average;
mod plot;
#[cfg(feature = "functions")]
mod transform;

use crate::clock::CpuTime;
use crate::row::Spread;
use anyhow::{Context as _, Result};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use plot::draw;

/// A steeper curve grows faster than its input; a tenth is left to caches that larger inputs fall out of.
pub(crate) const SLOPE_MAX: f64 = 1.15;
/// Samples, each of which is as many calls as criterion finds fit.
const SAMPLES: usize = 10;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASUREMENT: Duration = Duration::from_millis(800);

/// One function over one kind of size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) function: String,
    /// What the size is of.
    pub(crate) size: String,
    /// What the cost is divided by.
    pub(crate) per: String,
    pub(crate) points: Vec<Point>,
}

/// What one size costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) size: usize,
    /// How many records, readings or devices the cost is of.
    pub(crate) count: usize,
    /// CPU time of all of them, in nanoseconds.
    pub(crate) total_ns: Spread,
}

impl Point {
    /// Nanoseconds of each.
    pub(crate) fn each_ns(&self) -> f64 {
        self.total_ns.median / self.count as f64
    }
}

impl Curve {
    /// The points of the larger sizes.
    pub(crate) fn upper_half(&self) -> &[Point] {
        &self.points[self.points.len() / 2..]
    }

    /// The slope over the upper half of the sizes: of the cost of all where the size is how many there are, else of each.
    pub(crate) fn slope(&self) -> f64 {
        let is_count = self.points.iter().all(|point| point.size == point.count);
        let cost = |point: &Point| if is_count { point.total_ns.median } else { point.each_ns() };
        fitted(self.upper_half().iter().map(|point| ((point.size as f64).ln(), cost(point).ln())))
    }
}

/// The slope of the line through `points` by least squares; 0 where there is none.
fn fitted(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(xs, ys), (x, y)| (xs + x, ys + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points
        .fold((0.0, 0.0), |(over, under), (x, y)| (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2)));
    if under > 0.0 { over / under } else { 0.0 }
}

/// Measures curves by criterion, whose files are in `directory`.
pub(crate) struct Grower {
    criterion: Criterion<CpuTime>,
    directory: PathBuf,
}

impl Grower {
    fn new(directory: &Path) -> Self {
        let criterion = Criterion::default()
            .with_measurement(CpuTime)
            .output_directory(directory)
            .sample_size(SAMPLES)
            .warm_up_time(WARM_UP)
            .measurement_time(MEASUREMENT)
            .without_plots();
        Self { criterion, directory: directory.to_owned() }
    }

    /// A curve over `sizes`: `prepare` makes the body for a size and what handles it, and says how many things are in it.
    fn curve<W: Fn(Vec<u8>) -> Result<()>>(
        &mut self,
        (function, size, per): (&str, &str, &str),
        sizes: &[usize],
        prepare: impl Fn(usize) -> Result<(usize, Vec<u8>, W)>,
    ) -> Result<Curve> {
        let name = format!("{function}, {size}");
        let mut points = Vec::new();
        for &size in sizes {
            let (count, body, handle) = prepare(size)?;
            // So that nothing is measured that fails.
            handle(body.clone())?;
            let mut group = self.criterion.benchmark_group(&name);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_batched(|| body.clone(), &handle, BatchSize::PerIteration);
            });
            group.finish();
            points.push(Point { size, count, total_ns: self.estimate(&name, size)? });
        }
        Ok(Curve { function: function.to_owned(), size: size.to_owned(), per: per.to_owned(), points })
    }

    /// Criterion's median, and the confidence interval around it.
    fn estimate(&self, name: &str, size: usize) -> Result<Spread> {
        let file = self.directory.join(name).join(size.to_string()).join("new/estimates.json");
        let text = fs::read_to_string(&file).with_context(|| format!("criterion left no {}", file.display()))?;
        let estimates: serde_json::Value = serde_json::from_str(&text)?;
        let number = |path: &str| estimates.pointer(path).and_then(serde_json::Value::as_f64).context("no estimate");
        Ok(Spread {
            low: number("/median/confidence_interval/lower_bound")?,
            median: number("/median/point_estimate")?,
            high: number("/median/confidence_interval/upper_bound")?,
        })
    }
}

/// All curves.
pub(crate) fn curves(directory: &Path) -> Result<Vec<Curve>> {
    let mut grower = Grower::new(directory);
    let curves = archive::curves(&mut grower)?;
    #[cfg(feature = "functions")]
    let curves = [curves, transform::curves(&mut grower)?, average::curves(&mut grower)?].concat();
    Ok(curves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(is_count: bool, cost: impl Fn(f64) -> f64) -> Curve {
        let spread = |median| Spread { low: median, median, high: median };
        let sizes = [10, 100, 1_000, 10_000];
        let point = |size| Point { size, count: if is_count { size } else { 7 }, total_ns: spread(cost(size as f64)) };
        Curve { function: String::new(), size: String::new(), per: String::new(), points: sizes.map(point).to_vec() }
    }

    #[test]
    fn what_is_proportional_has_slope_one_and_what_is_squared_two() {
        assert!((curve(true, |size| size * 3.0).slope() - 1.0).abs() < 1e-9);
        assert!((curve(false, |size| size * size).slope() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn fixed_costs_at_small_sizes_do_not_hide_growth_at_large_ones() {
        assert!(curve(true, |size| 1e6 + size * size).slope() > SLOPE_MAX);
        assert!(curve(true, |size| 1e5 + size * size.ln() * 5.0).slope() < SLOPE_MAX);
    }
}
