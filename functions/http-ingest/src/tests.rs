use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use myaku::device::registry::{DEFAULT_TTL, Device, Key, Kind, MemoryMasterData};
use myaku::http::Facilities;
use myaku::ingest::command::conformance::command;
use myaku::ingest::command::{CommandsWriter as _, MemoryCommands};
use myaku::platform::clock::ManualClock;
use myaku::stream::kpl;
use myaku::stream::producer::Limits;
use myaku::stream::producer::memory::{Fault, MemoryStream};
use myaku::stream::shard_map::HashKeyRange;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::marker::PhantomData;

mod callers;
mod chain;
mod requests;

const NOW_MS: i64 = 1_795_218_893_000;
const PROFILE: &str = r#"{"id":"vital","metrics":{"heart_rate":{"unit":"1/min","window":{"last":20}}},
    "versions":[{"name":"1","format":"json","time":{"from":"ts","unit":"ms"},
                 "fields":[{"metric":"heart_rate","from":"hr"}]}]}"#;

/// The ports of a test, with `S` for the stream.
struct InMemory<S = MemoryStream>(PhantomData<fn() -> S>);

impl<S: PutRecords> Ports for InMemory<S> {
    type Stream = S;
    type MasterData = MemoryMasterData;
    type Commands = MemoryCommands;
    type Clock = ManualClock;
}

type Fixture = Context<InMemory>;

/// Beds in two homes, and one that is in none.
fn master_data() -> MemoryMasterData {
    let store = MemoryMasterData::new();
    let beds = [("bed-17", Some("home-3")), ("bed-18", Some("home-3")), ("bed-99", Some("home-9")), ("bed-0", None)];
    for (id, facility) in beds {
        store.put_device(&Device::new(id, "vital", facility));
    }
    store.put_document(Key::new(Kind::Profile, "vital"), PROFILE);
    store
}

fn fixture() -> Fixture {
    fixture_with(Limits::default())
}

fn fixture_with(limits: Limits) -> Fixture {
    Context {
        messages: Producer::seeded(MemoryStream::new(4), Placement::Shards, limits, 1),
        registry: Registry::new(master_data(), ManualClock::at(NOW_MS), DEFAULT_TTL),
        commands: Some(MemoryCommands::default()),
        claims: Claims {
            device: "device_id".to_owned(),
            facilities: "facilities".to_owned(),
            app: "scope".to_owned(),
            app_role: "myaku/app".to_owned(),
            iam: Facilities::All,
        },
        clock: ManualClock::at(NOW_MS),
    }
}

