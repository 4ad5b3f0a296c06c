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

/// One clock for all.
#[derive(Clone, Default)]
struct Clock(Arc<ManualClock>);

impl Now for Clock {
    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }
}

struct InMemory;

impl Ports for InMemory {
    type Presences = MemoryPresences;
    type Incidents = MemoryIncidents;
    type Topic = MemoryTopic;
    type Watch = MemoryWatch;
    type MasterData = MemoryMasterData;
    type Clock = Clock;
}

type Fixture = Context<InMemory>;

/// Three beds that are expected every 30 seconds, and a source of lines that nobody waits for.
fn fixture() -> Fixture {
    let store = MemoryMasterData::new();
    for (id, profile) in [("bed-17", "vital"), ("bed-18", "vital"), ("bed-19", "vital"), ("app-log", "lines")] {
        let facility = (id == "bed-17").then(|| "home-3".to_owned());
        store.put_device(&Device { device_id: id.to_owned(), profile: profile.to_owned(), facility });
    }
    for (name, json) in PROFILES {
        store.put_document(Key::new(Kind::Profile, name), json);
    }
    let clock = Clock::default();
    clock.0.set(NOW_MS);
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
        self.clock.0.set(self.clock.now_ms() + seconds * 1_000);
    }

    async fn sweep(&self) -> Sweep {
        sweep::run(self, self.clock.now_ms() + 60_000).await.unwrap()
    }

    async fn take(&self, event: &str) -> Result<(), HandleError> {
        handle(self, event.as_bytes(), self.clock.now_ms() + 60_000).await
    }

    async fn hear(&self, device_id: &str) {
        let by_ms = self.clock.now_ms() + 30_000;
        self.watch.heard(&[Expected { device_id: device_id.to_owned(), by_ms }]).await.unwrap();
    }

    /// What was published: device and state.
    fn told(&self) -> Vec<(String, State)> {
        self.topic.alerts().into_iter().map(|alert| (alert.device_id, alert.state)).collect()
    }

    async fn is_connected(&self, client_id: &str) -> bool {
        self.presences.get(client_id).await.unwrap().unwrap().presence.connected
    }

    /// With the first run behind it, which only begins the watch.
    async fn watched() -> Self {
        let fixture = fixture();
        assert_eq!(fixture.sweep().await, Sweep { expected: 3, ..Sweep::default() });
        fixture
    }
}

#[tokio::test]
async fn a_disconnect_counts_when_the_sweep_finds_its_grace_over() {
    let fixture = fixture();
    fixture.take(CONNECTED).await.unwrap();
    fixture.take(DISCONNECTED).await.unwrap();
    fixture.pass(29);
    assert_eq!(fixture.sweep().await.settled, 0);
    assert!(fixture.is_connected("bed-17").await);
    fixture.pass(1);
    handle(&fixture, SWEEP_EVENT.as_bytes(), i64::MAX).await.unwrap();
    assert!(!fixture.is_connected("bed-17").await);
    assert_eq!(fixture.sweep().await.settled, 0, "once");
}

#[tokio::test]
async fn events_out_of_order_and_repeated_end_in_the_same_status() {
    let fixture = fixture();
    for event in [DISCONNECTED, CONNECTED, DISCONNECTED, CONNECTED] {
        fixture.take(event).await.unwrap();
    }
    fixture.pass(30);
    assert_eq!(fixture.sweep().await.settled, 1);
    let known = fixture.presences.get("bed-17").await.unwrap().unwrap().presence;
    assert_eq!((known.connected, known.newest.reason.as_str()), (false, "MQTT_KEEP_ALIVE_TIMEOUT"));
}

#[tokio::test]
async fn a_client_that_the_registry_does_not_know_is_kept_like_any_other() {
    let fixture = fixture();
    fixture.take(&CONNECTED.replace("bed-17", "iotconsole-4b0d")).await.unwrap();
    assert!(fixture.is_connected("iotconsole-4b0d").await);
    assert_eq!(fixture.told(), []);
}

