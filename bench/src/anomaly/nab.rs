//! The standard score of the Numenta Anomaly Benchmark, for one threshold.
//!
//! Each anomaly has a window of readings. A detector gets up to one point for its first alarm in a window, more the earlier it is, and
//! loses a point for each window without an alarm. An alarm outside of windows costs up to 0.11 points, less if it follows soon after a
//! window. The first readings of a series are for learning, and do not count. The sum is put on a scale from the detector that says
//! nothing, 0, to the perfect one, 100. The source is Lavin and Ahmad, *Evaluating Real-time Anomaly Detection Algorithms*, 2015.

use anyhow::{Context as _, Result, ensure};
use jiff::{civil::DateTime, tz::TimeZone};
use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// What a false alarm costs in the standard profile. A found anomaly gives 1, and a missed one costs 1.
const FALSE_ALARM: f64 = 0.11;
/// The share of a series that is for learning, up to that of [`LEARNED_MAX`] readings.
const LEARNING: f64 = 0.15;
const LEARNED_MAX: f64 = 5_000.0;

/// A series with its anomalies.
pub(super) struct Labelled {
    /// Times in seconds since the epoch, and values.
    pub(super) readings: Vec<(i64, f64)>,
    /// The places of the anomalies' readings.
    windows: Vec<RangeInclusive<usize>>,
}

/// What a detector did on one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The sum of its points.
    points: f64,
    /// How many anomalies there are after the time for learning.
    pub(super) windows: usize,
    /// How many of them it found.
    pub(super) found: usize,
    /// How many alarms lie outside of windows.
    pub(super) false_alarms: usize,
}

/// Reads the series that the `windows.json` of `directory` names.
pub(super) fn load(directory: &Path) -> Result<Vec<Labelled>> {
    let file = directory.join("windows.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let windows: BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_str(&text).with_context(|| format!("{} is not a list of windows", file.display()))?;
    windows.iter().map(|(name, windows)| series(&directory.join(name), windows)).collect()
}

fn series(file: &Path, windows: &[[String; 2]]) -> Result<Labelled> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let reading = |line: &str| -> Result<(i64, f64)> {
        let (time, value) = line.split_once(',').context("a line has no comma")?;
        Ok((seconds(time)?, value.trim().parse()?))
    };
    let lines = text.lines().skip(1).zip(2..);
    let readings =
        lines.map(|(line, number)| reading(line).with_context(|| format!("{}, line {number}", file.display())));
    let readings: Vec<(i64, f64)> = readings.collect::<Result<_>>()?;
    let place = |time: &str| {
        let time = seconds(time)?;
        let found = readings.iter().position(|(t, _)| *t == time);
        found.with_context(|| format!("{} has no reading at {time}, where a window begins or ends", file.display()))
    };
    let windows = windows.iter().map(|[from, to]| Ok(place(from)?..=place(to)?)).collect::<Result<_>>()?;
    ensure!(!readings.is_empty(), "{} has no readings", file.display());
    Ok(Labelled { readings, windows })
}

fn seconds(text: &str) -> Result<i64> {
    let time: DateTime = text.trim().parse()?;
    Ok(time.to_zoned(TimeZone::UTC)?.timestamp().as_second())
}

