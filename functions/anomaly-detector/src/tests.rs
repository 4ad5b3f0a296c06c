//! The function on stores in memory.

use myaku::alert::incidents::memory::MemoryIncidents;
use myaku::alert::topic::memory::MemoryTopic;
use myaku::alert::{MemoryReporter, Reporter, Severity, State};
use myaku::anomaly::rules::{AnomalyDetector, DetectorState, Nothing};
use myaku::device::registry::{Device, Key, Kind, LONGEST_USE, MemoryMasterData, Registry};
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::{Context, GROUP, Limits, Ports, Shards, handle};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::ManualClock;
use myaku::results::memory::MemoryResults;
use myaku::stream::answer::Answer;
use myaku::stream::batch::{Batch, StreamRecord};
use myaku::stream::source::memory::MemoryStream;
use std::time::Duration;

const BEGIN_MS: i64 = 1_795_219_200_000;
const NOW_MS: i64 = BEGIN_MS + 3_600_000;

struct InMemory;

impl Ports for InMemory {
    type Rule = AnomalyDetector;
    type Settings = Registry<MemoryMasterData, ManualClock>;
    type Shards = MemoryStream;
    type Progress = MemoryProgress;
    type States = MemoryStates<DetectorState>;
    type Results = MemoryResults<Nothing>;
    type Findings = MemoryReporter;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

fn context() -> Context<InMemory> {
    let store = MemoryMasterData::new();
    store.put_device(&Device::new("bed-17", "bed", None));
    let profile = r#"{"id": "bed",
        "metrics": {
            "body_temperature": {"unit": "°C", "alerts": [
                {"name": "fever", "when": {"threshold": {"above": 38.5}}, "forSeconds": 60, "severity": "critical"}]},
            "battery": {"unit": "%", "alerts": [{"name": "battery", "when": {"threshold": {"below": 10}}}]},
            "heart_rate": {"unit": "1/min", "alerts": [{"name": "pulse", "when": {"threshold": {"above": 0}}}]}},
        "versions": [{"name": "1", "format": "json", "fields": [{"metric": "body_temperature", "from": "t"},
            {"metric": "battery", "from": "b"}, {"metric": "heart_rate", "from": "h"}]}]}"#;
    store.put_document(Key::new(Kind::Profile, "bed"), profile.to_owned());
    Context {
        settings: Registry::new(store, ManualClock::at(NOW_MS), LONGEST_USE),
        shards: Shards::new(MemoryStream::new(1)),
        progress: MemoryProgress::default(),
        states: MemoryStates::default(),
        results: MemoryResults::default(),
        findings: Reporter {
            incidents: MemoryIncidents::default(),
            topic: MemoryTopic::default(),
            clock: ManualClock::at(NOW_MS),
        },
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
        limits: Limits { results_interval: Duration::ZERO, history_ttl: Duration::from_hours(24), group: GROUP },
    }
}

/// A record of a reading of `bed-17` at a second; its sequence number is `n`.
fn record(n: u32, metric: &str, seconds: i64, value: f64) -> StreamRecord {
    let at = BEGIN_MS + seconds * 1_000;
    let data = format!(
        r#"{{"id":"m{n}","deviceId":"bed-17","facility":"home-3","metric":"{metric}","value":{value},"unit":"","at":{at},"clock":"device","receivedAt":{at},"quality":"good"}}"#
    );
    StreamRecord {
        sequence: n.to_string().parse().unwrap(),
        partition_key: "bed-17".into(),
        arrived_ms: NOW_MS - 1_000,
        data: data.into_bytes().into(),
    }
}

async fn answer(context: &Context<InMemory>, records: Vec<StreamRecord>) -> Answer {
    let batch = Batch { stream: "readings".to_owned(), shard: "shardId-000000000000".to_owned(), records };
    handle(context, &batch, NOW_MS + 60_000).await
}