#[tokio::test]
async fn an_event_that_is_none_fails_by_name_and_stores_nothing() {
    let fixture = fixture();
    for (event, says) in [
        ("[1]".to_owned(), "not a lifecycle event"),
        ("{}".to_owned(), "clientId"),
        (CONNECTED.replace("versionNumber", "version"), "versionNumber"),
        (CONNECTED.replace("1795218892020", "4070908800000"), "ms ahead"),
        (r#"{"task":"tidy"}"#.to_owned(), "clientId"),
    ] {
        let error = fixture.take(&event).await.unwrap_err();
        let told = myaku::platform::errors::chain(&error);
        assert!(told.starts_with("the event is not known here: ") && told.contains(says), "{told}");
    }
    assert_eq!(fixture.presences.get("bed-17").await.unwrap(), None);
}

#[tokio::test]
async fn a_store_that_is_down_fails_the_event_so_that_it_comes_again() {
    let fixture = fixture();
    fixture.presences.set_down(true);
    assert!(matches!(fixture.take(CONNECTED).await, Err(HandleError::Store(_))));
    fixture.presences.set_down(false);
    fixture.take(CONNECTED).await.unwrap();
    assert!(fixture.is_connected("bed-17").await);
}

#[tokio::test]
async fn a_silent_device_is_told_of_once_and_once_when_it_is_back() {
    let fixture = Fixture::watched().await;
    fixture.pass(20);
    for bed in ["bed-17", "bed-18"] {
        fixture.hear(bed).await;
    }
    fixture.pass(20);
    fixture.hear("bed-18").await;
    // bed-19 was never heard, and was expected when the watch began.
    assert_eq!(fixture.sweep().await.raised, 1);
    assert_eq!(fixture.told(), [("bed-19".to_owned(), State::Raised)]);
    fixture.pass(20);
    assert_eq!(fixture.sweep().await.raised, 1);
    for _ in 0..3 {
        fixture.hear("bed-18").await;
        fixture.pass(10);
        assert_eq!(fixture.sweep().await, Sweep::default());
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
    assert_eq!(fixture.sweep().await.raised, 2, "bed-17 and bed-18, each a new incident");
    assert!(fixture.topic.alerts()[3..].iter().all(|again| again.id != alert.id));
}

#[tokio::test]
async fn an_alert_goes_out_before_its_incident_is_kept_and_again_under_the_same_id() {
    let fixture = Fixture::watched().await;
    fixture.pass(31);
    fixture.topic.set_down(true);
    let error = sweep::run(&fixture, i64::MAX).await.unwrap_err();
    assert_eq!(error.part, "raising incidents");
    assert_eq!(fixture.incidents.all(), []);
    fixture.topic.set_down(false);
    // Between the two, as a crash would be.
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
async fn who_is_out_of_the_registry_is_no_longer_expected() {
    let fixture = Fixture::watched().await;
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
async fn a_watch_that_lost_its_memory_tells_nothing_twice_and_misses_nobody() {
    let fixture = Fixture::watched().await;
    fixture.pass(20);
    fixture.hear("bed-18").await;
    fixture.pass(20);
    assert_eq!(fixture.sweep().await.raised, 2);
    fixture.watch.lose_memory();
    // It begins anew; bed-18 is expected again, and falls silent just then.
    assert_eq!(fixture.sweep().await, Sweep { expected: 1, ..Sweep::default() });
    fixture.pass(31);
    assert_eq!(fixture.sweep().await.raised, 1);
    assert_eq!(fixture.told().len(), 3);
    fixture.hear("bed-17").await;
    assert_eq!(fixture.sweep().await.cleared, 1);
}

#[tokio::test]
async fn silence_that_nobody_watched_is_not_told() {
    let fixture = Fixture::watched().await;
    fixture.pass(31);
    fixture.watch.set_down(true);
    assert!(sweep::run(&fixture, i64::MAX).await.is_err());
    assert_eq!(fixture.told(), []);
    // The other parts do not depend on it.
    fixture.take(DISCONNECTED).await.unwrap();
    fixture.pass(31);
    assert!(sweep::run(&fixture, i64::MAX).await.is_err());
    assert!(!fixture.is_connected("bed-17").await);
}

#[tokio::test]
async fn a_run_whose_time_is_over_leaves_the_rest_to_the_next() {
    let fixture = Fixture::watched().await;
    fixture.take(DISCONNECTED).await.unwrap();
    fixture.pass(31);
    let out_of_time = sweep::run(&fixture, fixture.clock.now_ms() + 9_999).await.unwrap();
    assert_eq!(out_of_time, Sweep::default());
    let done = fixture.sweep().await;
    assert_eq!((done.settled, done.raised), (1, 3));
}
