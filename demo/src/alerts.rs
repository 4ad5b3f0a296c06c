//! Sends the day of a patient, in which something goes wrong four times. Then checks that each was reported once, and reported over.

use crate::notices;
use crate::traffic::send::Sender;
use crate::traffic::{At, Expected, Planned, Route, SentMessage};
use anyhow::{Context as _, Result, anyhow};
use myaku::alert::Alert;
use myaku::alert::case::Step;
use myaku::device::reading::Value;
use myaku::device::registry::{
    Device, DynamoDb, MasterDataWriter as _, device_document, parse_profile, profile_document,
};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_local::stack::Stack;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const DEVICE: &str = "patient-1";
/// Where the patient lives.
pub const FACILITY: &str = "home-1";
/// The profile with its alert rules.
const PROFILE: &str = include_str!("../../events/profiles/patient-tag.json");
/// How many samples each series has, and how far they lie apart: ten minutes by the patient's clock.
const SAMPLES: i64 = 60;
const STEP_MS: i64 = 10_000;
/// How long ago the first sample is.
const AGO_MS: i64 = 3_600_000;
/// Beyond the numbers of the fleet's messages.
const FIRST_NUMBER: usize = 1 << 40;
/// How long acknowledgements may take.
const SETTLE: Duration = Duration::from_mins(1);

/// What each rule must find in which metric: the sample with which it begins, and the one with which it is over.
const EXPECTED: [(&str, &str, i64, Option<i64>); 4] = [
    ("fever", "temperature", 20, Some(36)),
    ("stuck", "pulse", 30, Some(51)),
    ("stairs", "position", 15, Some(26)),
    ("battery", "battery", 33, None),
];

/// The result of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Incidents that were planted.
    pub planted: usize,
    /// Alerts that they must give: one for each beginning, one for each end.
    pub expected: usize,
    /// Those that were published.
    pub found: usize,
    /// Alerts that are missing, unexpected or published more than once.
    pub wrong: Vec<String>,
}

/// A series that was sent.
pub struct Patient {
    /// The messages.
    pub sent: Vec<SentMessage>,
    /// The time of the first sample, in milliseconds since the epoch.
    first_ms: i64,
}

/// The value of each series at a sample, and how a message has it.
fn value(metric: &str, sample: i64) -> Value {
    let n = sample as f64;
    match metric {
        "temperature" => Value::Number(if (20..36).contains(&sample) { 39.1 } else { 36.5 + (n * 0.7).sin() / 4.0 }),
        "pulse" => Value::Number(if (30..51).contains(&sample) { 72.0 } else { 60.0 + (n * 7.0) % 11.0 }),
        "battery" => Value::Number(0.8_f64.mul_add(-n, 60.0)),
        // Along a corridor, past the stairs.
        _ => {
            let metres = if (15..26).contains(&sample) { 4.0 } else { 4.0 + n.mul_add(2.0, 10.0) };
            Value::Position([139.7, 35.6 + metres / 111_195.0])
        }
    }
}

/// The message of a series: all its samples, so that they stay in order whatever shard it gets to.
fn message(number: usize, metric: &'static str, first_ms: i64) -> Planned {
    let mut readings = Vec::new();
    let samples = (0..SAMPLES).map(|sample| {
        let at_ms = first_ms + sample * STEP_MS;
        let value = value(metric, sample);
        let mut json = json!({ "t": at_ms });
        match &value {
            Value::Position([longitude, latitude]) => (json["lon"], json["lat"]) = (json!(longitude), json!(latitude)),
            value => json[metric] = json!(value),
        }
        readings.push(Expected { metric, value, at: At::Device(at_ms), flagged: false });
        json
    });
    let payload = json!({ "n": number, "samples": samples.collect::<Vec<_>>() }).to_string().into_bytes();
    Planned {
        number,
        made_at_ms: first_ms,
        device: DEVICE.to_owned(),
        facility: FACILITY.to_owned(),
        kind: "vital",
        route: Route::Mqtt,
        payload,
        readings,
        dead_letters: Vec::new(),
        mishap: None,
        repeats: None,
    }
}

/// Registers the patient, and sends each series, one of them twice.
pub async fn send(stack: &Stack) -> Result<Patient> {
    let describe = |problems: Vec<_>| anyhow!("invalid master data: {problems:?}");
    let profile = parse_profile(PROFILE).and_then(|profile| profile_document(&profile)).map_err(describe)?;
    let device = device_document(&Device::new(DEVICE, "patient-tag", Some(FACILITY))).map_err(describe)?;
    let documents = [profile, device];
    DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?).put(&documents).await?;

    let broker = stack.endpoints().mqtt;
    let broker = (broker.ip().to_string(), broker.port());
    let stream = stack.physical_id("IngestStream")?;
    let sender = Sender::connect(broker, 1, &stack.sdk_config(), &stream, None).await?;
    let first_ms = SystemClock.now_ms() - AGO_MS;
    let mut sent = Vec::new();
    let series = ["temperature", "pulse", "position", "battery"];
    let mut messages: Vec<_> =
        (FIRST_NUMBER..).zip(series).map(|(number, metric)| message(number, metric, first_ms)).collect();
    messages.push(Planned { repeats: Some(FIRST_NUMBER), ..messages[0].clone() });
    for message in messages {
        sender.send(&message).await.context("cannot send the patient's messages")?;
        sent.push(SentMessage::new(message, SystemClock.now_ms()));
    }
    sender.settle(SETTLE).await?;
    Ok(Patient { sent, first_ms })
}

