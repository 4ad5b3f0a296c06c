use super::*;
use myaku::alert::State;
use myaku::alert::incidents::memory::MemoryIncidents;
use myaku::alert::topic::memory::MemoryTopic;
use myaku::device::presence::store::memory::MemoryPresences;
use myaku::device::presence::watch::memory::MemoryWatch;
use myaku::device::presence::watch::{Expected, Hears as _};
use myaku::device::registry::{DEFAULT_TTL, Device, Key, Kind, MemoryMasterData};
use myaku::platform::clock::ManualClock;
use std::sync::Arc;

const NOW_MS: i64 = 1_795_218_893_000;
const CONNECTED: &str = include_str!("../../../events/iot-presence-connected.json");
const DISCONNECTED: &str = include_str!("../../../events/iot-presence-disconnected.json");
const SWEEP_EVENT: &str = include_str!("../../../events/iot-presence-sweep.json");
const PROFILES: [(&str, &str); 2] = [
    ("vital", r#"{"id":"vital","expectedIntervalSeconds":30,"versions":[{"name":"1","format":"text"}]}"#),
    ("lines", r#"{"id":"lines","versions":[{"name":"1","format":"text"}]}"#),
];

struct InMemory;

impl Ports for InMemory {
    type Presences = MemoryPresences;
    type Incidents = MemoryIncidents;
    type Topic = MemoryTopic;
    type Watch = MemoryWatch;
    type MasterData = MemoryMasterData;
    type Clock = Arc<ManualClock>;
}

type Fixture = Context<InMemory>;

/// Three beds that are expected every 30 seconds, and a source of lines that may be silent.
fn fixture() -> Fixture {
    let store = MemoryMasterData::new();
    for (id, profile) in [("bed-17", "vital"), ("bed-18", "vital"), ("bed-19", "vital"), ("app-log", "lines")] {
        store.put_device(&Device::new(id, profile, (id == "bed-17").then_some("home-3")));
    }
    for (name, json) in PROFILES {
        store.put_document(Key::new(Kind::Profile, name), json);
    }
    let clock = Arc::new(ManualClock::at(NOW_MS));
    Context {
        presences: MemoryPresences::default(),
        incidents: MemoryIncidents::default(),
        topic: MemoryTopic::default(),
        watch: MemoryWatch::default(),
        registry: Registry::new(store, clock.clone(), DEFAULT_TTL),
        clock,
        grace: Duration::from_secs(30),
    }
}

impl Fixture {
    fn pass(&self, seconds: i64) {
        self.clock.set(self.clock.now_ms() + seconds * 1_000);
    }

    async fn sweep(&self) -> SweepReport {
        sweep::run(self, self.clock.now_ms() + 60_000).await.unwrap()
    }

    async fn receive(&self, event: &str) -> Result<(), HandleError> {
        handle(self, event.as_bytes(), self.clock.now_ms() + 60_000).await
    }

    async fn hear(&self, device_id: &str) {
        let by_ms = self.clock.now_ms() + 30_000;
        self.watch.heard(&[Expected { device_id: device_id.to_owned(), by_ms }]).await.unwrap();
    }

    /// The published alerts: device and state.
    fn published(&self) -> Vec<(String, State)> {
        self.topic.alerts().into_iter().map(|alert| (alert.device_id, alert.state)).collect()
    }

    async fn is_connected(&self, client_id: &str) -> bool {
        self.presences.get(client_id).await.unwrap().unwrap().presence.connected
    }

    /// A fixture after its first sweep, which only starts the watch.
    async fn after_first_sweep() -> Self {
        let fixture = fixture();
        assert_eq!(fixture.sweep().await, SweepReport { expected: 3, ..SweepReport::default() });
        fixture
    }
}

#[tokio::test]
async fn a_disconnect_counts_when_a_sweep_runs_after_the_grace_period() {
    let fixture = fixture();
    fixture.receive(CONNECTED).await.unwrap();
    fixture.receive(DISCONNECTED).await.unwrap();
    fixture.pass(29);
    assert_eq!(fixture.sweep().await.settled, 0);
    assert!(fixture.is_connected("bed-17").await);
    fixture.pass(1);
    handle(&fixture, SWEEP_EVENT.as_bytes(), i64::MAX).await.unwrap();
    assert!(!fixture.is_connected("bed-17").await);
    assert_eq!(fixture.sweep().await.settled, 0, "it is settled once");
}

#[tokio::test]
async fn events_out_of_order_and_repeated_end_in_the_same_status() {
    let fixture = fixture();
    for event in [DISCONNECTED, CONNECTED, DISCONNECTED, CONNECTED] {
        fixture.receive(event).await.unwrap();
    }
    fixture.pass(30);
    assert_eq!(fixture.sweep().await.settled, 1);
    let known = fixture.presences.get("bed-17").await.unwrap().unwrap().presence;
    assert_eq!((known.connected, known.newest.reason.as_str()), (false, "MQTT_KEEP_ALIVE_TIMEOUT"));
}

#[tokio::test]
async fn a_client_that_the_registry_does_not_know_is_kept_like_any_other() {
    let fixture = fixture();
    fixture.receive(&CONNECTED.replace("bed-17", "iotconsole-4b0d")).await.unwrap();
    assert!(fixture.is_connected("iotconsole-4b0d").await);
    assert_eq!(fixture.published(), []);
}

#[tokio::test]
async fn an_invalid_event_fails_with_the_fields_name_and_stores_nothing() {
    let fixture = fixture();
    for (event, says) in [
        ("[1]".to_owned(), "not a lifecycle event"),
        ("{}".to_owned(), "clientId"),
        (CONNECTED.replace("versionNumber", "version"), "versionNumber"),
        (CONNECTED.replace("1795218892020", "4070908800000"), "ms ahead"),
        (r#"{"task":"tidy"}"#.to_owned(), "clientId"),
    ] {
        let error = fixture.receive(&event).await.unwrap_err();
        let text = myaku::platform::errors::chain(&error);
        assert!(text.starts_with("the event is not valid: ") && text.contains(says), "{text}");
    }
    assert_eq!(fixture.presences.get("bed-17").await.unwrap(), None);
}

#[tokio::test]
async fn while_the_store_is_down_an_event_fails_so_that_it_is_tried_again() {
    let fixture = fixture();
    fixture.presences.set_down(true);
    assert!(matches!(fixture.receive(CONNECTED).await, Err(HandleError::Store(_))));
    fixture.presences.set_down(false);
    fixture.receive(CONNECTED).await.unwrap();
    assert!(fixture.is_connected("bed-17").await);
}

#[tokio::test]
async fn a_silent_device_gets_one_alert_and_one_more_when_it_is_back() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.pass(20);
    for bed in ["bed-17", "bed-18"] {
        fixture.hear(bed).await;
    }
    fixture.pass(20);
    fixture.hear("bed-18").await;
    // bed-19 was never heard, and is expected since the watch started.
    assert_eq!(fixture.sweep().await.raised, 1);
    assert_eq!(fixture.published(), [("bed-19".to_owned(), State::Raised)]);
    fixture.pass(20);
    assert_eq!(fixture.sweep().await.raised, 1);
    for _ in 0..3 {
        fixture.hear("bed-18").await;
        fixture.pass(10);
        assert_eq!(fixture.sweep().await, SweepReport::default());
    }
    let alerts = fixture.topic.alerts();
    let alert = &alerts[1];
    assert_eq!((alert.device_id.as_str(), alert.facility.as_deref()), ("bed-17", Some("home-3")));
    assert_eq!((alert.since, alert.at), (NOW_MS + 20_000, NOW_MS + 60_000));

    fixture.hear("bed-17").await;
    assert_eq!(fixture.sweep().await.cleared, 1);
    assert_eq!(fixture.sweep().await.cleared, 0);
    let back = fixture.topic.alerts().pop().unwrap();
    assert_eq!((&back.id, back.state, &back.device_id), (&alert.id, State::Cleared, &alert.device_id));

    fixture.pass(31);
    assert_eq!(fixture.sweep().await.raised, 2, "bed-17 and bed-18 have a new incident each");
    assert!(fixture.topic.alerts()[3..].iter().all(|again| again.id != alert.id));
}

#[tokio::test]
async fn an_alert_is_published_before_its_incident_is_stored_and_again_with_the_same_id() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.pass(31);
    fixture.topic.set_down(true);
    let error = sweep::run(&fixture, i64::MAX).await.unwrap_err();
    assert_eq!(error.part, "raising incidents");
    assert_eq!(fixture.incidents.all(), []);
    fixture.topic.set_down(false);
    // A crash after the alert and before the incident is stored.
    let overdue = myaku::device::presence::watch::Watch::overdue(&fixture.watch, 62, i64::MAX, 1).await.unwrap();
    assert_eq!(overdue[0].device_id, "bed-17");
    let incident =
        myaku::alert::Incident::silence(&overdue[0].device_id, overdue[0].by_ms, Duration::from_secs(30), None, NOW_MS);
    fixture.topic.publish(&incident.raised()).await.unwrap();
    assert_eq!(fixture.sweep().await.raised, 3);
    let keys: std::collections::BTreeSet<String> =
        fixture.topic.alerts().iter().map(myaku::alert::Alert::key).collect();
    assert_eq!((fixture.topic.alerts().len(), keys.len()), (4, 3));
}

#[tokio::test]
async fn a_device_that_is_removed_from_the_registry_is_not_expected_any_more() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.pass(31);
    assert_eq!(fixture.sweep().await.raised, 3);
    fixture.registry.store().remove(&Key::new(Kind::Device, "bed-18"));
    fixture.pass(31);
    assert_eq!(fixture.sweep().await.cleared, 1);
    let alert = fixture.topic.alerts().pop().unwrap();
    assert_eq!((alert.device_id.as_str(), alert.state), ("bed-18", State::Cleared));
    assert!(alert.detail.contains("not expected"), "{}", alert.detail);
}

