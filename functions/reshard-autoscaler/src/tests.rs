//! Tests of which events make the function observe the stream, over a stream in memory.

use super::*;
use myaku::platform::clock::ManualClock;
use myaku::scaling::reshard::alarms::MemoryAlarms;
use myaku::scaling::reshard::control::MemoryControl;
use myaku::scaling::reshard::ledger::MemoryLedger;
use myaku::scaling::reshard::metrics::MemoryMetrics;
use myaku::scaling::shards::Policy;
use serde_json::json;

struct InMemory;

impl Ports for InMemory {
    type Control = MemoryControl;
    type Metrics = MemoryMetrics;
    type Alarms = MemoryAlarms;
    type Ledger = MemoryLedger;
    type Clock = ManualClock;
}

type Memory = Context<InMemory>;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:reshard";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:reshard-autoscaler";
const EVENTS: [(&str, &str); 5] = [
    ("reshard-alarm.json", include_str!("../../../events/reshard-alarm.json")),
    ("reshard-alarm-math.json", include_str!("../../../events/reshard-alarm-math.json")),
    ("reshard-alarm-composite.json", include_str!("../../../events/reshard-alarm-composite.json")),
    ("reshard-alarm-direct.json", include_str!("../../../events/reshard-alarm-direct.json")),
    ("reshard-schedule.json", include_str!("../../../events/reshard-schedule.json")),
];

fn context() -> Memory {
    let autoscaler = Autoscaler {
        control: MemoryControl::new("ingest", 2),
        metrics: MemoryMetrics::default(),
        alarms: MemoryAlarms::default(),
        ledger: MemoryLedger::default(),
        policy: Policy { min_shards: 4, ..Policy::default() },
        readers: Readers::default(),
        alarms_of: Some(ShardAlarms {
            stream: "ingest".to_owned(),
            prefix: "myaku-ingest".to_owned(),
            actions: vec![TOPIC.to_owned()],
        }),
        lease: LEASE,
    };
    Context { autoscaler, clock: ManualClock::at(1_795_218_900_000) }
}

async fn answer(context: &Memory, event: &Value) -> Answer {
    handle(context, &Invocation::of("one", FUNCTION), event).await.unwrap()
}

fn event(name: &str) -> Value {
    let (_, text) = EVENTS.iter().find(|(known, _)| *known == name).unwrap();
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn every_kind_of_alarm_a_schedule_and_an_empty_event_make_it_observe_the_stream() {
    let named = EVENTS.iter().map(|(_, text)| serde_json::from_str(text).unwrap());
    for event in named.chain([json!({}), Value::Null]) {
        let context = context();
        let Answer::Observed(report) = answer(&context, &event).await else { panic!("{event}") };
        assert_eq!((report.outcome, context.autoscaler.control.steps().len()), (TickOutcome::Begun, 1), "{event}");
    }
}

#[tokio::test]
async fn notifications_of_another_stream_account_or_topic_and_other_events_are_ignored_with_a_reason() {
    let sns = event("reshard-alarm.json");
    let changed = |from: &str, to: &str| -> Value { serde_json::from_str(&sns.to_string().replace(from, to)).unwrap() };
    let cases = [
        (
            changed(r#"\"value\":\"ingest\""#, r#"\"value\":\"other\""#),
            "the alarm myaku-ingest-throttled is about other",
        ),
        (changed("AWSAccountId\\\":\\\"000000000000", "AWSAccountId\\\":\\\"111111111111"), "account 111111111111"),
        (changed(":reshard\"", ":elsewhere\""), "is not the topic for alarms"),
        (json!({ "Records": [{ "Sns": { "TopicArn": TOPIC, "Message": "not JSON" } }] }), "the message is not JSON"),
        (json!({ "hello": "world" }), "not a notification of an alarm"),
    ];
    for (event, why) in cases {
        let context = context();
        let Answer::Ignored { ignored } = answer(&context, &event).await else { panic!("{event}") };
        assert!(ignored[0].contains(why), "{ignored:?} does not say {why}");
        assert!(context.autoscaler.control.steps().is_empty());
    }
}

#[tokio::test]
async fn a_repeated_or_late_notification_does_not_repeat_a_step() {
    let context = context();
    let event = event("reshard-alarm.json");
    context.autoscaler.control.looks(9);
    for n in 0..3 {
        let invocation = Invocation::of(&format!("invocation-{n}"), FUNCTION);
        handle(&context, &invocation, &event).await.unwrap();
    }
    assert_eq!(context.autoscaler.control.steps().len(), 1);
}

#[tokio::test]
async fn an_alarm_of_a_deleted_stream_is_not_a_failure() {
    let context = context();
    context.autoscaler.control.delete();
    let Answer::Observed(report) = answer(&context, &event("reshard-alarm.json")).await else { panic!() };
    assert_eq!(report.outcome, TickOutcome::Gone);
}

#[test]
fn the_json_of_an_answer_is_readable() {
    let report = Report {
        outcome: TickOutcome::Begun,
        reason: "over 80 % for 5 minutes".to_owned(),
        open: Some(2),
        wanted: Some(4),
        begun: Some(myaku::scaling::shards::Step::UpdateShardCount { target: 4 }),
        alarms_changed: 1,
    };
    insta::assert_snapshot!(serde_json::to_string(&Answer::Observed(report)).unwrap(), @r#"{"outcome":"begun","reason":"over 80 % for 5 minutes","open":2,"wanted":4,"begun":{"call":"updateShardCount","target":4},"alarmsChanged":1}"#);
}
