//! A demand over time: points of a CSV file, or made ones.

use jiff::{Timestamp, civil::DateTime};
use std::io::Read;

/// A trace that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line that does not say what it should.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The file as a whole.
    #[error("{0}")]
    Whole(&'static str),
    /// It is no CSV.
    #[error("it is no CSV")]
    Csv(#[from] csv::Error),
}

/// Records a second over time, straight between the points.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its name.
    pub name: String,
    /// Seconds since the first point, and records a second. Times ascend; there are two points at least.
    pub points: Vec<(f64, f64)>,
    /// When the first point was, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Share of the records that have one and the same partition key.
    pub hot_key: f64,
    /// Points that were left out, since their time was not after that of the one before: clocks are set back in autumn.
    pub left_out: usize,
}

impl Trace {
    /// A trace from CSV: a time (`2015-02-26 21:42:53`, RFC 3339, or seconds since the epoch) and a value in each line, with or
    /// without a header; `scale` makes records a second of values.
    pub fn from_csv(name: &str, source: impl Read, scale: f64) -> Result<Self, TraceError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
        let mut points: Vec<(i64, f64)> = Vec::new();
        let mut left_out = 0;
        for (line, record) in (1..).zip(reader.records()) {
            let record = record?;
            let [time, value] = [0, 1].map(|field| record.get(field).unwrap_or_default().trim());
            let told = |problem: String| TraceError::Line { line, problem };
            let Some(at_ms) = milliseconds(time) else {
                if line == 1 {
                    continue;
                }
                return Err(told(format!("{time:?} is no time")));
            };
            let value: f64 = value.parse().map_err(|_| told(format!("{value:?} is no number")))?;
            if !(value >= 0.0 && value.is_finite()) {
                return Err(told(format!("{value} is no demand")));
            }
            if points.last().is_some_and(|(before, _)| at_ms <= *before) {
                left_out += 1;
            } else {
                points.push((at_ms, value * scale));
            }
        }
        let (Some(first), true) = (points.first(), points.len() > 1) else {
            return Err(TraceError::Whole("it needs two points at least"));
        };
        let start_ms = first.0;
        let points = points.iter().map(|(at_ms, value)| ((at_ms - start_ms) as f64 / 1_000.0, *value)).collect();
        Ok(Self { name: name.to_owned(), points, start_ms, hot_key: 0.0, left_out })
    }

    /// The same with every value times `scale`.
    #[must_use]
    pub fn scaled(mut self, scale: f64) -> Self {
        for point in &mut self.points {
            point.1 *= scale;
        }
        self
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.0)
    }

    /// Records a second in the middle of each of `steps` steps of `length_s` seconds.
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

fn milliseconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some((seconds * 1_000.0) as i64);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let time: DateTime = text.parse().ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Result<Trace, TraceError> {
        Trace::from_csv("t", text.as_bytes(), 2.0)
    }

    #[test]
    fn times_of_three_kinds_are_read_and_values_are_scaled() {
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
    fn values_lie_on_straight_lines_between_the_points() {
        let trace = trace("0,0\n100,50\n200,50\n").unwrap();
        assert_eq!(trace.sampled(4, 50.0), [25.0, 75.0, 100.0, 100.0]);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        for (text, problem) in [
            ("time,value\n1,2\nnoon,3\n", "line 3: \"noon\" is no time"),
            ("1,2\n2,many\n", "line 2: \"many\" is no number"),
            ("1,2\n2,-1\n", "line 2: -1 is no demand"),
            ("1,2\n2\n", "line 2: \"\" is no number"),
            ("1,2\n", "it needs two points at least"),
        ] {
            assert_eq!(trace(text).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn points_of_a_clock_that_was_set_back_are_left_out_and_counted() {
        let trace = trace("100,1\n160,2\n130,9\n220,3\n").unwrap();
        assert_eq!((trace.points.len(), trace.left_out), (3, 1));
    }
}
