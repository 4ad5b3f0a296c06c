//! Draws a series, its score below, and the stretches of alarms, as SVG.

use super::{Detection, Series};
use jiff::Timestamp;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Display;
use std::ops::Range;

/// The width of the picture and the heights of its panels, in pixels.
const WIDTH: u32 = 960;
const SERIES_HEIGHT: u32 = 260;
const SCORE_HEIGHT: u32 = 130;
/// Readings are drawn as the least and the greatest of so many stretches, so that a large file makes no large picture.
const STRETCHES: usize = 900;
/// Colours that are legible on white and on black: the picture has no background.
const TEXT: RGBColor = RGBColor(120, 128, 138);
const VALUES: RGBColor = RGBColor(47, 129, 247);
const SCORES: RGBColor = RGBColor(63, 160, 90);
const ALARMS: RGBColor = RGBColor(228, 72, 60);

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// The picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct PlotError(String);

fn plot_error(error: impl Display) -> PlotError {
    PlotError(error.to_string())
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws `series` with what was detected in it, as an SVG document without a background.
pub fn plot(series: &Series, detection: &Detection) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, SERIES_HEIGHT + SCORE_HEIGHT)).into_drawing_area();
        let (upper, lower) = area.split_vertically(SERIES_HEIGHT);
        let axis = TimeAxis::of(series);
        let values: Vec<f64> = series.readings.iter().map(|reading| reading.value).collect();
        let worst: Vec<usize> = detection.stretches.iter().map(|stretch| stretch.places[1]).collect();
        let caption = format!("{} (blue), alarms (red)", series.name);
        let panel = Panel { caption, values: &values, range: around(&values), colour: VALUES, threshold: None };
        panel.draw(&upper, &axis, &worst).map_err(plot_error)?;
        let caption = "score (green), threshold (line)".to_owned();
        let threshold = Some(detection.threshold);
        let panel = Panel { caption, values: &detection.scores, range: 0.0..1.05, colour: SCORES, threshold };
        panel.draw(&lower, &axis, &worst).map_err(plot_error)?;
        area.present().map_err(plot_error)?;
    }
    Ok(text)
}

/// One curve over time.
struct Panel<'a> {
    caption: String,
    values: &'a [f64],
    range: Range<f64>,
    colour: RGBColor,
    threshold: Option<f64>,
}

impl Panel<'_> {
    fn draw(&self, area: &Canvas<'_>, axis: &TimeAxis, worst: &[usize]) -> Result<(), Box<dyn std::error::Error>> {
        let label = |size: i32| ("sans-serif", size).into_font().color(&TEXT);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.caption, label(13))
            .margin_left(5)
            .margin_right(30)
            .x_label_area_size(20)
            .y_label_area_size(64)
            .build_cartesian_2d(axis.range(), self.range.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(TEXT.mix(0.2))
            .axis_style(TEXT)
            .label_style(label(11))
            .x_labels(8)
            .y_labels(5)
            .x_label_formatter(&|x| axis.label(*x))
            .y_label_formatter(&|y| short(*y))
            .draw()?;
        // Alarms are lines over the whole height, drawn before the curve. So both panels show them at the same place.
        for place in worst {
            let x = axis.places[*place];
            let line = vec![(x, self.range.start), (x, self.range.end)];
            chart.draw_series([PathElement::new(line, ALARMS.mix(0.45).stroke_width(2))])?;
        }
        if let Some(threshold) = self.threshold {
            let line = [(axis.range().start, threshold), (axis.range().end, threshold)];
            chart.draw_series(LineSeries::new(line, TEXT.stroke_width(1)))?;
        }
        chart.draw_series(LineSeries::new(thinned(&axis.places, self.values), self.colour.stroke_width(1)))?;
        chart.draw_series(
            worst.iter().map(|place| Circle::new((axis.places[*place], self.values[*place]), 3, ALARMS.filled())),
        )?;
        Ok(())
    }
}

/// Where readings stand: in days, hours or minutes since the midnight before the first one, so that labels fall on round times.
struct TimeAxis {
    midnight_ms: i64,
    unit_ms: i64,
    places: Vec<f64>,
}

impl TimeAxis {
    fn of(series: &Series) -> Self {
        let times = || series.readings.iter().map(|reading| reading.at_ms);
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let midnight_ms = first - first.rem_euclid(DAY_MS);
        let unit_ms = match last - first {
            span if span > 3 * DAY_MS => DAY_MS,
            span if span > 3 * 60 * MINUTE_MS => 60 * MINUTE_MS,
            _ => MINUTE_MS,
        };
        let places = times().map(|at_ms| (at_ms - midnight_ms) as f64 / unit_ms as f64).collect();
        Self { midnight_ms, unit_ms, places }
    }

    fn range(&self) -> Range<f64> {
        let least = self.places.iter().copied().fold(f64::MAX, f64::min);
        let greatest = self.places.iter().copied().fold(f64::MIN, f64::max);
        // A range of no width has no axis.
        least..greatest.max(least + 1.0)
    }

    fn label(&self, x: f64) -> String {
        let at_ms = self.midnight_ms + (x * self.unit_ms as f64).round() as i64;
        let format = if self.unit_ms == DAY_MS { "%Y-%m-%d" } else { "%m-%d %H:%M" };
        Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| at.strftime(format).to_string())
    }
}

/// The range of values, with some room.
fn around(values: &[f64]) -> Range<f64> {
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    let greatest = values.iter().copied().fold(f64::MIN, f64::max);
    let room = if greatest > least { 0.05 * (greatest - least) } else { 1.0_f64.max(least.abs() * 0.05) };
    least - room..greatest + room
}

/// The points of a curve: all, or the least and the greatest of each stretch, in their order.
fn thinned(places: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = places.iter().copied().zip(values.iter().copied()).collect();
    if points.len() <= 2 * STRETCHES {
        return points;
    }
    let stretch = points.len().div_ceil(STRETCHES);
    let ends = points.chunks(stretch).flat_map(|chunk| {
        let by_value = |at: &usize, other: &usize| chunk[*at].1.total_cmp(&chunk[*other].1);
        let (least, greatest) = ((0..chunk.len()).min_by(by_value), (0..chunk.len()).max_by(by_value));
        let mut ends = [least.unwrap_or_default(), greatest.unwrap_or_default()];
        ends.sort_unstable();
        ends.map(|at| chunk[at])
    });
    ends.collect()
}

/// A number with a prefix where it is long.
fn short(value: f64) -> String {
    let (by, prefix) = match value.abs() {
        size if size >= 1e9 => (1e9, " G"),
        size if size >= 1e6 => (1e6, " M"),
        size if size >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    };
    let text = format!("{:.2}", value / by);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{prefix}", if text == "-0" { "0" } else { text })
}