/// Judges the alarms of one series: scores from `threshold` on.
pub(super) fn judge(file: &Labelled, scores: &[f64], threshold: f64) -> Verdict {
    let learned = (LEARNING * scores.len() as f64).floor().min(LEARNING * LEARNED_MAX) as usize;
    let alarms = || (learned..scores.len()).filter(|place| scores[*place] >= threshold);
    let (mut points, mut found, mut false_alarms) = (0.0, 0, 0);
    // A window that is over before the time for learning is does not count.
    let counted: Vec<_> = file.windows.iter().filter(|window| *window.end() >= learned).collect();
    for window in &counted {
        // The first alarm in a window is worth most, and the others nothing.
        match alarms().find(|place| window.contains(place)) {
            Some(place) => {
                points += weight(-((window.end() + 1 - place) as f64) / width(window)) / weight(-1.0);
                found += 1;
            }
            None => points -= 1.0,
        }
    }
    for place in alarms().filter(|place| !file.windows.iter().any(|window| window.contains(place))) {
        let before = file.windows.iter().rfind(|window| *window.end() < place);
        let cost = before.map_or(-1.0, |window| weight((place - window.end()) as f64 / (width(window) - 1.0)));
        points += FALSE_ALARM * cost;
        false_alarms += 1;
    }
    Verdict { points, windows: counted.len(), found, false_alarms }
}

fn width(window: &RangeInclusive<usize>) -> f64 {
    (window.end() + 1 - window.start()) as f64
}

/// The worth of an alarm by its distance from the end of a window, in widths of the window: nearly 1 at its beginning, 0 at its end, and −1
/// long after it.
fn weight(distance: f64) -> f64 {
    if distance > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * distance).exp()) - 1.0 }
}

/// The points of all series on the scale from 0 to 100.
pub(super) fn normalised(verdicts: &[Verdict]) -> f64 {
    let windows: usize = verdicts.iter().map(|verdict| verdict.windows).sum();
    let points: f64 = verdicts.iter().map(|verdict| verdict.points).sum();
    let (nothing, perfect) = (-(windows as f64), windows as f64);
    100.0 * (points - nothing) / (perfect - nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 readings, of which 150 are for learning, and an anomaly from 500 to 599.
    fn labelled() -> Labelled {
        Labelled { readings: (0..1_000).map(|t| (t, 0.0)).collect(), windows: vec![500..=599] }
    }

    fn normalised_with_alarms_at(places: &[usize]) -> f64 {
        let mut scores = vec![0.0; 1_000];
        for place in places {
            scores[*place] = 1.0;
        }
        normalised(&[judge(&labelled(), &scores, 0.5)])
    }

    fn assert_near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    }

    #[test]
    fn saying_nothing_gives_0_and_the_first_reading_of_each_window_100() {
        assert_near(normalised_with_alarms_at(&[]), 0.0);
        assert_near(normalised_with_alarms_at(&[500]), 100.0);
    }

    #[test]
    fn only_the_first_alarm_of_a_window_counts_and_a_later_one_is_worth_less() {
        assert_near(normalised_with_alarms_at(&[500, 501, 560]), 100.0);
        let (early, late) = (normalised_with_alarms_at(&[520]), normalised_with_alarms_at(&[590]));
        assert!(late < early && early < 100.0 && late > 50.0, "{early}, {late}");
    }

    #[test]
    fn a_false_alarm_costs_less_soon_after_a_window_and_nothing_while_learning() {
        assert_near(normalised_with_alarms_at(&[149, 500]), 100.0);
        assert_near(normalised_with_alarms_at(&[150, 500]), 100.0 - 5.5);
        assert_near(normalised_with_alarms_at(&[500, 950]), 100.0 - 5.5);
        let soon = normalised_with_alarms_at(&[500, 605]);
        assert!(soon < 100.0 && soon > 98.0, "{soon}");
    }

    #[test]
    fn a_series_is_read_with_its_windows() {
        let directory = std::env::temp_dir().join(format!("myaku-nab-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("a.csv"), "timestamp,value\n2014-04-10 07:15:00,1\n2014-04-10 07:20:00,2.5\n")
            .unwrap();
        let windows = r#"{"a.csv": [["2014-04-10 07:20:00.000000", "2014-04-10 07:20:00.000000"]]}"#;
        fs::write(directory.join("windows.json"), windows).unwrap();
        let files = load(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(files[0].readings, [(1_397_114_100, 1.0), (1_397_114_400, 2.5)]);
        assert_eq!(files[0].windows, [1..=1]);
    }
}
