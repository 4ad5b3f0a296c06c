//! The result of a comparison: a table for people, JSON for machines.

use super::ledger::RunOutcome;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// The results of several contenders on one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The trace's name.
    pub trace: String,
    /// The length of the trace, in hours.
    pub hours: f64,
    /// Records that producers wanted to put.
    pub records: f64,
    /// How many shards the demand of each minute would fill.
    #[serde(skip)]
    pub demand: Vec<f64>,
    /// The result of each contender, in their order.
    pub outcomes: Vec<RunOutcome>,
}

impl Comparison {
    /// Returns the contenders that are better than the one at `index`: they refuse fewer records, or as few for less
    /// money. A policy aims at having none.
    pub fn better_than(&self, index: usize) -> Vec<&str> {
        let own = &self.outcomes[index];
        let better = self.outcomes.iter().enumerate().filter(|(other, outcome)| {
            // Half a record and a tenth of a cent are rounding errors.
            let less = outcome.throttled + 0.5 < own.throttled;
            let as_little = outcome.throttled <= own.throttled + 0.5;
            *other != index && (less || (as_little && outcome.cost + 1e-3 < own.cost))
        });
        better.map(|(_, outcome)| outcome.name.as_str()).collect()
    }
}

/// Returns the comparisons as a table.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "trace",
        "policy",
        "throttled",
        "share",
        "throttled for",
        "shard-hours",
        "most shards",
        "cost",
        "calls",
        "splits and merges",
        "longest lag",
    ]);
    for comparison in comparisons {
        for (index, outcome) in comparison.outcomes.iter().enumerate() {
            table.add_row([
                if index == 0 { comparison.trace.clone() } else { String::new() },
                outcome.name.clone(),
                count(outcome.throttled),
                format!("{:.3} %", outcome.throttled_share * 100.0),
                duration(outcome.throttled_s),
                count(outcome.shard_hours),
                format!("{:.0}", outcome.shards_max),
                format!("${:.2}", outcome.cost),
                outcome.calls.to_string(),
                outcome.splits_and_merges.to_string(),
                format!("{:.0} s", outcome.lag_s_max),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Formats a number with commas between thousands.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    match minutes {
        none if none <= 0.0 => "never".to_owned(),
        few if few < 120.0 => format!("{few:.1} min"),
        many => format!("{:.1} h", many / 60.0),
    }
}
