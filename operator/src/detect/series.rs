//! Reads a series from CSV.

use crate::timestamps::milliseconds;
use csv::{ErrorKind, StringRecord};
use std::io::Read;

/// How many problems are kept with their words; the others are counted.
const PROBLEMS_KEPT: usize = 5;

/// A file that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The file has no column of that name.
    #[error("no column has the name {name:?}; the columns are {columns}")]
    NoColumn {
        /// The name.
        name: String,
        /// The names that there are.
        columns: String,
    },
    /// The file has no line that can be used.
    #[error("the file has no reading{}; each line needs a time and a value, such as 2014-02-14 14:30:00,61.5", in_brackets(.0.as_ref()))]
    Empty(Option<LineProblem>),
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] csv::Error),
}

fn in_brackets(problem: Option<&LineProblem>) -> String {
    problem.map_or_else(String::new, |problem| format!(" ({problem})"))
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineProblem {
    /// The number of the line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// Which columns have the times and the values, by their names in the header; the first and the second one if not given.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The column of times.
    pub time: Option<String>,
    /// The column of values.
    pub value: Option<String>,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Its time, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Its value, finite.
    pub value: f64,
}

/// The readings of one metric of one device, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// The readings; there is at least one.
    pub readings: Vec<Reading>,
    /// The first lines that were left out, and why.
    pub problems: Vec<LineProblem>,
    /// How many more were left out.
    pub more_problems: usize,
}

impl Series {
    /// Reads a series from CSV: a time and a value on each line. A time is RFC 3339, `2014-02-14 14:30:00` in UTC, or seconds or
    /// milliseconds since the epoch. A header is optional, unless `columns` have names.
    pub fn from_csv(name: &str, source: impl Read, columns: &Columns) -> Result<Self, SeriesError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
        let mut series = Self { name: name.to_owned(), readings: Vec::new(), problems: Vec::new(), more_problems: 0 };
        let mut places = None;
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) if matches!(error.kind(), ErrorKind::Utf8 { .. }) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    series.leave_out(LineProblem { line, problem: "the text is not UTF-8".to_owned() });
                    continue;
                }
                Err(error) => return Err(SeriesError::Read(error)),
            };
            let places = if let Some(places) = places {
                places
            } else {
                let (found, is_header) = places_in(&record, columns)?;
                places = Some(found);
                if is_header {
                    continue;
                }
                found
            };
            match reading(&record, places) {
                Ok(reading) => series.readings.push(reading),
                Err(problem) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    series.leave_out(LineProblem { line, problem });
                }
            }
        }
        if series.readings.is_empty() {
            return Err(SeriesError::Empty(series.problems.into_iter().next()));
        }
        Ok(series)
    }

    /// How many lines were left out.
    pub fn left_out(&self) -> usize {
        self.problems.len() + self.more_problems
    }

    fn leave_out(&mut self, problem: LineProblem) {
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }
}

/// The places of the times and the values, from the first line, and whether that is a header.
fn places_in(first: &StringRecord, columns: &Columns) -> Result<([usize; 2], bool), SeriesError> {
    let place = |name: &Option<String>, default| match name {
        None => Ok(default),
        Some(name) => {
            let found = first.iter().position(|column| column.trim().trim_start_matches('\u{feff}') == name);
            found.ok_or_else(|| SeriesError::NoColumn {
                name: name.clone(),
                columns: first.iter().map(str::trim).collect::<Vec<_>>().join(", "),
            })
        }
    };
    let places = [place(&columns.time, 0)?, place(&columns.value, 1)?];
    // A first line without a number where the value should be has names, or no use.
    let is_named = columns.time.is_some() || columns.value.is_some();
    let has_names = places.iter().all(|place| first.get(*place).is_some_and(|name| is_name(name.trim())));
    Ok((places, is_named || has_names))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.parse::<f64>().is_err() && milliseconds(text).is_none()
}

fn reading(record: &StringRecord, [time, value]: [usize; 2]) -> Result<Reading, String> {
    let field = |place: usize, what| match record.get(place).map(str::trim) {
        None | Some("") => Err(format!("the {what} is missing")),
        Some(text) => Ok(text),
    };
    let (time, value) = (field(time, "time")?, field(value, "value")?);
    let at_ms = milliseconds(time).ok_or_else(|| {
        format!("{time:?} is not a time such as 2014-02-14 14:30:00, 2014-02-14T14:30:00Z or 1392388200")
    })?;
    match value.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Reading { at_ms, value }),
        Ok(_) => Err(format!("{value} is not a finite number")),
        Err(_) => Err(format!("{value:?} is not a number")),
    }
}
