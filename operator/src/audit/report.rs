//! What an audit came to: as JSON for machines, as a table for people.

use super::Options;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku::lake::archive::audit::{AuditedObject, ComparisonCounts, Finding};
use serde::Serialize;
use std::fmt::Write as _;

/// Findings that a text shows; JSON has all.
const SHOWN: usize = 50;

/// A whole audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// The stream.
    pub stream: String,
    /// The first and last hour of arrival that were looked at.
    pub hours: (String, String),
    /// Objects that were fetched and read.
    pub objects: u64,
    /// Their size as they are stored, in bytes.
    pub bytes: u64,
    /// Records in them.
    pub records: u64,
    /// Heads that were held against them.
    pub heads: u64,
    /// What was held against the stream; `None` if it was not asked.
    pub stream_compared: Option<StreamCompared>,
    /// What is wrong, by key.
    pub findings: Vec<Finding>,
}

/// What was held against the stream itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamCompared {
    /// Shards that were read.
    pub shards: u64,
    /// Records of the stream that arrived in the range.
    pub records: u64,
    /// Of these, records that should be in the lake and are not.
    pub missing: u64,
    /// Objects of which the stream still has all records.
    pub objects: u64,
}

impl Report {
    pub(super) fn of(options: &Options) -> Self {
        let hours = (options.hours.start().to_string(), options.hours.end().to_string());
        Self { stream: options.stream.clone(), hours, ..Self::default() }
    }

    pub(super) fn count(&mut self, seen: &[AuditedObject]) {
        self.objects += seen.len() as u64;
        self.bytes += seen.iter().map(|seen| seen.bytes).sum::<u64>();
        self.records +=
            seen.iter().filter_map(|seen| seen.extent.as_ref().ok()).map(|extent| extent.count).sum::<u64>();
    }

    pub(super) fn compared(&mut self, compared: ComparisonCounts) {
        let all = self.stream_compared.get_or_insert_default();
        all.shards += 1;
        all.records += compared.records;
        all.missing += compared.missing;
        all.objects += compared.objects;
    }

    pub(super) fn finish(&mut self) {
        self.findings.sort();
        self.findings.dedup();
        self.clean = self.findings.is_empty();
    }

    /// The report as a text.
    pub fn to_text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["audit", "count", ""]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut row = |name: &str, count: u64, note: String| {
            table.add_row([name.to_owned(), count.to_string(), note]);
        };
        row("objects", self.objects, format!("of {}, {} to {}", self.stream, self.hours.0, self.hours.1));
        row("records in them", self.records, "by their hashes, numbers and ends".to_owned());
        row("heads", self.heads, String::new());
        if let Some(compared) = &self.stream_compared {
            row("records of the stream", compared.records, format!("in {} shards", compared.shards));
            row("objects held against it", compared.objects, "with the same hash".to_owned());
            row("records not in the lake", compared.missing, String::new());
        }
        row("findings", self.findings.len() as u64, String::new());
        let mut text = table.to_string();
        for finding in self.findings.iter().take(SHOWN) {
            let _ = write!(text, "\n✗ {finding}");
        }
        if self.findings.len() > SHOWN {
            let _ = write!(text, "\n… and {} more: --json has all of them", self.findings.len() - SHOWN);
        }
        text.push('\n');
        text.push_str(match (self.clean, self.stream_compared.is_some()) {
            (true, true) => "The lake is whole, and nothing of the stream is missing from it.",
            (true, false) => "The lake is whole in itself; it was not held against the stream.",
            (false, _) => "The lake is not whole.",
        });
        text
    }
}
