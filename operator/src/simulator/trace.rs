//! Demand over time, read from a CSV file or synthetic.

use crate::timestamps::milliseconds;
use std::io::Read;

/// A trace that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line cannot be used.
    #[error("line {line}: {problem}")]
    Line {
        /// The number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The file as a whole cannot be used.
    #[error("{0}")]
    Whole(&'static str),
    /// The file cannot be parsed.
    #[error("not a CSV file")]
    Csv(#[from] csv::Error),
}

/// Records a second over time, linear between the points.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its name.
    pub name: String,
    /// Seconds since the first point, and records a second. Times ascend; there are at least two points.
    pub points: Vec<(f64, f64)>,
    /// The time of the first point, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The share of the records that have the same partition key.
    pub hot_key: f64,
    /// Points that were left out because their time is not after that of the previous point: clocks are set back in
    /// autumn.
    pub left_out: usize,
}

impl Trace {
    /// Reads a trace from CSV. Each line has a time (`2015-02-26 21:42:53`, RFC 3339, or seconds or milliseconds since the
    /// epoch) and a value; a header is optional. A value times `scale` is a number of records a second.
    pub fn from_csv(name: &str, source: impl Read, scale: f64) -> Result<Self, TraceError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
        let mut points: Vec<(i64, f64)> = Vec::new();
        let mut left_out = 0;
        for (line, record) in (1..).zip(reader.records()) {
            let record = record?;
            let [time, value] = [0, 1].map(|field| record.get(field).unwrap_or_default().trim());
            let line_error = |problem: String| TraceError::Line { line, problem };
            let Some(at_ms) = milliseconds(time) else {
                if line == 1 {
                    continue;
                }
                return Err(line_error(format!("{time:?} is not a time such as 2026-01-31 21:42:53")));
            };
            let value: f64 = value.parse().map_err(|_| line_error(format!("{value:?} is not a number")))?;
            if !(value >= 0.0 && value.is_finite()) {
                return Err(line_error(format!("{value} is not a finite number of at least 0")));
            }
            if points.last().is_some_and(|(before, _)| at_ms <= *before) {
                left_out += 1;
            } else {
                points.push((at_ms, value * scale));
            }
        }
        let (Some(first), true) = (points.first(), points.len() > 1) else {
            return Err(TraceError::Whole("a trace needs at least two points"));
        };
        let start_ms = first.0;
        let points = points.iter().map(|(at_ms, value)| ((at_ms - start_ms) as f64 / 1_000.0, *value)).collect();
        Ok(Self { name: name.to_owned(), points, start_ms, hot_key: 0.0, left_out })
    }

    /// Multiplies every value by `scale`.
    #[must_use]
    pub fn scaled(mut self, scale: f64) -> Self {
        for point in &mut self.points {
            point.1 *= scale;
        }
        self
    }

    /// Returns the length, in seconds.
    pub fn seconds(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.0)
    }

    /// Returns records a second in the middle of each of `steps` steps of `length_s` seconds.
    pub fn sampled(&self, steps: usize, length_s: f64) -> Vec<f64> {
        let mut next = 1;
        let at = |step: usize| (step as f64 + 0.5) * length_s;
        let value = |step: usize| {
            let time = at(step);
            while next + 1 < self.points.len() && self.points[next].0 < time {
                next += 1;
            }
            let ((t0, v0), (t1, v1)) = (self.points[next - 1], self.points[next]);
            v0 + (v1 - v0) * ((time - t0) / (t1 - t0)).clamp(0.0, 1.0)
        };
        (0..steps).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Result<Trace, TraceError> {
        Trace::from_csv("t", text.as_bytes(), 2.0)
    }

    #[test]
    fn times_in_three_formats_are_read_and_values_are_scaled() {
        let same = [
            "timestamp,value\n2015-02-26 21:42:53,1\n2015-02-26 21:43:53,3\n",
            "2015-02-26T21:42:53Z,1\n2015-02-26T21:43:53Z,3\n",
            "1424986973,1\n1424987033,3\n",
        ];
        for text in same {
            let trace = trace(text).unwrap();
            assert_eq!((trace.start_ms, &trace.points[..]), (1_424_986_973_000, &[(0.0, 2.0), (60.0, 6.0)][..]));
        }
    }

    #[test]
    fn values_between_points_are_interpolated() {
        let trace = trace("0,0\n100,50\n200,50\n").unwrap();
        assert_eq!(trace.sampled(4, 50.0), [25.0, 75.0, 100.0, 100.0]);
    }

    #[test]
    fn an_error_names_the_line_and_the_problem() {
        for (text, problem) in [
            ("time,value\n1,2\nnoon,3\n", "line 3: \"noon\" is not a time such as 2026-01-31 21:42:53"),
            ("1,2\n2,many\n", "line 2: \"many\" is not a number"),
            ("1,2\n2,-1\n", "line 2: -1 is not a finite number of at least 0"),
            ("1,2\n2\n", "line 2: \"\" is not a number"),
            ("1,2\n", "a trace needs at least two points"),
        ] {
            assert_eq!(trace(text).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn points_after_a_clock_was_set_back_are_left_out_and_counted() {
        let trace = trace("100,1\n160,2\n130,9\n220,3\n").unwrap();
        assert_eq!((trace.points.len(), trace.left_out), (3, 1));
    }
}
