//! Measures how cost grows with the input: each curve by criterion, in CPU time, over sizes that are a factor of ten or
//! less apart.
//!
//! The aim is to detect costs that grow faster than the input. The slope is that of the total cost by size, both as
//! logarithms. Proportional work has slope 1; fixed costs lower it, most at small sizes. So the slope is fitted to the
//! upper half of the sizes, where fixed costs hide nothing.

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

/// A steeper curve grows faster than its input. The margin allows for larger inputs that do not fit into caches.
pub(crate) const SLOPE_MAX: f64 = 1.15;
/// Samples, each with as many calls as criterion chooses.
const SAMPLES: usize = 10;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASUREMENT: Duration = Duration::from_millis(800);

/// The cost of one function by one kind of size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) function: String,
    /// The kind of size.
    pub(crate) size: String,
    /// The thing that the cost is divided by.
    pub(crate) per: String,
    pub(crate) points: Vec<Point>,
}

/// The cost at one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) size: usize,
    /// How many records, readings or devices the cost covers.
    pub(crate) count: usize,
    /// CPU time of all of them, in nanoseconds.
    pub(crate) total_ns: Spread,
}

impl Point {
    /// The CPU time of each, in nanoseconds.
    pub(crate) fn each_ns(&self) -> f64 {
        self.total_ns.median / self.count as f64
    }
}

impl Curve {
    /// The points of the larger sizes.
    pub(crate) fn upper_half(&self) -> &[Point] {
        &self.points[self.points.len() / 2..]
    }

    /// The slope over the upper half of the sizes: of the total cost if the size is the number of things, otherwise of
    /// the cost of each thing.
    pub(crate) fn slope(&self) -> f64 {
        let is_count = self.points.iter().all(|point| point.size == point.count);
        let cost = |point: &Point| if is_count { point.total_ns.median } else { point.each_ns() };
        fit_slope(self.upper_half().iter().map(|point| ((point.size as f64).ln(), cost(point).ln())))
    }
}

/// The slope of the line through `points` by least squares; 0 without a line.
fn fit_slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(xs, ys), (x, y)| (xs + x, ys + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points
        .fold((0.0, 0.0), |(over, under), (x, y)| (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2)));
    if under > 0.0 { over / under } else { 0.0 }
}

/// Measures curves with criterion, whose files are in `directory`.
pub(crate) struct CurveBench {
    criterion: Criterion<CpuTime>,
    directory: PathBuf,
}

impl CurveBench {
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

    /// Measures a curve over `sizes`. For each size, `prepare` returns the number of things, the body, and the handler.
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
            // Fail here, so that no failure is measured.
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

    /// Criterion's median, with its confidence interval.
    fn estimate(&self, name: &str, size: usize) -> Result<Spread> {
        let file = self.directory.join(name).join(size.to_string()).join("new/estimates.json");
        let text = fs::read_to_string(&file).with_context(|| format!("criterion did not write {}", file.display()))?;
        let estimates: serde_json::Value = serde_json::from_str(&text)?;
        let number = |path: &str| {
            estimates
                .pointer(path)
                .and_then(serde_json::Value::as_f64)
                .with_context(|| format!("criterion's estimates have no {path}"))
        };
        Ok(Spread {
            low: number("/median/confidence_interval/lower_bound")?,
            median: number("/median/point_estimate")?,
            high: number("/median/confidence_interval/upper_bound")?,
        })
    }
}

/// All curves.
pub(crate) fn curves(directory: &Path) -> Result<Vec<Curve>> {
    let mut bench = CurveBench::new(directory);
    let curves = archive::curves(&mut bench)?;
    #[cfg(feature = "functions")]
    let curves = [curves, transform::curves(&mut bench)?, average::curves(&mut bench)?].concat();
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
    fn proportional_cost_has_slope_one_and_quadratic_cost_slope_two() {
        assert!((curve(true, |size| size * 3.0).slope() - 1.0).abs() < 1e-9);
        assert!((curve(false, |size| size * size).slope() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn fixed_costs_at_small_sizes_do_not_hide_growth_at_large_ones() {
        assert!(curve(true, |size| 1e6 + size * size).slope() > SLOPE_MAX);
        assert!(curve(true, |size| 1e5 + size * size.ln() * 5.0).slope() < SLOPE_MAX);
    }
}