/// A context without retries, and with one message in each record.
fn without_retries() -> Fixture {
    fixture_with(Limits { aggregate_bytes_max: 300, patience: Duration::ZERO, ..Limits::default() })
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A request of an app for `home-3` and `home-4`.
fn request(body: impl Into<String>) -> Value {
    let mut request = event(include_str!("../../../events/http-one.json"));
    request["body"] = Value::String(body.into());
    request
}

fn item(n: usize) -> Value {
    json!({"deviceId": "bed-17", "facility": "home-3", "kind": "vital", "payload": {"ts": NOW_MS - 1_000 - n as i64, "hr": 60 + n}})
}

async fn send(context: &Fixture, request: &Value) -> (u16, Value) {
    let response = respond(context, request, "7d0c").await;
    (response.status_code, event(&response.body))
}

async fn respond(context: &Fixture, request: &Value, invocation: &str) -> Response {
    let request: Request = serde_json::from_value(request.clone()).unwrap();
    handle(context, &request, Invocation { id: invocation, deadline_ms: NOW_MS + 29_000 }).await
}

/// The messages on the stream.
fn stored_messages(context: &Fixture) -> Vec<Message> {
    let parse = |data: &[u8]| Message::parse(data).unwrap();
    let records = context.messages.port().records();
    records
        .iter()
        .flat_map(|(_, entry)| match kpl::decode(&entry.data) {
            Some(aggregate) => aggregate.records().map(|(_, _, data)| parse(data)).collect(),
            None => vec![parse(&entry.data)],
        })
        .collect()
}

fn message_ids(context: &Fixture) -> BTreeSet<Option<String>> {
    stored_messages(context).into_iter().map(|message| message.message_id).collect()
}

#[tokio::test]
async fn the_sample_requests_are_accepted() {
    for (name, sample, expected) in [
        ("one", include_str!("../../../events/http-one.json"), 1),
        ("many", include_str!("../../../events/http-many.json"), 3),
        ("lines", include_str!("../../../events/http-lines.json"), 3),
        ("gzip", include_str!("../../../events/http-gzip.json"), 3),
        ("device", include_str!("../../../events/http-device.json"), 1),
        ("iam", include_str!("../../../events/http-iam.json"), 1),
    ] {
        let context = fixture();
        assert_eq!(send(&context, &event(sample)).await, (202, json!({"accepted": expected})), "{name}");
        let messages = stored_messages(&context);
        assert_eq!((messages.len(), context.messages.port().records().len()), (expected, 1), "{name}");
        for message in messages {
            assert_eq!((message.facility.as_str(), message.received_at), ("home-3", 1_795_218_892_020), "{name}");
            assert!(message.delivery_id.starts_with("7d0c-"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_message_has_the_fields_and_payload_bytes_of_its_item() {
    let context = fixture();
    let body = r#"[{"deviceId":"bed-17","facility":"home-3","kind":"vital","messageId":"m-1","payload":{"hr": 61.0}},
                   {"deviceId":"bed-18","facility":"home-3","kind":"raw","payloadBase64":"AP8="}]"#;
    assert_eq!(send(&context, &request(body)).await.0, 202);
    let records: Vec<_> = stored_messages(&context).iter().map(Message::to_json).collect();
    insta::assert_snapshot!(records.join("\n"), @r#"
    {"deliveryId":"7d0c-0","deviceId":"bed-17","facility":"home-3","kind":"vital","receivedAt":1795218892020,"payload":"eyJociI6IDYxLjB9","messageId":"m-1","sender":"app:app-1"}
    {"deliveryId":"7d0c-1","deviceId":"bed-18","facility":"home-3","kind":"raw","receivedAt":1795218892020,"payload":"AP8=","sender":"app:app-1"}
    "#);
}

#[tokio::test]
async fn the_document_is_served_and_other_paths_are_not_found() {
    let context = fixture();
    let served = respond(&context, &event(include_str!("../../../events/http-document.json")), "i").await;
    assert_eq!((served.status_code, served.body.as_str()), (200, DOCUMENT));
    let mut staged = event(include_str!("../../../events/http-document.json"));
    staged["rawPath"] = json!("/live/openapi.json");
    staged["requestContext"]["stage"] = json!("live");
    assert_eq!(respond(&context, &staged, "i").await.status_code, 200);
    for (method, path) in [("GET", "/v1/messages"), ("POST", "/"), ("POST", "/v1/messages/x")] {
        let mut other = request("{}");
        other["rawPath"] = json!(path);
        other["requestContext"]["http"]["method"] = json!(method);
        assert_eq!(send(&context, &other).await.0, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_puts_the_same_message_ids() {
    let context = fixture();
    let mut request = request(json!([item(1), item(2)]).to_string());
    request["headers"]["idempotency-key"] = json!("k-1");
    // The client did not get the first answer, and sends the request again.
    for invocation in ["first", "second"] {
        assert_eq!(respond(&context, &request, invocation).await.status_code, 202);
    }
    assert_eq!(stored_messages(&context).len(), 4, "the lake has both");
    assert_eq!(message_ids(&context), BTreeSet::from([Some("k-1:0".to_owned()), Some("k-1:1".to_owned())]));
    let deliveries: BTreeSet<_> = stored_messages(&context).into_iter().map(|message| message.delivery_id).collect();
    assert_eq!(deliveries.len(), 4, "each delivery has its own id");
}

#[tokio::test]
async fn an_items_message_id_takes_precedence_over_the_requests_key() {
    let context = fixture();
    let mut named = item(1);
    named["messageId"] = json!(4711);
    let mut request = request(json!([named, item(2)]).to_string());
    request["headers"]["idempotency-key"] = json!("k-1");
    send(&context, &request).await;
    assert_eq!(message_ids(&context), BTreeSet::from([Some("4711".to_owned()), Some("k-1:1".to_owned())]));
}

#[tokio::test]
async fn after_a_partly_throttled_call_each_item_has_a_status_and_a_retry_puts_the_rest() {
    let context = without_retries();
    context.messages.port().inject([Fault::ThrottleHalf]);
    // More than fits in one record.
    let mut large = item(1);
    large["payload"]["note"] = json!("x".repeat(1_000));
    let mut request = request(Value::from(vec![large; 100]).to_string());
    request["headers"]["idempotency-key"] = json!("k-1");
    let (status, body) = send(&context, &request).await;
    assert_eq!(status, 207);
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), 100);
    let on_stream = message_ids(&context);
    assert_eq!(body["accepted"], on_stream.len());
    assert!(!on_stream.is_empty() && on_stream.len() < 100);
    for (index, result) in results.iter().enumerate() {
        let id = format!("k-1:{index}");
        assert_eq!((&result["index"], &result["messageId"]), (&json!(index), &json!(id)));
        let expected = if on_stream.contains(&Some(id)) { 202 } else { 429 };
        assert_eq!(result["status"], expected, "{result}");
        assert_eq!(result["error"].is_string(), expected == 429);
    }

    assert_eq!(send(&context, &request).await, (202, json!({"accepted": 100})));
    assert_eq!(message_ids(&context).len(), 100, "a message that was put twice has the same id");
}

#[tokio::test]
async fn the_status_of_a_failure_tells_the_client_what_to_do() {
    for (fault, status, has_retry_after) in [
        (Fault::ThrottleHalf, 429, true),
        (Fault::Unavailable, 503, true),
        (Fault::AnswerLost, 503, true),
        (Fault::Denied, 500, false),
    ] {
        let context = without_retries();
        context.messages.port().inject([fault]);
        let response = respond(&context, &request(item(1).to_string()), "i").await;
        assert_eq!(response.status_code, status, "{fault:?}");
        assert_eq!(response.headers.contains_key("retry-after"), has_retry_after, "{fault:?}");
        assert!(event(&response.body)["error"].is_string());
    }
}

/// A stream that never answers.
struct Hanging;

impl PutRecords for Hanging {
    async fn put_records(
        &self,
        _: &[producer::Entry],
    ) -> Result<Vec<producer::PutOutcome>, myaku::platform::errors::RemoteError> {
        std::future::pending().await
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, myaku::platform::errors::RemoteError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_hangs_is_answered_before_the_api_gives_up() {
    let Fixture { registry, commands, claims, clock, .. } = fixture();
    let messages = Producer::new(Hanging, Placement::Shards, Limits::default());
    let context = Context::<InMemory<Hanging>> { messages, registry, commands, claims, clock };
    let request: Request = serde_json::from_value(request(item(1).to_string())).unwrap();
    let answered = handle(&context, &request, Invocation { id: "i", deadline_ms: NOW_MS + 29_000 });
    let response = tokio::time::timeout(Duration::from_secs(29), answered).await.expect("an answer in time");
    assert_eq!(response.status_code, 503);
}
