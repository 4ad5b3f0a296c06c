use super::*;
use myaku::alert::case::Step;
use myaku::alert::cases::change;
use myaku::alert::cases::memory::MemoryCases;
use myaku::alert::incidents::ReadIncidents as _;
use myaku::alert::incidents::memory::MemoryIncidents;
use myaku::alert::messenger::memory::MemoryMessenger;
use myaku::alert::{Acknowledgement, Alert, Cleared, Contact, Incident, Via};
use myaku::device::registry::{Facility, Key, Kind, MemoryMasterData, facility_document};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::Remedy;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_795_218_892_020;
const MINUTE: i64 = 60_000;
/// How long an invocation may take.
const LEASE: i64 = 90_000;

struct Memory;

impl Ports for Memory {
    type Cases = MemoryCases;
    type Messenger = MemoryMessenger;
    type Incidents = MemoryIncidents;
    type MasterData = MemoryMasterData;
    type Clock = Arc<ManualClock>;
}

/// A facility with a nurse, who hears at once, and a doctor, who hears of what is not acknowledged for ten minutes.
fn context() -> Context<Memory> {
    let store = MemoryMasterData::new();
    let contacts = vec![
        Contact::new("nurse", Via::Topic, None),
        Contact { after: 10, ..Contact::new("doctor", Via::Sms, Some("+81312345678")) },
    ];
    let facility = Facility { zone: "Asia/Tokyo".to_owned(), contacts, ..Facility::new("home-3") };
    let (key, document) = facility_document(&facility).unwrap();
    store.put_document(key, document);
    let clock = Arc::new(ManualClock::at(NOW));
    Context {
        cases: MemoryCases::default(),
        messenger: MemoryMessenger::default(),
        incidents: MemoryIncidents::default(),
        registry: Registry::new(store, clock.clone(), Duration::from_secs(30)),
        clock,
        settle: Duration::from_mins(1),
    }
}

fn silence(device: &str, facility: Option<&str>) -> Incident {
    Incident::silence(device, NOW - 1_000, Duration::from_secs(30), facility, NOW)
}

fn notification(alert: &Alert) -> Vec<u8> {
    let message = serde_json::to_string(alert).unwrap();
    json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": message } }] }).to_string().into_bytes()
}

async fn deliver(context: &Context<Memory>, alert: &Alert) -> Result<Report, HandleError> {
    handle(context, &notification(alert), context.clock.now_ms() + MINUTE).await
}

