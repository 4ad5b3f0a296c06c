//! What came of a comparison: for people as a table, for machines as JSON.

use super::Outcome;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// What several contenders made of one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The trace's name.
    pub trace: String,
    /// Its length.
    pub hours: f64,
    /// Records that producers wanted to put.
    pub records: f64,
    /// Shards that each minute's demand would fill.
    #[serde(skip)]
    pub demand: Vec<f64>,
    /// One for each contender, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Comparison {
    /// The peers that are better than the contender at `index`: those that refuse less, and those that refuse as little and
    /// cost less. The aim of a policy is that there are none.
    pub fn better_than(&self, index: usize) -> Vec<&str> {
        let own = &self.outcomes[index];
        let better = self.outcomes.iter().enumerate().filter(|(other, outcome)| {
            // Half a record, and a tenth of a cent, are arithmetic.
            let less = outcome.throttled + 0.5 < own.throttled;
            let as_little = outcome.throttled <= own.throttled + 0.5;
            *other != index && (less || (as_little && outcome.cost + 1e-3 < own.cost))
        });
        better.map(|(_, outcome)| outcome.name.as_str()).collect()
    }
}

/// The comparisons as a table.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "trace",
        "policy",
        "throttled",
        "share",
        "for",
        "shard-hours",
        "shards, most",
        "cost",
        "calls",
        "splits, merges",
        "lag, most",
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

/// A number with its thousands apart.
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
