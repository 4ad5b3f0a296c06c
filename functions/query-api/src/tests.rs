use super::*;
use myaku::alert::incidents::Incidents as _;
use myaku::alert::incidents::memory::MemoryIncidents;
use myaku::alert::{Begin, Cleared, Incident, Kind, Severity};
use myaku::device::presence::store::memory::MemoryPresences;
use myaku::device::presence::{Change, Lifecycle, Presence};
use myaku::device::registry::{DEFAULT_TTL, Device, Key, Kind as Documents, MemoryMasterData};
use myaku::http::ReaderRole;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::MemoryStates;
use myaku::keyed::states::{Committed, LoadedSlot, SlotCommit, SlotDevices};
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::Remedy;
use myaku::results::memory::MemoryResults;
use myaku::results::{Average, Item, MetricResult, Results as _, Row};
use myaku::stream::batch::Position;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

mod document;
mod histories;
mod lists;
mod tenants;
mod values;

const NOW_MS: i64 = 1_795_218_893_000;
const PROFILE: &str = r#"{"id": "vital", "expectedIntervalSeconds": 60,
    "metrics": {"heart_rate": {"unit": "1/min", "window": {"last": 20}, "windows": [{"seconds": 300}, {"seconds": 3600}]},
        "mode": {"kind": "text", "windows": [{"seconds": 300}]}},
    "versions": [{"name": "1", "format": "json", "time": {"from": "ts", "unit": "ms"},
        "fields": [{"metric": "heart_rate", "from": "hr"}, {"metric": "mode", "from": "mode", "optional": true}]}]}"#;

/// The ports of a test.
struct InMemory;

impl Ports for InMemory {
    type MasterData = MemoryMasterData;
    type Presences = MemoryPresences;
    type Incidents = MemoryIncidents;
    type Results = MemoryResults;
    type Intervals = MemoryResults<WindowResult>;
    type Progress = MemoryProgress;
    type States = Redis;
    type Timelines = MemoryStates<MetricTimelines>;
    type Clock = ManualClock;
}

/// States that cannot be read while Redis is down.
#[derive(Default)]
struct Redis {
    states: MemoryStates<DeviceState>,
    is_down: AtomicBool,
}

impl States for Redis {
    type State = DeviceState;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<DeviceState>>, RemoteError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(RemoteError::new("load states", Remedy::Retry, "Redis is down"));
        }
        self.states.load(stream, slots).await
    }

    async fn commit(
        &self,
        stream: &str,
        commits: &[SlotCommit<'_, DeviceState>],
    ) -> Result<Vec<Committed>, RemoteError> {
        self.states.commit(stream, commits).await
    }
}

type Fixture = Context<InMemory>;

/// Beds in three homes, and one that stands in none.
async fn fixture() -> Fixture {
    let store = MemoryMasterData::new();
    let beds = [
        ("bed-17", Some("home-3")),
        ("bed-18", Some("home-3")),
        ("bed-40", Some("home-4")),
        ("bed-99", Some("home-9")),
        ("bed-0", None),
    ];
    for (id, facility) in beds {
        store.put_device(&Device::new(id, "vital", facility));
    }
    store.put_document(Key::new(Documents::Profile, "vital"), PROFILE);
    let context: Fixture = Context {
        registry: Registry::new(store, ManualClock::at(NOW_MS), DEFAULT_TTL),
        presences: MemoryPresences::default(),
        incidents: MemoryIncidents::default(),
        results: MemoryResults::default(),
        intervals: MemoryResults::default(),
        progress: MemoryProgress::default(),
        states: Redis::default(),
        timelines: MemoryStates::default(),
        patience: Patience::new("test"),
        readings_stream: "readings".to_owned(),
        claims: ReaderClaims {
            device: "device_id".to_owned(),
            facilities: "facilities".to_owned(),
            role: "scope".to_owned(),
            roles: [
                (ReaderRole::Viewer, "myaku/viewer".to_owned()),
                (ReaderRole::Operator, "myaku/operator".to_owned()),
                (ReaderRole::Admin, "myaku/admin".to_owned()),
            ],
            iam: Facilities::All,
        },
        clock: ManualClock::at(NOW_MS),
    };
    for (id, facility) in beds {
        let facility = facility.unwrap_or_default();
        context.results.write(&[latest(id, facility, 61.0, NOW_MS - 30_000)]).await.unwrap();
        let fever = fever(id, Some(facility).filter(|it| !it.is_empty()), NOW_MS - 60_000);
        context.incidents.put(&fever).await.unwrap();
    }
    context
}

