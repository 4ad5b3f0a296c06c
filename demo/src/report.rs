//! The report of a run: as JSON for machines, as tables for people.

use super::alerts::Alerts;
use super::burst::Burst;
use super::disturb::Disturbance;
use super::latency::Latency;
use super::notices::Notices;
use super::presence::Presence;
use super::routes::Traffic;
use super::verify::Verdict;
use crate::traffic::Mishap;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku_operator::audit;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The report of a whole run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether every promise was kept.
    pub ok: bool,
    /// The seed that decided the traffic.
    pub seed: u64,
    /// How many devices sent messages.
    pub devices: usize,
    /// What was sent, and how.
    pub traffic: Traffic,
    /// What was done to the pipeline during the run.
    pub disturbances: Vec<Disturbance>,
    /// Whether the promises were kept.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether the platform knew which devices were connected, and which one was silent.
    pub presence: Presence,
    /// Whether a patient's incidents were reported.
    pub alerts: Alerts,
    /// Whether contacts heard of them.
    pub notices: Notices,
    /// How the stream grew under a burst, if the run had one.
    pub burst: Option<Burst>,
    /// What the audit reports about the lake.
    pub audit: audit::Report,
    /// How fast it was.
    pub throughput: Throughput,
    /// How long readings took to reach a result.
    pub latency: Latency,
    /// Where to look next: what, and the command or place.
    pub where_next: Vec<(String, String)>,
}

/// How fast it was.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// From the first message to the last, in seconds.
    pub sending_seconds: f64,
    /// Messages sent in a second.
    pub messages_per_second: f64,
    /// Correct readings in a second.
    pub readings_per_second: f64,
    /// From the last message until every function had finished, in seconds.
    pub drain_seconds: f64,
}

impl Report {
    /// Adds the result of a burst, which ran on a stack of its own.
    #[must_use]
    pub fn with(mut self, burst: Burst) -> Self {
        self.verdict.broken.extend(burst.broken());
        self.ok = self.verdict.broken.is_empty();
        self.burst = Some(burst);
        self
    }

    /// The report as text with tables.
    pub fn to_text(&self) -> String {
        let sections = [
            self.flow(),
            self.presence.to_text(),
            self.alerts.to_text(),
            self.notices.to_text(),
            self.burst.as_ref().map(Burst::to_text).unwrap_or_default(),
            self.letters(),
            self.times(),
            self.disturbances(),
            self.next(),
            self.audit.to_text(),
        ];
        let sections = sections.into_iter().filter(|section| !section.is_empty());
        let mut text = sections.collect::<Vec<_>>().join("\n\n");
        text.push_str("\n\n");
        if self.ok {
            text.push_str("Every promise was kept.");
        } else {
            text.push_str("BROKEN PROMISES\n");
            for broken in &self.verdict.broken {
                let _ = writeln!(text, "  ✗ {broken}");
            }
            let _ = write!(text, "Run it again with --seed {}.", self.seed);
        }
        text
    }

    fn flow(&self) -> String {
        let (archive, readings, averages) = (&self.verdict.archive, &self.verdict.readings, &self.verdict.averages);
        let traffic = &self.traffic;
        let mut table = table(["", "count", "details"]);
        let mut row = |name: &str, count: usize, note: String| {
            table.add_row([name.to_owned(), grouped(count), note]);
        };
        let ways = format!(
            "{} over MQTT, {} over HTTP, {} through gateways, {} in aggregates, {} plain",
            grouped(traffic.mqtt),
            grouped(traffic.http),
            grouped(traffic.gateways),
            grouped(traffic.aggregated),
            traffic.records
        );
        row("sent", archive.sent, ways);
        row("sent again", traffic.http_again, "over HTTP, because an answer was lost".to_owned());
        row("gateways' batches", traffic.batches, format!("in every encoding; {} sent twice", traffic.batches_again));
        row(
            "acknowledged",
            traffic.acknowledged,
            format!("{} given up by a producer, {} dropped by the rules", traffic.given_up, traffic.dropped),
        );
        row("on the stream", archive.on_stream, format!("{} of them are repeated deliveries", archive.delivered_again));
        let stored = format!(
            "{} objects, {} KiB",
            grouped(self.audit.objects as usize),
            grouped(self.audit.bytes as usize / 1024)
        );
        row("archived", archive.archived, stored);
        row("lost", archive.lost + archive.not_on_stream, verdict(archive.lost + archive.not_on_stream));
        row("audit findings", archive.findings.len(), verdict(archive.findings.len()));
        let repeated =
            format!("of {} expected; {} repeated, each counted once", grouped(readings.expected), readings.repeated);
        row("readings", readings.right, repeated);
        row("wrong readings", readings.missing + readings.unexpected, verdict(readings.missing + readings.unexpected));
        row(
            "correct averages",
            averages.right,
            format!("of {}, over {} readings", averages.expected, grouped(averages.readings)),
        );
        let off = averages.wrong + averages.missing + averages.overdue + averages.unexpected;
        row("wrong averages", off, verdict(off));
        table.to_string()
    }

