//! Draws a comparison as SVG: for each contender its shards over the demand, and when records were refused.

use super::ledger::RunOutcome;
use super::report::Comparison;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Display;

/// The width of the picture and the height of one contender's panel, in pixels.
const WIDTH: u32 = 960;
const PANEL: u32 = 130;
/// The most points of a curve.
const POINTS: usize = 480;
const DEMAND: RGBColor = RGBColor(178, 190, 205);
const SHARDS: RGBColor = RGBColor(24, 78, 140);
const REFUSED: RGBColor = RGBColor(205, 40, 50);

/// The picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the comparison: {0}")]
pub struct PlotError(String);

fn plot_error(error: impl Display) -> PlotError {
    PlotError(error.to_string())
}

/// Draws the comparison as an SVG document.
pub fn plot(comparison: &Comparison) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let height = PANEL * comparison.outcomes.len() as u32 + 30;
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE).map_err(plot_error)?;
        let title = format!(
            "{}: shards that the demand fills (grey), shards that are open (blue), records refused (red)",
            comparison.trace
        );
        let area = area.titled(&title, ("sans-serif", 15)).map_err(plot_error)?;
        for (outcome, panel) in comparison.outcomes.iter().zip(area.split_evenly((comparison.outcomes.len(), 1))) {
            draw(&panel, comparison, outcome).map_err(plot_error)?;
        }
        area.present().map_err(plot_error)?;
    }
    Ok(text)
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(area: &Canvas<'_>, comparison: &Comparison, outcome: &RunOutcome) -> Result<(), Box<dyn std::error::Error>> {
    let minutes = comparison.demand.len();
    let minutes_per_point = minutes.div_ceil(POINTS).max(1);
    let demand = thinned(&comparison.demand, minutes_per_point);
    let shards = thinned(&outcome.shards, minutes_per_point);
    let highest = demand.iter().map(|point| point.1).fold(1.0, f64::max);
    // The curve of a contender with many times the shards that it needs leaves the picture, instead of flattening the
    // rest.
    let top = shards.iter().map(|point| point.1).fold(highest, f64::max).min(highest * 2.0) * 1.1;
    let days = minutes as f64 / 1_440.0;
    let caption = format!(
        "{}: {:.0} records refused, {:.0} shard-hours, ${:.2}",
        outcome.name, outcome.throttled, outcome.shard_hours, outcome.cost
    );
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 13))
        .margin_left(5)
        .margin_right(15)
        .x_label_area_size(18)
        .y_label_area_size(36)
        .build_cartesian_2d(0.0..days, 0.0..top)?;
    let labels = ("sans-serif", 11);
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(8)
        .y_labels(4)
        .label_style(labels)
        .x_label_formatter(&|day| format!("day {day:.0}"))
        .draw()?;
    chart.draw_series(AreaSeries::new(demand, 0.0, DEMAND))?;
    chart.draw_series(LineSeries::new(corners(&shards, days), SHARDS.stroke_width(1)))?;
    let refusing: Vec<f64> = outcome.refusing.iter().map(|&refusing| f64::from(u8::from(refusing))).collect();
    let marks = thinned(&refusing, minutes_per_point).into_iter().filter(|point| point.1 > 0.0);
    chart.draw_series(marks.map(|(day, _)| PathElement::new(vec![(day, top * 0.9), (day, top)], REFUSED)))?;
    Ok(())
}

/// Returns the greatest value of every `minutes_per_point` minutes, with its time in days.
fn thinned(values: &[f64], minutes_per_point: usize) -> Vec<(f64, f64)> {
    let greatest = values.chunks(minutes_per_point).map(|chunk| chunk.iter().copied().fold(0.0, f64::max));
    greatest.enumerate().map(|(index, value)| ((index * minutes_per_point) as f64 / 1_440.0, value)).collect()
}

/// Returns only the corners of a step function.
fn corners(points: &[(f64, f64)], until: f64) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for &(day, value) in points {
        match corners.last() {
            Some(&(_, before)) if (before - value).abs() < f64::EPSILON => {}
            before => {
                corners.extend(before.map(|before| (day, before.1)));
                corners.push((day, value));
            }
        }
    }
    corners.extend(corners.last().map(|last| (until, last.1)));
    corners
}