/// A latest row with a heart rate.
fn latest(id: &str, facility: &str, value: f64, at: i64) -> Row {
    let average = Average { count: 3, mean: 60.5, min: 60.0, max: 61.0, stddev: 0.5 };
    let result =
        MetricResult { unit: "1/min".to_owned(), value, at, clock: None, average, partial: false, lost_until: None };
    Row {
        device_id: id.to_owned(),
        item: Item::Latest,
        facility: facility.to_owned(),
        metrics: BTreeMap::from([("heart_rate".to_owned(), result)]),
        stream: "readings".to_owned(),
        shard: "shard".to_owned(),
        position: Position::ZERO,
        counted: 3,
        lost_until: None,
        received_at: at + 500,
        updated_at: at + 900,
        expires_at: None,
    }
}

fn fever(id: &str, facility: Option<&str>, at: i64) -> Incident {
    let begin = Begin {
        rule: "fever".to_owned(),
        kind: Kind::Threshold,
        severity: Severity::Critical,
        metric: "heart_rate".to_owned(),
        since_ms: at,
        value: Some(161.0),
        limit: Some(160.0),
        detail: "161 1/min is above 160 1/min.".to_owned(),
    };
    Incident::found(&begin, id, facility, &format!("{at}"), at)
}

fn silence(id: &str, facility: &str, at: i64) -> Incident {
    Incident::silence(id, at, Duration::from_mins(1), Some(facility), at)
}

async fn connect_device(context: &Fixture, id: &str, connected: bool, last_seen_ms: i64) {
    let newest = Lifecycle {
        client_id: id.to_owned(),
        change: if connected { Change::Connected } else { Change::Disconnected },
        at_ms: last_seen_ms,
        version: 1,
        session: "s".to_owned(),
        reason: String::new(),
    };
    let presence = Presence { newest, connected, since_ms: last_seen_ms, settle_at_ms: None, last_seen_ms };
    context.presences.put(&presence, None).await.unwrap();
}

/// The claims of a token with a role and facilities.
fn token(role: &str, facilities: &str) -> Value {
    json!({"sub": "alice", "scope": format!("openid myaku/{role}"), "facilities": facilities})
}

/// A request with a token's claims. The path may have a query.
fn request(method: &str, path: &str, claims: &Value) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = json!({"rawPath": path, "rawQueryString": query, "headers": {}, "requestContext": {
        "stage": "$default", "http": {"method": method}, "authorizer": {"jwt": {"claims": claims}}}});
    serde_json::from_value(request).unwrap()
}

async fn respond(context: &Fixture, request: &Request) -> (u16, Value) {
    let response = handle(context, request, NOW_MS + 29_000).await;
    (response.status_code, serde_json::from_str(&response.body).unwrap_or_default())
}

async fn get(context: &Fixture, path: &str, claims: &Value) -> (u16, Value) {
    respond(context, &request("GET", path, claims)).await
}

/// The body of an answer that must be 200.
async fn body(context: &Fixture, path: &str, claims: &Value) -> Value {
    let (status, body) = get(context, path, claims).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn texts<'a>(body: &'a Value, list: &str, name: &str) -> Vec<&'a str> {
    body[list].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap()).collect()
}
