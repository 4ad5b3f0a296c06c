//! A row of the table: the case that is measured, its result, and the bar that it must meet.

use crate::programs::Program;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A median and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// The spread of `values`; all zero without values.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| values.get(values.len().saturating_sub(1) * part / 4).copied().unwrap_or_default();
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// A ratio.
    Times,
    /// Millions of bytes.
    Megabytes,
    /// A rate, per second.
    PerSecond,
    /// Billionths of a second.
    Nanoseconds,
    /// Points of a benchmark.
    Points,
}

impl Unit {
    /// `value` as the table shows it.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Times if value < 0.1 => format!("{value:.3}"),
            Self::Times if value < 10.0 => format!("{value:.2}"),
            Self::Times => format!("{value:.0}"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Points => format!("{value:.1}"),
        }
    }
}

/// The bar for a median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// No bar.
    Open,
}

impl Bar {
    /// Whether `value` meets the bar; `None` without a bar.
    pub(crate) fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Open => None,
        }
    }

    /// As the table shows it.
    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", unit.show(most)),
            Self::AtLeast(least) => format!("≥ {}", unit.show(least)),
            Self::Open => "–".to_owned(),
        }
    }
}

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) value: Spread,
    /// The absolute numbers behind it, in words.
    pub(crate) detail: String,
}

/// A row of the table before its measurement.
pub(crate) struct Case {
    /// Its name. Any part of it selects the case.
    pub(crate) name: String,
    /// What is measured.
    pub(crate) path: String,
    /// How it is measured.
    pub(crate) measured_as: String,
    pub(crate) unit: Unit,
    pub(crate) bar: Bar,
    /// What limits it, and what was tried. The page shows it if the bar is not met.
    pub(crate) limit: &'static str,
    /// The programs that it starts.
    pub(crate) programs: Vec<Program>,
    measure: Box<Measure>,
}

/// Measures in a number of rounds.
type Measure = dyn FnOnce(usize) -> Result<Measured>;

impl Case {
    /// A case that starts no other program.
    pub(crate) fn new(
        name: impl Into<String>,
        (path, measured_as): (impl Into<String>, impl Into<String>),
        (unit, bar): (Unit, Bar),
        limit: &'static str,
        measure: impl FnOnce(usize) -> Result<Measured> + 'static,
    ) -> Self {
        let (path, measured_as) = (path.into(), measured_as.into());
        Self {
            name: name.into(),
            path,
            measured_as,
            unit,
            bar,
            limit,
            programs: Vec::new(),
            measure: Box::new(measure),
        }
    }

    /// The case, which starts `programs`.
    pub(crate) fn starting(self, programs: impl IntoIterator<Item = Program>) -> Self {
        Self { programs: programs.into_iter().collect(), ..self }
    }

    /// Whether one of `selected` is part of its name; an empty list selects everything.
    pub(crate) fn is_selected(&self, selected: &[String]) -> bool {
        selected.is_empty() || selected.iter().any(|part| self.name.contains(part.as_str()))
    }

    /// Measures the case.
    pub(crate) fn run(self, rounds: usize) -> Result<Row> {
        let measured = (self.measure)(rounds)?;
        let Self { name, path, measured_as, unit, bar, .. } = self;
        let limit = if bar.is_met(measured.value.median) == Some(false) { self.limit } else { "" };
        Ok(Row { name, path, measured_as, unit, bar, limit: limit.to_owned(), measured })
    }
}

/// A row of the table after its measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) measured_as: String,
    pub(crate) unit: Unit,
    pub(crate) bar: Bar,
    pub(crate) limit: String,
    pub(crate) measured: Measured,
}

/// Writes a line for the terminal.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, bar, measured: Measured { value, detail }, .. } = self;
        let met = match bar.is_met(value.median) {
            Some(true) => " met",
            Some(false) => " NOT MET",
            None => "",
        };
        let (low, median, high) = (unit.show(value.low), unit.show(value.median), unit.show(value.high));
        write!(f, "{name}: {median} ({low} to {high}), bar {}{met}; {detail}", bar.show(*unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_with_its_quartiles() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
    }

    #[test]
    fn a_bar_is_met_up_to_and_including_its_value() {
        assert_eq!(Bar::AtMost(1.15).is_met(1.15), Some(true));
        assert_eq!(Bar::AtMost(1.15).is_met(1.16), Some(false));
        assert_eq!(Bar::AtLeast(3.0).is_met(2.9), Some(false));
        assert_eq!(Bar::Open.is_met(0.0), None);
    }
}
