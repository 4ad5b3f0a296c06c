//! The result of an audit: JSON for machines, a table for people.

use super::options::Options;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku::lake::archive::audit::{AuditedObject, ComparisonCounts, Finding};
use serde::Serialize;
use std::fmt::Write as _;

/// How many findings the text shows; the JSON has all.
const FINDINGS_SHOWN: usize = 50;

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether the audit found nothing wrong.
    pub clean: bool,
    /// The stream.
    pub stream: String,
    /// The first and the last hour of arrival that were audited.
    pub hours: (String, String),
    /// Objects that were fetched and read.
    pub objects: u64,
    /// The size of the objects as they are stored, in bytes.
    pub bytes: u64,
    /// Records in the objects.
    pub records: u64,
    /// Heads that were compared with the objects.
    pub heads: u64,
    /// The comparison with the stream; `None` if the stream was left out.
    pub stream_compared: Option<StreamCompared>,
    /// What is wrong, sorted by key.
    pub findings: Vec<Finding>,
}

/// The comparison of the lake with the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamCompared {
    /// Shards that were read.
    pub shards: u64,
    /// Records of the stream that arrived in the range.
    pub records: u64,
    /// Those of them that should be in the lake and are not.
    pub missing: u64,
    /// Objects whose records the stream still has, all of them.
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

    /// Returns the report as text.
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
            row("objects compared with it", compared.objects, "with the same hash".to_owned());
            row("records not in the lake", compared.missing, String::new());
        }
        row("findings", self.findings.len() as u64, String::new());
        let mut text = table.to_string();
        for finding in self.findings.iter().take(FINDINGS_SHOWN) {
            let _ = write!(text, "\n✗ {finding}");
        }
        if self.findings.len() > FINDINGS_SHOWN {
            let _ = write!(text, "\n… and {} more: --json prints all of them", self.findings.len() - FINDINGS_SHOWN);
        }
        text.push('\n');
        text.push_str(match (self.clean, self.stream_compared.is_some()) {
            (true, true) => "The lake is whole, and no record of the stream is missing from it.",
            (true, false) => "The lake is whole in itself; it was not compared with the stream.",
            (false, _) => "The lake is not whole: the findings above say what is wrong, and where.",
        });
        text
    }
}