    fn letters(&self) -> String {
        let letters = &self.verdict.dead_letters;
        let mut table = table(["dead letters", "found", "expected"]);
        let reasons = letters.expected.keys().chain(letters.found.keys()).collect::<BTreeSet<_>>();
        let count = |counts: &BTreeMap<String, usize>, reason: &str| counts.get(reason).copied().unwrap_or(0);
        for reason in reasons {
            let (found, expected) = (count(&letters.found, reason), count(&letters.expected, reason));
            table.add_row([reason.clone(), grouped(found), grouped(expected)]);
        }
        let mishaps = self.traffic.mishaps.iter().map(|(mishap, count)| format!("{count} {}", describe(*mishap)));
        format!("{table}\nWhat happened to the messages: {}.", mishaps.collect::<Vec<_>>().join(", "))
    }

    fn times(&self) -> String {
        let (latency, throughput) = (&self.latency, &self.throughput);
        let mut table = table(["latency", "ms", ""]);
        table.add_row([
            "mean".to_owned(),
            format!("{:.0}", latency.mean_ms),
            format!("of {} readings", grouped(latency.samples as usize)),
        ]);
        for (name, value) in [
            ("p50", latency.p50_ms),
            ("p95", latency.p95_ms),
            ("p99", latency.p99_ms),
            ("p99.9", latency.p999_ms),
            ("longest", latency.max_ms),
        ] {
            table.add_row([name.to_owned(), grouped(value as usize), String::new()]);
        }
        format!(
            "{table}\nLatency: {}.\nThroughput: {:.0} messages and {:.0} readings a second for {:.1} s. \
             Processing ended {:.1} s after the last message.",
            latency.of,
            throughput.messages_per_second,
            throughput.readings_per_second,
            throughput.sending_seconds,
            throughput.drain_seconds
        )
    }

    fn disturbances(&self) -> String {
        let lines = self.disturbances.iter().map(|it| format!("  {:>5.1} s  {}", it.after_ms as f64 / 1000.0, it.what));
        format!("Disturbances during the run:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }

    fn next(&self) -> String {
        let lines = self.where_next.iter().map(|(what, place)| format!("  {what}:\n    {place}"));
        format!("Where to look next:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }
}

fn table(header: [&str; 3]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The mark beside the count of a promise's breaches.
fn verdict(breaches: usize) -> String {
    if breaches == 0 { "✓".to_owned() } else { "✗ a promise is broken".to_owned() }
}

/// A mishap as the summary describes it, after its count.
fn describe(mishap: Mishap) -> &'static str {
    match mishap {
        Mishap::Repeated => "sent twice",
        Mishap::OutOfOrder => "out of order",
        Mishap::Late => "late",
        Mishap::TooLate => "too late for any window",
        Mishap::WrongClock => "from devices with a wrong clock",
        Mishap::AbsurdTime => "with an impossible time",
        Mishap::OutOfRange => "with a value out of range",
        Mishap::Malformed => "malformed",
        Mishap::UnknownDevice => "from unknown devices",
        Mishap::Foreign => "records that are not messages",
    }
}

/// A count with its digits in groups of three: `18 000`.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1 234", "1 234 567"]);
    }

    #[test]
    fn the_text_ends_with_the_broken_promises_and_the_seed() {
        let verdict = Verdict { broken: vec!["records are lost: 1 (x)".to_owned()], ..Verdict::default() };
        let text = Report { verdict, seed: 42, ..Report::default() }.to_text();
        assert!(text.ends_with("  ✗ records are lost: 1 (x)\nRun it again with --seed 42."), "{text}");
    }

    #[test]
    fn the_counts_are_top_level_fields_of_the_json() {
        let json = serde_json::to_value(Report { ok: true, ..Report::default() }).unwrap();
        assert_eq!(json["archive"]["lost"], 0);
        assert_eq!(json["broken"], serde_json::json!([]));
        assert_eq!(json["latency"]["p999Ms"], 0);
    }
}