/// What was published: the state and the rule of each alert.
fn alerts(context: &Context<InMemory>) -> Vec<(State, String)> {
    context.findings.topic.alerts().into_iter().map(|alert| (alert.state, alert.rule.unwrap())).collect()
}

#[tokio::test]
async fn an_incident_is_raised_and_cleared_once() {
    let context = context();
    let fever =
        [(1, 0, 39.0), (2, 60, 39.2), (3, 90, 39.4)].map(|(n, at, value)| record(n, "body_temperature", at, value));
    assert_eq!(answer(&context, fever.to_vec()).await, Answer::DONE);
    let alert = context.findings.topic.alerts().pop().unwrap();
    assert_eq!((alert.severity, alert.since, alert.value), (Severity::Critical, BEGIN_MS, Some(39.2)));
    assert_eq!(alert.facility.as_deref(), Some("home-3"));
    assert_eq!(answer(&context, fever.to_vec()).await, Answer::DONE, "the batch is delivered again");
    let over = vec![record(4, "battery", 95, 9.5), record(5, "body_temperature", 120, 37.5)];
    assert_eq!(answer(&context, over).await, Answer::DONE);
    let (raised, cleared) = (State::Raised, State::Cleared);
    let expected =
        [(raised, "fever"), (raised, "battery"), (cleared, "fever")].map(|(state, rule)| (state, rule.to_owned()));
    assert_eq!(alerts(&context), expected);
    let open: Vec<_> = context.findings.incidents.all().into_iter().filter(|it| it.cleared_ms.is_none()).collect();
    assert_eq!(open.iter().map(|it| it.rule.as_deref()).collect::<Vec<_>>(), [Some("battery")]);
}

#[tokio::test]
async fn a_value_that_crosses_its_limit_a_thousand_times_in_a_batch_gives_a_few_alerts() {
    let context = context();
    let value = |n: u32| if n.is_multiple_of(2) { 5.0 } else { 50.0 };
    let records = (1..=1_000).map(|n| record(n, "battery", n.into(), value(n))).collect();
    assert_eq!(answer(&context, records).await, Answer::DONE);
    let alerts = alerts(&context);
    assert_eq!((alerts.len(), alerts.last()), (9, Some(&(State::Raised, "battery".to_owned()))));
}

#[tokio::test]
async fn an_alert_that_cannot_be_published_is_published_when_the_batch_comes_again() {
    let context = context();
    let low = || vec![record(1, "battery", 0, 5.0)];
    context.findings.topic.set_down(true);
    assert_ne!(answer(&context, low()).await, Answer::DONE);
    context.findings.topic.set_down(false);
    assert_eq!(answer(&context, low()).await, Answer::DONE);
    assert_eq!(alerts(&context), [(State::Raised, "battery".to_owned())]);
}

#[tokio::test]
async fn after_a_loss_an_incident_that_is_open_is_not_raised_again_and_is_cleared() {
    let context = context();
    assert_eq!(answer(&context, vec![record(1, "battery", 0, 5.0)]).await, Answer::DONE);
    context.states.lose_everything();
    assert_eq!(answer(&context, vec![record(2, "battery", 60, 4.0)]).await, Answer::DONE);
    assert_eq!(alerts(&context).len(), 1);
    context.states.lose_everything();
    assert_eq!(answer(&context, vec![record(3, "battery", 120, 90.0)]).await, Answer::DONE);
    assert_eq!(alerts(&context)[1..], [(State::Cleared, "battery".to_owned())]);
    assert_eq!(context.findings.topic.alerts()[1].id, context.findings.topic.alerts()[0].id);
}

#[tokio::test]
async fn the_sample_event_is_processed() {
    let context = context();
    let sample = Batch::from_event(include_str!("../../../events/kinesis-readings.json")).unwrap();
    assert_eq!(handle(&context, &sample, NOW_MS + 60_000).await, Answer::DONE);
    assert_eq!(alerts(&context), [(State::Raised, "pulse".to_owned())]);
}
