use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use myaku::lake::dead_letter::{MemoryDeadLetters, Reason};
use myaku::platform::clock::ManualClock;
use myaku::platform::deadline::MARGIN;
use myaku::platform::errors::Remedy;
use myaku::stream::kpl;
use myaku::stream::producer::memory::{Fault, MemoryStream};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_893_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;
/// One batch in each form, as the rule sends it.
const FORMS: [(&str, &str); 6] = [
    ("array", include_str!("../../../events/iot-gateway-array.json")),
    ("lines", include_str!("../../../events/iot-gateway-lines.json")),
    ("cbor", include_str!("../../../events/iot-gateway-cbor.json")),
    ("array, gzip", include_str!("../../../events/iot-gateway-array-gzip.json")),
    ("lines, gzip", include_str!("../../../events/iot-gateway-lines-gzip.json")),
    ("cbor, gzip", include_str!("../../../events/iot-gateway-cbor-gzip.json")),
];
const BAD_ITEMS: &str = include_str!("../../../events/iot-gateway-bad-items.json");
const OLDER_SQL: &str = include_str!("../../../events/iot-gateway-older-sql.json");

struct InMemory;

impl Ports for InMemory {
    type Stream = MemoryStream;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

type Fixture = Context<InMemory>;

fn fixture() -> Fixture {
    fixture_with(Limits::default())
}

fn fixture_with(limits: Limits) -> Fixture {
    Context {
        messages: Producer::seeded(MemoryStream::new(4), Placement::Shards, limits, 1),
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(NOW_MS),
    }
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// An event whose gateway sent `payload`.
fn batch(payload: &str) -> Value {
    json!({"gateway": "hub-3", "facility": "home-3", "receivedAt": NOW_MS - 980, "payload": event(payload)})
}

async fn run(context: &Fixture, event: &Value) -> Result<IngestReport, IngestError> {
    handle(context, event, DEADLINE_MS).await
}

/// The messages on the stream.
fn put_messages(context: &Fixture) -> Vec<Message> {
    let records = context.messages.port().records();
    let parse = |data: &[u8]| Message::parse(data).unwrap();
    records
        .iter()
        .flat_map(|(_, entry)| match kpl::decode(&entry.data) {
            Some(aggregate) => aggregate.records().map(|(_, _, data)| parse(data)).collect(),
            None => vec![parse(&entry.data)],
        })
        .collect()
}

fn delivery_ids(context: &Fixture) -> BTreeSet<String> {
    put_messages(context).into_iter().map(|message| message.delivery_id).collect()
}

#[tokio::test]
async fn a_batch_in_each_form_becomes_the_same_messages_in_one_record() {
    for (form, text) in FORMS {
        let context = fixture();
        assert_eq!(run(&context, &event(text)).await.unwrap(), IngestReport { messages: 3, dead_letters: 0 }, "{form}");
        assert_eq!(context.messages.port().records().len(), 1, "{form}");
        assert_eq!(context.letters.puts(), 0, "{form}");
        let messages = put_messages(&context);
        let fields: Vec<_> = messages
            .iter()
            .map(|message| (message.device_id.as_str(), message.kind.as_str(), message.message_id.as_deref()))
            .collect();
        assert_eq!(fields, [("bed-17", "vital", None), ("bed-18", "vital", Some("4711")), ("room-3", "room", None)]);
        for message in &messages {
            assert_eq!((message.facility.as_str(), message.client_id.as_deref()), ("home-3", Some("hub-3")));
            assert_eq!(message.received_at, 1_795_218_892_020, "the time is the rule's, not the function's");
        }
        assert_eq!(messages[2].payload, [1, 2, 3, 255]);
        if form.starts_with("cbor") {
            let payload: ciborium::Value = ciborium::from_reader(messages[0].payload.as_slice()).unwrap();
            assert!(payload.is_map());
        } else {
            assert_eq!(messages[0].payload, br#"{"seq":1,"ts":1795218891001,"hr":71}"#);
        }
    }
}

#[tokio::test]
async fn a_retry_by_lambda_and_a_second_delivery_by_mqtt_give_the_same_ids() {
    let context = fixture();
    let first = event(FORMS[0].1);
    run(&context, &first).await.unwrap();
    let ids = delivery_ids(&context);
    assert_eq!(ids.len(), 3);

    run(&context, &first).await.unwrap();
    let mut again = first.clone();
    again["deliveryId"] = json!("another-run-of-the-rule");
    again["receivedAt"] = json!(1_795_218_899_999_i64);
    run(&context, &again).await.unwrap();
    assert_eq!((put_messages(&context).len(), delivery_ids(&context)), (9, ids));
}

#[tokio::test]
async fn one_letter_names_the_wrong_items_and_the_others_become_messages() {
    let context = fixture();
    let event = event(BAD_ITEMS);
    assert_eq!(run(&context, &event).await.unwrap(), IngestReport { messages: 2, dead_letters: 1 });
    let devices: Vec<_> =
        put_messages(&context).into_iter().map(|message| (message.device_id, message.payload)).collect();
    assert_eq!(devices, [("bed-17".to_owned(), br#"{"hr":1}"#.to_vec()), ("bed-18".to_owned(), b"\"last\"".to_vec())]);
    let letter = context.letters.letters().remove(0);
    assert_eq!(letter.reason, Reason::NotAMessage);
    assert_eq!(
        serde_json::from_slice::<Value>(&letter.data).unwrap(),
        event,
        "the function can be invoked with it again"
    );
    insta::assert_snapshot!(letter.detail.replace("; ", "\n"), @r"
    item 1, deviceId: it has a control character or one of `/`, `+` and `#`, which a topic level cannot have
    item 2, deviceId: it is missing
    item 3, facility: it is not the gateway's facility
    item 4, payload: it is missing
    item 5, payloadBase64: it is not base64
    item 6, messageID: unknown field `messageID`, expected one of `deviceId`, `facility`, `kind`, `messageId`, `payload`, `payloadBase64`, `sequence` at line 1 column 47
    item 7, deviceId: it is not a string
    item 8: it is not a JSON object
    ");

    run(&context, &event).await.unwrap();
    assert_eq!(context.letters.letters().len(), 1, "the same event leaves one letter");
}

#[tokio::test]
async fn an_event_that_cannot_be_split_becomes_a_dead_letter_as_a_whole() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 9_000_000]).unwrap();
    let bomb = STANDARD.encode(bomb.finish().unwrap());
    assert!(bomb.len() < 128 * 1024, "AWS IoT accepts it");
    for (event, reason) in [
        (json!({"gateway": "hub-3", "facility": "home-3", "payload": ""}), Reason::Undecodable),
        (json!({"gateway": "hub-3", "facility": "home-3", "payload": "aGVsbG8="}), Reason::Undecodable),
        (json!({"gateway": "hub-3", "facility": "home-3", "payload": "//79"}), Reason::Undecodable),
        (json!({"gateway": "hub-3", "facility": "home-3", "payload": bomb}), Reason::TooLarge),
        (json!({"gateway": "hub-3", "payload": "W10="}), Reason::NotAMessage),
        (json!({"state": {"reported": {}}}), Reason::NotAMessage),
        (json!("text"), Reason::NotAMessage),
        (Value::Null, Reason::NotAMessage),
    ] {
        let context = fixture();
        assert_eq!(run(&context, &event).await.unwrap(), IngestReport { messages: 0, dead_letters: 1 });
        let letter = context.letters.letters().remove(0);
        assert_eq!(letter.reason, reason, "{event}");
        assert_eq!(letter.data, event.to_string().into_bytes());
        assert_eq!(put_messages(&context), []);
    }
}

#[tokio::test]
async fn an_event_of_a_rule_with_older_sql_gets_the_current_time() {
    let context = fixture();
    assert_eq!(run(&context, &event(OLDER_SQL)).await.unwrap().messages, 3);
    assert!(put_messages(&context).iter().all(|message| message.received_at == NOW_MS && message.client_id.is_none()));
}

#[tokio::test]
async fn an_empty_batch_is_done() {
    let context = fixture();
    assert_eq!(run(&context, &batch("[]")).await.unwrap(), IngestReport { messages: 0, dead_letters: 0 });
    assert_eq!((context.messages.port().calls(), context.letters.puts()), (0, 0));
}

#[tokio::test]
async fn after_a_lost_answer_the_invocation_puts_the_same_ids_again() {
    let context = fixture();
    context.messages.port().inject([Fault::AnswerLost]);
    assert_eq!(run(&context, &event(FORMS[0].1)).await.unwrap().messages, 3);
    assert_eq!((put_messages(&context).len(), delivery_ids(&context).len()), (6, 3));
}

#[tokio::test]
async fn refused_messages_fail_the_invocation_and_a_retry_puts_the_rest() {
    // No retries, and one message in each record: every second one of the first call is refused.
    let limits = Limits { aggregate_bytes_max: 300, patience: Duration::ZERO, ..Limits::default() };
    let context = fixture_with(limits);
    context.messages.port().inject([Fault::ThrottleHalf]);
    let items: Vec<_> =
        (0..400).map(|n| json!({"deviceId": "bed-17", "kind": "k", "payload": "x".repeat(300 + n)})).collect();
    let batch = batch(&Value::from(items).to_string());
    let error = run(&context, &batch).await.unwrap_err();
    assert!(matches!(&error, IngestError::NotPut(refused) if refused.source.remedy == Remedy::SlowDown), "{error}");
    let before = put_messages(&context).len();
    assert!(before > 0 && before < 400, "{before}");

    assert_eq!(run(&context, &batch).await.unwrap().messages, 400);
    assert_eq!(delivery_ids(&context).len(), 400, "a message that was put twice has the same id");
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_fails_the_invocation_and_does_not_hold_back_messages() {
    let context = fixture();
    context.letters.refuse("", Remedy::Retry);
    assert!(matches!(run(&context, &event(BAD_ITEMS)).await, Err(IngestError::NotWritten(_))));
    assert_eq!(put_messages(&context).len(), 2);
    context.letters.recover();
    run(&context, &event(BAD_ITEMS)).await.unwrap();
    assert_eq!((context.letters.letters().len(), delivery_ids(&context).len()), (1, 2));
}

#[tokio::test]
async fn an_invocation_answers_before_its_time_is_over() {
    let context = fixture();
    context.letters.hang();
    let deadline_ms = NOW_MS + MARGIN.as_millis() as i64 + 20;
    assert!(matches!(handle(&context, &event(BAD_ITEMS), deadline_ms).await, Err(IngestError::OutOfTime)));
}
