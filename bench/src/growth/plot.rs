//! Draws the curves as one picture, with size and cost on logarithmic scales.

use super::{Curve, Point};
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::collections::BTreeMap;

/// The size of the picture, in pixels, with two panels in a row.
const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 300;
/// A colour that is legible on white and on black.
const TEXT: RGBColor = RGBColor(120, 128, 138);
const COLOURS: [RGBColor; 3] = [RGBColor(47, 129, 247), RGBColor(219, 109, 40), RGBColor(63, 160, 90)];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture as an SVG document without a background.
pub(crate) fn draw(curves: &[Curve]) -> Result<String> {
    let mut panels: BTreeMap<&str, Vec<&Curve>> = BTreeMap::new();
    for curve in curves {
        panels.entry(&curve.size).or_default().push(curve);
    }
    let mut text = String::new();
    {
        let rows = panels.len().div_ceil(2);
        let area = SVGBackend::with_string(&mut text, (WIDTH, PANEL_HEIGHT * rows as u32)).into_drawing_area();
        for ((size, curves), area) in panels.iter().zip(area.split_evenly((rows, 2))) {
            panel(&area, size, curves).map_err(|error| anyhow!("cannot draw the picture: {error}"))?;
        }
        area.present()?;
    }
    Ok(text)
}

fn panel(area: &Canvas<'_>, size: &str, curves: &[&Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let sizes = decades_around(points().map(|point| point.size as f64));
    let costs = decades_around(points().map(Point::each_ns));
    let label = |size: i32| ("sans-serif", size).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d((sizes.0..sizes.1).log_scale(), (costs.0..costs.1).log_scale())?;
    let per = curves.first().map_or("", |curve| curve.per.as_str());
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.25))
        .axis_style(TEXT)
        .label_style(label(12))
        .axis_desc_style(label(13))
        .x_desc(size)
        .y_desc(format!("CPU time of a {per}"))
        .x_label_formatter(&|size| short(*size))
        .y_label_formatter(&|ns| time(*ns))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<(f64, f64)> = curve.points.iter().map(|point| (point.size as f64, point.each_ns())).collect();
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
            .label(&curve.function)
            .legend(|(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(line.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .border_style(TRANSPARENT)
        .label_font(label(13))
        .draw()?;
    Ok(())
}

/// The powers of ten around all of `values`.
fn decades_around(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()))
}

fn short(size: f64) -> String {
    match size {
        size if size >= 1e6 => format!("{}M", size / 1e6),
        size if size >= 1e3 => format!("{}k", size / 1e3),
        size => format!("{size}"),
    }
}

/// A time in nanoseconds, with its unit.
fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e6 => format!("{} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{} µs", ns / 1e3),
        ns => format!("{ns} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Spread;

    #[test]
    fn each_kind_of_size_has_a_panel_and_each_function_a_line() {
        let total_ns = Spread { low: 1.0, median: 5_000.0, high: 9_000.0 };
        let curve = |function: &str, size: &str| Curve {
            function: function.to_owned(),
            size: size.to_owned(),
            per: "record".to_owned(),
            points: [1, 100].map(|size| Point { size, count: size, total_ns }).to_vec(),
        };
        let svg = draw(&[curve("a", "records"), curve("b", "records"), curve("a", "bytes")]).unwrap();
        assert_eq!(svg.matches("CPU time of a record").count(), 2);
        for text in ["records", "bytes", "1 µs"] {
            assert!(svg.contains(text), "{text} is not in the picture");
        }
    }

    #[test]
    fn sizes_and_times_have_short_names() {
        assert_eq!(["1", "10k", "1M"], [1.0, 1e4, 1e6].map(short).each_ref().map(String::as_str));
        assert_eq!(["10 ns", "1 µs", "100 ms"], [10.0, 1e3, 1e8].map(time).each_ref().map(String::as_str));
    }
}