async fn sweep(context: &Context<Memory>) -> Report {
    handle(context, br#"{"task":"sweep"}"#, context.clock.now_ms() + MINUTE).await.unwrap()
}

/// What was sent: contact, device and step.
fn sent(context: &Context<Memory>) -> Vec<String> {
    let sent = context.messenger.sent().into_iter();
    sent.map(|(contact, message)| format!("{} {} {}", contact.name, message.device_id, message.step.name())).collect()
}

#[tokio::test]
async fn an_alert_is_told_at_once_escalated_after_its_time_and_over_when_it_is() {
    let context = context();
    let incident = silence("bed-17", Some("home-3"));
    for _ in 0..3 {
        deliver(&context, &incident.raised()).await.unwrap();
    }
    assert_eq!(sent(&context), ["nurse bed-17 raised"]);
    context.clock.set(NOW + 10 * MINUTE - 1);
    assert_eq!(sweep(&context).await, Report::default());
    context.clock.set(NOW + 10 * MINUTE);
    assert_eq!(sweep(&context).await.sent, 1);
    let (over, _) = incident.cleared(Cleared::Returned, NOW + 11 * MINUTE);
    deliver(&context, &over).await.unwrap();
    context.clock.set(NOW + 12 * MINUTE);
    assert_eq!(sweep(&context).await.sent, 2);
    assert_eq!(sweep(&context).await, Report::default());
    assert_eq!(
        sent(&context),
        ["nurse bed-17 raised", "doctor bed-17 escalated", "nurse bed-17 cleared", "doctor bed-17 cleared"]
    );
    let (_, message) = context.messenger.sent().remove(0);
    assert!(message.since_local.ends_with("+09:00"), "{}", message.since_local);
}

#[tokio::test]
async fn what_someone_has_acknowledged_is_not_escalated() {
    let context = context();
    let incident = silence("bed-17", Some("home-3"));
    context.incidents.put(&incident).await.unwrap();
    deliver(&context, &incident.raised()).await.unwrap();
    let acknowledgement = Acknowledgement { by: "nurse".to_owned(), at_ms: NOW };
    context.incidents.acknowledge("bed-17", None, &incident.id, &acknowledgement).await.unwrap();
    context.clock.set(NOW + 10 * MINUTE);
    sweep(&context).await;
    assert_eq!(sent(&context), ["nurse bed-17 raised"]);
}

#[tokio::test]
async fn a_facility_without_contacts_has_the_topic() {
    let context = context();
    context.registry.store().put_document(Key::new(Kind::Facility, "home-8"), r#"{"facility":"home-8","contacts":7}"#);
    for facility in [Some("home-9"), Some("home-8"), None] {
        deliver(&context, &silence(facility.unwrap_or("bed-1"), facility).raised()).await.unwrap();
    }
    assert_eq!(sent(&context), ["everyone home-9 raised", "everyone home-8 raised", "everyone bed-1 raised"]);
}

#[tokio::test]
async fn a_flood_is_ten_alerts_and_one_and_each_device_counts_in_its_end() {
    let context = context();
    let incidents: Vec<_> = (0..37).map(|n| silence(&format!("bed-{n:02}"), Some("home-3"))).collect();
    for incident in incidents.iter().chain(&incidents) {
        deliver(&context, &incident.raised()).await.unwrap();
    }
    assert_eq!(sent(&context).len(), 10);
    context.clock.set(NOW + 2 * MINUTE);
    sweep(&context).await;
    let (_, flood) = context.messenger.sent().pop().unwrap();
    assert_eq!((sent(&context).len(), flood.alerts, flood.step), (11, Some(27), Step::Raised));
    // An alert that is delivered once more asks the flood of its first delivery, in whatever minute.
    for incident in &incidents {
        deliver(&context, &incident.raised()).await.unwrap();
    }
    assert_eq!(sent(&context).len(), 11);
    for incident in &incidents {
        deliver(&context, &incident.cleared(Cleared::Returned, NOW + 3 * MINUTE).0).await.unwrap();
    }
    context.clock.set(NOW + 4 * MINUTE);
    sweep(&context).await;
    let ends: Vec<_> =
        context.messenger.sent().into_iter().filter(|(_, message)| message.step == Step::Cleared).collect();
    assert_eq!((ends.len(), ends.iter().filter(|(_, message)| message.alerts == Some(27)).count()), (11, 1));
    context.clock.set(NOW + 60 * MINUTE);
    assert_eq!(sweep(&context).await, Report::default(), "the doctor hears nothing of what is over");
}

#[tokio::test]
async fn a_way_that_is_closed_for_a_while_delays_a_message_and_one_that_is_wrong_ends_it() {
    let context = context();
    context.messenger.fail(Some(Remedy::Retry));
    let report = deliver(&context, &silence("bed-17", Some("home-3")).raised()).await.unwrap();
    assert_eq!(report, Report { failed: 1, ..Report::default() });
    context.messenger.fail(Some(Remedy::GiveUp));
    let report = deliver(&context, &silence("bed-18", Some("home-3")).raised()).await.unwrap();
    assert_eq!(report, Report { given_up: 1, ..Report::default() });
    context.messenger.fail(None);
    context.clock.set(NOW + MINUTE);
    sweep(&context).await;
    assert_eq!(sent(&context), ["nurse bed-17 raised"]);
}

#[tokio::test]
async fn an_invocation_that_ends_half_way_has_its_message_sent_again_and_marked() {
    let context = context();
    let alert = silence("bed-17", Some("home-3")).raised();
    // The message is sent, and its outcome never stored.
    let key = take::plan(&context, &alert).await.unwrap();
    change(&context.cases, &key, |case| case.claim(NOW, NOW + LEASE, false)).await.unwrap();
    deliver(&context, &alert).await.unwrap();
    assert!(sent(&context).is_empty(), "it is being sent");
    context.clock.set(NOW + LEASE);
    sweep(&context).await;
    let (_, message) = context.messenger.sent().remove(0);
    assert!(message.is_repetition);
}

#[tokio::test]
async fn while_the_store_is_down_an_alert_is_retried_and_nothing_is_sent() {
    let context = context();
    context.cases.set_down(true);
    let alert = silence("bed-17", Some("home-3")).raised();
    assert!(matches!(deliver(&context, &alert).await, Err(HandleError::Store(_))));
    assert!(sent(&context).is_empty());
    context.cases.set_down(false);
    deliver(&context, &alert).await.unwrap();
    assert_eq!(sent(&context), ["nurse bed-17 raised"]);
}

#[tokio::test]
async fn an_event_that_is_no_alert_is_named() {
    let error = |event: &'static str| async move {
        let context = context();
        let error = handle(&context, event.as_bytes(), NOW + MINUTE).await.unwrap_err();
        myaku::platform::errors::chain(&error)
    };
    assert!(error("{}").await.contains("neither a notification of SNS"));
    assert!(error(r#"{"task":"sleep"}"#).await.contains("neither a notification of SNS"));
    let wrong = error(r#"{"Records":[{"Sns":{"Message":"{}"}}]}"#).await;
    assert!(wrong.contains("record 0 is not an alert: missing field `id`"), "{wrong}");
}
