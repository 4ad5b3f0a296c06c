//! What a run came to: as JSON for machines, as tables for people.

use super::burst::Burst;
use super::disturb::Disturbance;
use super::latency::Latency;
use super::presence::Presence;
use super::routes::Traffic;
use super::verify::Verdict;
use crate::traffic::Mishap;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku_operator::audit;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether every promise was kept.
    pub ok: bool,
    /// What decided the traffic.
    pub seed: u64,
    /// Devices that sent.
    pub devices: usize,
    /// What was sent, and how.
    pub traffic: Traffic,
    /// What was done to the pipeline meanwhile.
    pub disturbances: Vec<Disturbance>,
    /// Whether the promises were kept.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Who was connected, and who was silent.
    pub presence: Presence,
    /// How the stream grew under a burst, if there was one.
    pub burst: Option<Burst>,
    /// What the audit says of the lake.
    pub audit: audit::Report,
    /// How fast it was.
    pub throughput: Throughput,
    /// How long it took.
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
    /// Readings that came of these, in a second.
    pub readings_per_second: f64,
    /// From the last message until every function had nothing left to do, in seconds.
    pub drain_seconds: f64,
}

impl Report {
    /// With a burst, on a stack of its own.
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
        let mut table = table(["", "count", ""]);
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
        row("sent again", traffic.http_again, "over HTTP, since an answer was lost".to_owned());
        row("gateways' batches", traffic.batches, format!("in every form; {} delivered twice", traffic.batches_again));
        row(
            "acknowledged",
            traffic.acknowledged,
            format!("{} given up by a producer, {} dropped by the rules", traffic.given_up, traffic.dropped),
        );
        row("on the stream", archive.on_stream, format!("{} delivered again", archive.delivered_again));
        let stored = format!(
            "{} objects, {} KiB",
            grouped(self.audit.objects as usize),
            grouped(self.audit.bytes as usize / 1024)
        );
        row("archived", archive.archived, stored);
        row("lost", archive.lost + archive.not_on_stream, verdict(archive.lost + archive.not_on_stream));
        row("found by the audit", archive.findings.len(), verdict(archive.findings.len()));
        let repeated = format!(
            "of {} expected; {} repeated, counted once; {} astray in a reshard",
            grouped(readings.expected),
            readings.repeated,
            readings.astray
        );
        row("readings", readings.right, repeated);
        row("readings wrong", readings.missing + readings.unexpected, verdict(readings.missing + readings.unexpected));
        row(
            "averages right",
            averages.right,
            format!("of {}, over {} readings", averages.expected, grouped(averages.readings)),
        );
        let off = averages.wrong + averages.missing + averages.unexpected;
        row("averages wrong", off, verdict(off));
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
        let mishaps = self.traffic.mishaps.iter().map(|(mishap, count)| format!("{count} {}", words(*mishap)));
        format!("{table}\nWhat befell the messages: {}.", mishaps.collect::<Vec<_>>().join(", "))
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
            "{table}\nLatency is {}.\n{:.0} messages and {:.0} readings a second for {:.1} s; all was done {:.1} s after the last message.",
            latency.of,
            throughput.messages_per_second,
            throughput.readings_per_second,
            throughput.sending_seconds,
            throughput.drain_seconds
        )
    }

    fn disturbances(&self) -> String {
        let lines = self.disturbances.iter().map(|it| format!("  {:>5.1} s  {}", it.after_ms as f64 / 1000.0, it.what));
        format!("Meanwhile:\n{}", lines.collect::<Vec<_>>().join("\n"))
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

/// A promise's mark beside its count of breaches.
fn verdict(breaches: usize) -> String {
    if breaches == 0 { "✓".to_owned() } else { "✗ a promise is broken".to_owned() }
}

/// The name of a mishap, in words.
fn words(mishap: Mishap) -> &'static str {
    match mishap {
        Mishap::Repeated => "sent twice",
        Mishap::OutOfOrder => "out of order",
        Mishap::Late => "late",
        Mishap::TooLate => "too late for any window",
        Mishap::WrongClock => "from wrong clocks",
        Mishap::AbsurdTime => "with absurd times",
        Mishap::OutOfRange => "out of range",
        Mishap::Malformed => "malformed",
        Mishap::UnknownDevice => "from unknown devices",
        Mishap::Foreign => "foreign",
    }
}

/// A count with thin groups of three digits: `18 000`.
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
    fn counts_are_grouped_by_three() {
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1 234", "1 234 567"]);
    }

    #[test]
    fn a_broken_promise_stands_at_the_end_with_the_seed_that_broke_it() {
        let verdict = Verdict { broken: vec!["records are lost: 1 (x)".to_owned()], ..Verdict::default() };
        let text = Report { verdict, seed: 42, ..Report::default() }.to_text();
        assert!(text.ends_with("  ✗ records are lost: 1 (x)\nRun it again with --seed 42."), "{text}");
    }

    #[test]
    fn machines_read_the_counts_at_the_top_of_the_json() {
        let json = serde_json::to_value(Report { ok: true, ..Report::default() }).unwrap();
        assert_eq!(json["archive"]["lost"], 0);
        assert_eq!(json["broken"], serde_json::json!([]));
        assert_eq!(json["latency"]["p999Ms"], 0);
    }
}