#[tokio::test]
async fn after_the_watch_lost_its_data_no_silence_is_reported_twice_or_missed() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.pass(20);
    fixture.hear("bed-18").await;
    fixture.pass(20);
    assert_eq!(fixture.sweep().await.raised, 2);
    fixture.watch.lose_memory();
    // The watch starts again: bed-18 is expected again, and falls silent at this moment.
    assert_eq!(fixture.sweep().await, SweepReport { expected: 1, ..SweepReport::default() });
    fixture.pass(31);
    assert_eq!(fixture.sweep().await.raised, 1);
    assert_eq!(fixture.published().len(), 3);
    fixture.hear("bed-17").await;
    assert_eq!(fixture.sweep().await.cleared, 1);
}

#[tokio::test]
async fn a_silence_while_the_watch_is_down_is_not_reported() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.pass(31);
    fixture.watch.set_down(true);
    assert!(sweep::run(&fixture, i64::MAX).await.is_err());
    assert_eq!(fixture.published(), []);
    // The other parts do not depend on the watch.
    fixture.receive(DISCONNECTED).await.unwrap();
    fixture.pass(31);
    assert!(sweep::run(&fixture, i64::MAX).await.is_err());
    assert!(!fixture.is_connected("bed-17").await);
}

#[tokio::test]
async fn a_run_whose_time_is_over_leaves_the_rest_to_the_next() {
    let fixture = Fixture::after_first_sweep().await;
    fixture.receive(DISCONNECTED).await.unwrap();
    fixture.pass(31);
    let out_of_time = sweep::run(&fixture, fixture.clock.now_ms() + 9_999).await.unwrap();
    assert_eq!(out_of_time, SweepReport::default());
    let done = fixture.sweep().await;
    assert_eq!((done.settled, done.raised), (1, 3));
}
