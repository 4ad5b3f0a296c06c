//! The report of a load, for people and for machines.

use super::{Tally, verify::LakeCheck};
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The numbers of one way in.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// Which family sends, and how.
    pub name: String,
    /// Messages that were due.
    pub due: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged messages in a second.
    pub per_second: f64,
    /// Messages that were dropped because the queue was full.
    pub shed: usize,
    /// Messages that were sent again.
    pub retries: usize,
    /// The number of messages for each error.
    pub errors: BTreeMap<String, usize>,
    /// The median latency, from when a message was due to its acknowledgement, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 were not longer.
    pub p95_ms: f64,
    /// 99 of 100 were not longer.
    pub p99_ms: f64,
    /// 999 of 1000 were not longer.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Way {
    /// The numbers of a tally over `duration`. `problem` is the reason if its clients did not settle.
    pub fn of(name: &str, tally: &Tally, duration: Duration, problem: Option<anyhow::Error>) -> Self {
        let mut errors = tally.errors.clone();
        let unanswered = (tally.due - tally.shed).saturating_sub(tally.acknowledged);
        if let Some(problem) = problem.filter(|_| unanswered > 0) {
            errors.insert(format!("{problem:#}"), unanswered);
        }
        let ms = |quantile| tally.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            name: name.to_owned(),
            due: tally.due,
            acknowledged: tally.acknowledged,
            per_second: tally.acknowledged as f64 / duration.as_secs_f64(),
            shed: tally.shed,
            retries: tally.retries,
            errors,
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: tally.latency_us.max() as f64 / 1_000.0,
        }
    }

    /// Whether every message that was due was sent and acknowledged.
    pub fn is_complete(&self) -> bool {
        self.acknowledged == self.due
    }
}

/// The report of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The requested rate, in messages a second.
    pub rate: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// The ways in.
    pub ways: Vec<Way>,
    /// What the lake has of the messages; `None` if the lake cannot be read from here.
    pub lake: Option<LakeCheck>,
    /// The busy part of this machine's time, from 0 to 1; `None` if the target runs elsewhere.
    pub busy: Option<f64>,
    /// Whether everything that was due was acknowledged, and is in the lake.
    pub ok: bool,
}

/// How long after the last message the lake may be complete for a rate to count as sustained. A longer lag than the
/// archiver's own window would grow with time.
const DRAIN_SECONDS_MAX: f64 = 20.0;

impl Report {
    /// Adds the verdict.
    #[must_use]
    pub fn concluded(self) -> Self {
        let lost = self.lake.as_ref().is_some_and(|lake| lake.lost > 0);
        Self { ok: !lost && self.ways.iter().all(Way::is_complete), ..self }
    }

    /// Whether the target can sustain this rate for any time.
    pub fn is_sustained(&self) -> bool {
        self.ok && self.lake.as_ref().is_none_or(|lake| lake.seconds <= DRAIN_SECONDS_MAX)
    }

    /// A table and the totals, as text.
    pub fn to_text(&self) -> String {
        let mut table = Table::new();
        let header =
            ["", "due", "acknowledged", "a second", "shed", "sent again", "p50 ms", "p95", "p99", "p99.9", "max"];
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for way in &self.ways {
            let mut row = vec![way.name.clone(), way.due.to_string(), way.acknowledged.to_string()];
            row.extend([format!("{:.0}", way.per_second), way.shed.to_string(), way.retries.to_string()]);
            let latencies = [way.p50_ms, way.p95_ms, way.p99_ms, way.p999_ms, way.max_ms];
            row.extend(latencies.map(|ms| format!("{ms:.1}")));
            table.add_row(row);
        }
        let mut lines = vec![table.to_string()];
        for way in &self.ways {
            lines.extend(way.errors.iter().map(|(why, count)| format!("  {}: {why}: {count}", way.name)));
        }
        if let Some(lake) = &self.lake {
            lines.push(format!(
                "The lake has {} of {} messages, {} lost; {} lines are repetitions. \
                 The last message was found {:.0} s after the end.",
                lake.wanted - lake.lost,
                lake.wanted,
                lake.lost,
                lake.repeated,
                lake.seconds
            ));
        }
        let all: f64 = self.ways.iter().map(|way| way.per_second).sum();
        lines.push(format!("{all:.0} of the requested {:.0} messages a second, for {:.0} s.", self.rate, self.seconds));
        if let Some(busy) = self.busy.filter(|busy| *busy > 0.0) {
            lines.push(format!(
                "This machine was {:.0} % busy with everything that runs on it. In proportion, \
                 it would sustain some {:.0} messages a second; --find-limit measures it.",
                busy * 100.0,
                all / busy
            ));
        }
        lines.join("\n")
    }
}

/// The result of raising the rate step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// The highest rate that was sustained, in messages a second; `None` if the first was not.
    pub sustained: Option<f64>,
    /// The steps.
    pub steps: Vec<Report>,
}

impl Limit {
    /// A line for each step, and the result.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for step in &self.steps {
            let p99_ms = step.ways.iter().map(|way| way.p99_ms).fold(0.0, f64::max);
            let verdict = if step.is_sustained() { "sustained" } else { "not sustained" };
            lines.push(format!("  {:>7.0} messages a second: {verdict}, p99 {p99_ms:.0} ms", step.rate));
        }
        lines.push(match self.sustained {
            Some(rate) => format!("Sustained: {rate:.0} messages a second."),
            None => "The first step was not sustained: start with a lower --rate.".to_owned(),
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(acknowledged: usize, lake: Option<LakeCheck>) -> Report {
        let way = Way { name: "sensors".into(), due: 10, acknowledged, ..Way::default() };
        Report { rate: 10.0, seconds: 1.0, ways: vec![way], lake, ..Report::default() }.concluded()
    }

    #[test]
    fn a_run_is_ok_if_everything_is_acknowledged_and_nothing_is_lost() {
        assert!(report(10, None).ok);
        assert!(!report(9, None).ok);
        let found = |lost, seconds| Some(LakeCheck { wanted: 10, lost, repeated: 3, seconds });
        assert!(report(10, found(0, 5.0)).is_sustained());
        assert!(!report(10, found(1, 5.0)).ok);
        let slow = report(10, found(0, 60.0));
        assert!(slow.ok && !slow.is_sustained());
    }

    #[test]
    fn the_text_has_each_error_and_its_number_of_messages() {
        let mut report = report(7, Some(LakeCheck { wanted: 10, lost: 3, repeated: 0, seconds: 4.0 }));
        report.ways[0].errors.insert("HTTP 403, given up".into(), 3);
        report.busy = Some(0.5);
        report.ways[0].per_second = 7.0;
        let text = report.to_text();
        assert!(text.contains("sensors: HTTP 403, given up: 3"), "{text}");
        assert!(text.contains("7 of 10 messages, 3 lost") && text.contains("some 14 messages"), "{text}");
    }

    #[test]
    fn the_limit_is_the_last_step_that_was_sustained() {
        let limit = Limit { sustained: Some(10.0), steps: vec![report(10, None), report(4, None)] };
        let text = limit.to_text();
        assert!(text.contains("10 messages a second: sustained") && text.contains("not sustained"), "{text}");
        assert!(text.ends_with("Sustained: 10 messages a second."));
    }
}
