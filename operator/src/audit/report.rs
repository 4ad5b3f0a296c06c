//! The result of an audit: JSON for machines, a table for people.

use super::options::Options;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use jiff::Timestamp;
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
    /// All keys of the stream, which were listed; `None` if there are too many.
    pub keys: Option<u64>,
    /// The comparison with the stream; `None` if the stream was left out.
    pub stream_compared: Option<StreamCompared>,
    /// What is wrong, sorted by key.
    pub findings: Vec<Finding>,
    /// The heads that were written again, in words.
    pub repaired: Vec<String>,
}

/// The comparison of the lake with the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamCompared {
    /// The times of arrival that the audit vouches for, the second one not included: if there are no findings, the lake
    /// has every record that arrived between them. `None` if there are no such times.
    pub vouched: Option<(String, String)>,
    /// Shards that were read.
    pub shards: u64,
    /// Records of the stream that arrived in the range.
    pub records: u64,
    /// Those of them that should be in the lake and are not.
    pub missing: u64,
    /// Those of them that are not in the lake, and arrived so late that they may still be on their way.
    pub waiting: u64,
    /// Objects whose records the stream still has, all of them.
    pub objects: u64,
}

impl Report {
    pub(super) fn of(options: &Options) -> Self {
        let hours = (options.hours.start().to_string(), options.hours.end().to_string());
        Self { stream: options.stream.clone(), hours, ..Self::default() }
    }

    /// Notes that the stream is compared.
    pub(super) fn begin_comparison(&mut self, options: &Options) {
        let vouched = options.vouched_ms();
        let time = |ms| Some(Timestamp::from_millisecond(ms).ok()?.to_string());
        let vouched = (!vouched.is_empty()).then(|| Some((time(vouched.start)?, time(vouched.end)?))).flatten();
        self.stream_compared = Some(StreamCompared { vouched, ..StreamCompared::default() });
    }

    pub(super) fn count(&mut self, seen: &[AuditedObject]) {
        self.objects += seen.len() as u64;
        self.bytes += seen.iter().map(|seen| seen.bytes).sum::<u64>();
        self.records +=
            seen.iter().filter_map(|seen| seen.extent.as_ref().ok()).map(|extent| extent.count).sum::<u64>();
    }

    pub(super) fn compared(&mut self, compared: ComparisonCounts) {
        let Some(all) = &mut self.stream_compared else { return };
        all.shards += 1;
        all.records += compared.records;
        all.missing += compared.missing;
        all.waiting += compared.waiting;
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
        if let Some(keys) = self.keys {
            row("keys of the stream", keys, "in all hours".to_owned());
        }
        if let Some(compared) = &self.stream_compared {
            row("records of the stream", compared.records, format!("in {} shards", compared.shards));
            row("objects compared with it", compared.objects, "with the same hash".to_owned());
            let until = compared.vouched.as_ref().map_or_else(String::new, |(_, until)| format!("before {until}"));
            row("records not in the lake", compared.missing, until);
            row("records on their way", compared.waiting, "later ones, not in the lake yet".to_owned());
        }
        row("findings", self.findings.len() as u64, String::new());
        let mut text = table.to_string();
        for finding in self.findings.iter().take(FINDINGS_SHOWN) {
            let _ = write!(text, "\n✗ {finding}");
        }
        if self.findings.len() > FINDINGS_SHOWN {
            let _ = write!(text, "\n… and {} more: --json prints all of them", self.findings.len() - FINDINGS_SHOWN);
        }
        for repaired in &self.repaired {
            let _ = write!(text, "\n✓ {repaired}");
        }
        text.push('\n');
        text.push_str(&self.verdict());
        text
    }

    /// Says in words what follows from the findings, and what the audit does not vouch for.
    fn verdict(&self) -> String {
        if !self.clean {
            return "The lake is not whole: the findings above say what is wrong, and where.".to_owned();
        }
        let mut text = match &self.stream_compared {
            None => "The lake is whole in itself; it was not compared with the stream.".to_owned(),
            Some(StreamCompared { vouched: None, .. }) => {
                "The lake is whole in itself; the stream has no record that must be in it.".to_owned()
            }
            Some(StreamCompared { vouched: Some((from, until)), .. }) => {
                format!(
                    "The lake is whole. It has every record that arrived from {from} to {until}. \
                     The audit does not vouch for later ones."
                )
            }
        };
        if self.keys.is_none() {
            text.push_str("\nOutside these hours, nothing was looked for: --sweep lists all keys of the stream.");
        }
        text
    }
}
