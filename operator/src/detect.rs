//! Finds what is wrong in a file of readings: the learned score and the alert rules of a profile, run over it as anomaly-detector runs
//! them over a device's metric.
//!
//! - [`Series`]: the readings of a file. Lines that cannot be used are counted, and cost only themselves.
//! - [`detect`]: judges each reading, and joins alarms to [`Stretch`]es. [`Rules`] are those of a metric.
//! - [`plot()`]: draws the series, its score and the alarms.
//!
//! ```
//! use myaku_operator::detect::{Columns, Series, detect};
//!
//! let mut csv = "timestamp,value\n".to_owned();
//! for second in 0..400 {
//!     let value = if second == 350 { 140 } else { 60 + second % 7 };
//!     csv += &format!("{},{value}\n", 1_795_219_200 + second);
//! }
//! let series = Series::from_csv("bed-17", csv.as_bytes(), &Columns::default())?;
//! let detection = detect(&series, 0.26, None);
//! assert_eq!(detection.stretches.len(), 1);
//! assert_eq!((detection.stretches[0].from, detection.stretches[0].value), (1_795_219_550_000, 140.0));
//! # Ok::<(), myaku_operator::detect::SeriesError>(())
//! ```

mod plot;
mod rules;
mod series;

pub use plot::{PlotError, plot};
pub use rules::{Rules, RulesError};
pub use series::{Columns, LineProblem, Reading, Series, SeriesError};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use myaku::anomaly::score::{Detector, SILENCE};
use serde::Serialize;

/// Alarms of the score that are at most so many readings apart are one stretch: a score that is repeated while it silences its series has
/// got worse.
const APART_MAX: usize = SILENCE as usize;

/// What was found in a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// The name of the series.
    pub series: String,
    /// How many readings it has.
    pub readings: usize,
    /// How many lines were left out.
    pub left_out: usize,
    /// From which score on a reading is an alarm.
    pub threshold: f64,
    /// The alarms, by time of their beginning in the file.
    pub stretches: Vec<Stretch>,
    /// The score of each reading, for the picture.
    #[serde(skip)]
    scores: Vec<f64>,
}

/// A stretch of alarms of the score, or an incident of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stretch {
    /// What found it: `score`, or the name of a rule.
    pub rule: String,
    /// The time of the first alarm, in milliseconds since the epoch; of an incident, when it began.
    pub from: i64,
    /// The time of the last alarm; of an incident, when it was over, or that of the last reading.
    pub to: i64,
    /// How many alarms it has; an incident is one.
    pub alarms: usize,
    /// The time of the worst alarm; of an incident, when it was raised.
    pub at: i64,
    /// The value of that reading.
    pub value: f64,
    /// Its score, from the threshold to 1; `None` for an incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What is wrong, in words.
    pub reason: String,
    /// The places of the first, the worst and the last alarm among the readings.
    #[serde(skip)]
    places: [usize; 3],
}

/// What the score says of a reading.
struct Finding {
    place: usize,
    reading: Reading,
    score: f64,
    reason: String,
}

/// Judges each reading of `series` by the score, and by `rules` if there are some. A score from `threshold` on is an alarm; the score silences its series by its own limit
/// ([`ALARM`](myaku::anomaly::score::ALARM)), whatever the threshold is.
pub fn detect(series: &Series, threshold: f64, rules: Option<&Rules>) -> Detection {
    let mut detector = Detector::new();
    let (mut scores, mut stretches) = (Vec::with_capacity(series.readings.len()), Vec::new());
    for (place, reading) in series.readings.iter().enumerate() {
        let score = detector.update(reading.at_ms, reading.value);
        scores.push(score.value);
        if let Some(reason) = score.reason.filter(|_| score.value >= threshold) {
            let reason = reason.to_string();
            join(&mut stretches, Finding { place, reading: *reading, score: score.value, reason });
        }
    }
    stretches.extend(rules.map(|rules| rules.incidents(series)).into_iter().flatten());
    stretches.sort_by_key(|stretch| stretch.places[0]);
    let (readings, left_out) = (scores.len(), series.left_out());
    Detection { series: series.name.clone(), readings, left_out, threshold, stretches, scores }
}

/// Adds a finding to the latest stretch, or begins another one.
fn join(stretches: &mut Vec<Stretch>, finding: Finding) {
    let Finding { place, reading: Reading { at_ms: at, value }, score, reason } = finding;
    let (rule, score) = ("score".to_owned(), Some(score));
    match stretches.last_mut().filter(|latest| place - latest.places[2] <= APART_MAX) {
        Some(stretch) => {
            (stretch.to, stretch.places[2]) = (at, place);
            stretch.alarms += 1;
            if score > stretch.score {
                *stretch = Stretch { at, value, score, reason, ..stretch.clone() };
                stretch.places[1] = place;
            }
        }
        None => {
            stretches.push(Stretch { rule, from: at, to: at, alarms: 1, at, value, score, reason, places: [place; 3] });
        }
    }
}

impl Detection {
    /// A table for people.
    pub fn to_text(&self) -> String {
        let readings = match self.left_out {
            0 => count(self.readings, "reading"),
            left_out => format!("{}, {} left out", count(self.readings, "reading"), count(left_out, "line")),
        };
        if self.stretches.is_empty() {
            return format!("{}: {readings}, no alarm from {} on", self.series, self.threshold);
        }
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["from", "to", "alarms", "worst at", "value", "score", "rule", "reason"]);
        for stretch in &self.stretches {
            let Stretch { rule, from, to, alarms, at, value, score, reason, .. } = stretch;
            table.add_row([
                time(*from),
                if to == from { String::new() } else { time(*to) },
                alarms.to_string(),
                time(*at),
                value.to_string(),
                score.map_or(String::new(), |score| format!("{score:.2}")),
                rule.clone(),
                reason.clone(),
            ]);
        }
        let stretches = count(self.stretches.len(), "stretch");
        format!("{}: {readings}, {stretches} of alarms\n{}", self.series, table.trim_fmt())
    }
}

/// `1 reading`, `2 readings`, `2 stretches`.
fn count(number: usize, of: &str) -> String {
    let plural = if of.ends_with("ch") { "es" } else { "s" };
    format!("{number} {of}{}", if number == 1 { "" } else { plural })
}

fn time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests;