/// What the contacts of the facility must hear of the patient.
pub fn announcements(patient: &Patient) -> notices::Expected {
    let announcements = EXPECTED.into_iter().flat_map(|(rule, metric, _, ends)| {
        let has_metric = |message: &&SentMessage| message.planned.readings.iter().any(|it| it.metric == metric);
        let sent_ms = patient.sent.iter().find(has_metric).map(|message| message.published_ms);
        let steps = [Step::Raised].into_iter().chain(ends.map(|_| Step::Cleared));
        steps.map(move |step| ((DEVICE.to_owned(), rule.to_owned(), step), sent_ms))
    });
    announcements.collect()
}

/// Compares the alerts of the patient with what was planted.
pub fn check(stack: &Stack, patient: &Patient) -> Result<Alerts> {
    let mut published = Vec::new();
    for message in stack.servers().sns.topics().messages(&stack.physical_id("AlertTopic")?)? {
        published.push(serde_json::from_str::<Alert>(message.publication.text("default"))?);
    }
    Ok(compare(&published, patient.first_ms))
}

fn compare(published: &[Alert], first_ms: i64) -> Alerts {
    let mut counts: BTreeMap<(String, &str, i64), i64> = BTreeMap::new();
    for (rule, _, begins, ends) in EXPECTED {
        let states = ["raised"].into_iter().chain(ends.map(|_| "cleared"));
        counts.extend(states.map(|state| ((rule.to_owned(), state, first_ms + begins * STEP_MS), -1)));
    }
    let expected = counts.len();
    let of_patient = published.iter().filter(|alert| alert.device_id == DEVICE);
    let mut found = 0;
    for alert in of_patient {
        let rule = alert.rule.clone().unwrap_or_default();
        *counts.entry((rule, alert.state.name(), alert.since)).or_default() += 1;
        found += 1;
    }
    let wrong = counts.into_iter().filter(|(_, count)| *count != 0).map(|((rule, state, since), count)| {
        let sample = (since - first_ms) / STEP_MS;
        let what = if count < 0 { "is missing".to_owned() } else { format!("is there {count} times too often") };
        format!("{rule} {state}, which began with sample {sample}, {what}")
    });
    Alerts { planted: EXPECTED.len(), expected, found, wrong: wrong.collect() }
}

impl Alerts {
    /// The promises that were broken, in words.
    pub fn broken(&self) -> Vec<String> {
        self.wrong.iter().map(|wrong| format!("an alert is wrong: {wrong}")).collect()
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let verdict = if self.wrong.is_empty() { "✓" } else { "✗ a promise is broken" };
        format!(
            "Alerts: a patient had {} incidents; {} alerts of {} were published, each once. {verdict}",
            self.planted, self.found, self.expected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::alert::{Begin, Incident, Kind, Severity};

    fn alerts(rule: &str, begins: i64, is_over: bool) -> Vec<Alert> {
        let begin = Begin {
            rule: rule.to_owned(),
            kind: Kind::Threshold,
            severity: Severity::Warning,
            metric: "m".to_owned(),
            since_ms: begins * STEP_MS,
            value: None,
            limit: None,
            detail: String::new(),
        };
        let incident = Incident::found(&begin, DEVICE, Some(FACILITY), "1", 0);
        let over = is_over.then(|| incident.ended(String::new(), "2", 1).0);
        [incident.raised()].into_iter().chain(over).collect()
    }

    #[test]
    fn an_alert_that_is_missing_wrong_or_there_twice_breaks_the_promise() {
        let right: Vec<Alert> =
            EXPECTED.into_iter().flat_map(|(rule, _, begins, ends)| alerts(rule, begins, ends.is_some())).collect();
        let alerts_of = |published: &[Alert]| compare(published, 0);
        assert_eq!((alerts_of(&right).broken(), alerts_of(&right).expected), (vec![], 7));
        assert_eq!(alerts_of(&right[1..]).wrong, ["fever raised, which began with sample 20, is missing"]);
        let twice = [&right[..], &right[..1]].concat();
        assert_eq!(alerts_of(&twice).wrong, ["fever raised, which began with sample 20, is there 1 times too often"]);
        let other = [right, alerts("fever", 40, false)].concat();
        assert_eq!(alerts_of(&other).wrong, ["fever raised, which began with sample 40, is there 1 times too often"]);
    }
}
