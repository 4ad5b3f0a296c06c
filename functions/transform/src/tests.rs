use super::*;
use myaku::device::presence::watch::Watch as _;
use myaku::device::presence::watch::memory::MemoryWatch;
use myaku::device::reading::{Reading, Value};
use myaku::device::registry::{DEFAULT_TTL, Device, Key, Kind, MemoryMasterData};
use myaku::ingest::message::Message;
use myaku::lake::dead_letter::{DeadLetter, MemoryDeadLetters, Reason};
use myaku::platform::clock::ManualClock;
use myaku::platform::deadline::MARGIN;
use myaku::platform::errors::Remedy;
use myaku::stream::batch::StreamRecord;
use myaku::stream::kpl;
use myaku::stream::producer::memory::{Fault, MemoryStream};
use std::marker::PhantomData;
use std::time::Duration;

mod right;

const NOW_MS: i64 = 1_795_218_893_000;
const DEADLINE_MS: i64 = NOW_MS + 60_000;
const VITAL: &str = r#"{"id":"vital","metrics":{"heart_rate":{"unit":"1/min","range":{"min":20,"max":250}}},
    "versions":[{"name":"1","format":"json","identity":["seq"],"time":{"from":"ts","unit":"ms"},
                 "fields":[{"metric":"heart_rate","from":"hr"}]}]}"#;
const LINES: &str = r#"{"id":"lines","expectedIntervalSeconds":60,"versions":[{"name":"1","format":"text"}]}"#;

/// The ports of a test, with `L` for letters, `W` for the watch and `N` for the clock.
struct InMemory<L = MemoryDeadLetters, W = MemoryWatch, N = ManualClock>(PhantomData<(L, W, N)>);

impl<L: DeadLetterStore, W: Hears, N: Now> Ports for InMemory<L, W, N> {
    type MasterData = MemoryMasterData;
    type Stream = MemoryStream;
    type Letters = L;
    type Watch = W;
    type Clock = N;
}

type Fixture = Context<InMemory>;

/// Two known beds, a source of lines, and a device with each kind of problem.
fn master_data() -> MemoryMasterData {
    let store = MemoryMasterData::new();
    let devices =
        [("bed-17", "vital"), ("bed-18", "vital"), ("app-log", "lines"), ("lost", "nowhere"), ("torn", "broken")];
    for (id, profile) in devices {
        store.put_device(&Device::new(id, profile, Some("home-3")));
    }
    store.put_document(Key::new(Kind::Device, "garbled"), "{}");
    store.put_document(Key::new(Kind::Profile, "vital"), VITAL);
    store.put_document(Key::new(Kind::Profile, "lines"), LINES);
    store.put_document(Key::new(Kind::Profile, "broken"), r#"{"id":"broken","versions":[]}"#);
    store
}

fn fixture_with(limits: Limits) -> Fixture {
    Context {
        registry: Registry::new(master_data(), ManualClock::at(NOW_MS), DEFAULT_TTL),
        readings: Producer::seeded(MemoryStream::new(2), Placement::Slots, limits, 1),
        letters: MemoryDeadLetters::new(),
        watch: MemoryWatch::default(),
        clock: ManualClock::at(NOW_MS),
    }
}

fn fixture() -> Fixture {
    fixture_with(Limits { backoff_min: Duration::from_millis(1), ..Limits::default() })
}

fn message(device: &str, payload: &str) -> Vec<u8> {
    let message = Message {
        delivery_id: "7d0c".to_owned(),
        device_id: device.to_owned(),
        facility: "home-3".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: NOW_MS - 1_100,
        payload: payload.as_bytes().to_vec(),
        message_id: None,
        sender: None,
    };
    message.to_json().into_bytes()
}

fn beat(device: &str, n: usize) -> Vec<u8> {
    message(device, &format!(r#"{{"seq":{n},"ts":{},"hr":{}}}"#, NOW_MS - 2_000, 60 + n % 100))
}

/// A batch of one shard, with sequence numbers from 100.
fn batch(records: impl IntoIterator<Item = Vec<u8>>) -> Batch {
    let record = |(n, data): (usize, Vec<u8>)| StreamRecord {
        sequence: (100 + n).to_string().parse().unwrap(),
        partition_key: format!("key-{n}").into(),
        arrived_ms: NOW_MS - 1_000,
        data: data.into(),
    };
    Batch {
        stream: "ingest-1".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        records: records.into_iter().enumerate().map(record).collect(),
    }
}

/// The sequence number that an answer names.
fn retry_from(answer: &Answer) -> Option<String> {
    answer.retry_from().map(|sequence| sequence.to_string())
}

/// What is on the stream of readings, with the partition keys of the items.
fn put(context: &Fixture) -> Vec<(String, Reading)> {
    let records = context.readings.port().records();
    let mut readings = Vec::new();
    for (_, entry) in &records {
        match kpl::decode(&entry.data) {
            Some(aggregate) => {
                let items =
                    aggregate.records().map(|(key, _, data)| (key.to_owned(), serde_json::from_slice(data).unwrap()));
                readings.extend(items);
            }
            None => readings.push((entry.partition_key.clone(), serde_json::from_slice(&entry.data).unwrap())),
        }
    }
    readings
}

fn reasons(context: &Fixture) -> Vec<(String, Reason)> {
    let mut letters = context.letters.letters();
    letters.sort_by_key(|letter| letter.position);
    letters.iter().map(|letter| (format!("{:?}", letter.position), letter.reason)).collect()
}

#[tokio::test]
async fn readings_have_the_id_of_their_device_as_partition_key() {
    let context = fixture();
    let batch = batch([beat("bed-17", 1), beat("bed-18", 2), beat("bed-17", 3)]);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    let put = put(&context);
    assert_eq!(put.len(), 3);
    assert!(put.iter().all(|(key, reading)| *key == reading.device_id && reading.metric == "heart_rate"));
    let of_bed_17: Vec<_> = put.iter().filter(|(key, _)| key == "bed-17").map(|(_, reading)| &reading.value).collect();
    assert_eq!(of_bed_17, [&Value::Number(61.0), &Value::Number(63.0)], "in the order of the stream");
    assert_eq!(context.letters.letters(), []);
}

#[tokio::test]
async fn each_bad_record_becomes_a_letter_and_the_good_ones_become_readings() {
    let context = fixture();
    let records = [
        beat("bed-17", 1),
        b"not a message".to_vec(),
        beat("bed-99", 2),
        beat("garbled", 3),
        beat("lost", 4),
        beat("torn", 5),
        message("bed-17", "{"),
        message("bed-17", r#"{"seq":7,"ts":1795218891000,"hr":900}"#),
        message("bed-17", r#"{"seq":8,"ts":1795218891000}"#),
        beat("bed-18", 9),
    ];
    let batch = batch(records.clone());
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(put(&context).len(), 2);
    let expected = [
        Reason::NotAMessage,
        Reason::UnknownDevice,
        Reason::InvalidDevice,
        Reason::UnknownProfile,
        Reason::InvalidProfile,
        Reason::Undecodable,
        Reason::OutOfRange,
        Reason::MissingField,
    ];
    let expected: Vec<_> = (101..).zip(expected).map(|(n, reason)| (format!("{n}.0"), reason)).collect();
    assert_eq!(reasons(&context), expected);
    for letter in context.letters.letters() {
        let n: usize = letter.position.sequence.to_string().parse().unwrap();
        assert_eq!(letter.data, records[n - 100]);
        assert_eq!(letter.partition_key, format!("key-{}", n - 100));
        assert_eq!(letter.device_id.is_none(), letter.reason == Reason::NotAMessage);
        assert_eq!((letter.stream.as_str(), letter.arrived_ms), ("ingest-1", NOW_MS - 1_000));
    }
}

#[tokio::test]
async fn records_of_a_source_that_is_registered_as_text_make_no_letters() {
    let context = fixture();
    let mut batch = batch([b"GET /".to_vec(), b"GET /".to_vec()]);
    batch.records[0].partition_key = "app-log:1".into();
    batch.records[1].partition_key = "other-log:1".into();
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(reasons(&context), [("101.0".to_owned(), Reason::NotAMessage)]);
    assert_eq!(put(&context), []);
}

#[tokio::test]
async fn a_letter_names_the_position_of_its_record_in_an_aggregate() {
    let context = fixture();
    let (one, bad, two) = (beat("bed-17", 1), beat("bed-99", 2), beat("bed-18", 3));
    let aggregate = kpl::encode([("a", one.as_slice()), ("b", bad.as_slice()), ("c", two.as_slice())]);
    let batch = batch([beat("bed-17", 0), aggregate]);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(put(&context).len(), 3);
    let letters = context.letters.letters();
    let [DeadLetter { position, partition_key, data, .. }] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((format!("{position:?}").as_str(), partition_key.as_str(), data), ("101.1", "b", &bad));
}

/// Lines as the Fluentd plugin writes them (one of its aggregates has another key before the records' keys), as Fluent
/// Bit writes them with random keys, and records of the KPL with explicit hash keys, in an aggregate and alone.
const LOG_AGENTS: &str = include_str!("../../../events/kinesis-log-agents.json");
const METER: &str = r#"{"id":"meter","metrics":{"energy":{"unit":"kWh"}},"versions":[{"name":"1","format":"json",
    "time":{"from":"ts","unit":"ms"},"fields":[{"metric":"energy","from":"kwh"}]}]}"#;

#[tokio::test]
async fn the_profile_of_a_source_decides_whether_its_records_become_readings() {
    let store = MemoryMasterData::new();
    for (id, profile) in [("nginx", "lines"), (myaku::ingest::message::UNNAMED_SOURCE, "lines"), ("meter", "meter")] {
        store.put_device(&Device::new(id, profile, None));
    }
    store.put_document(Key::new(Kind::Profile, "lines"), LINES);
    store.put_document(Key::new(Kind::Profile, "meter"), METER);
    let registry = Registry::new(store, ManualClock::at(NOW_MS), DEFAULT_TTL);
    let context = Context { registry, ..fixture() };
    let batch = Batch::from_event(LOG_AGENTS).unwrap();
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(context.letters.letters(), []);
    let mut values: Vec<_> =
        put(&context).into_iter().map(|(_, reading)| (reading.device_id, reading.value, reading.at)).collect();
    values.sort_by_key(|(_, _, at)| *at);
    let energy = |kwh, at| ("meter".to_owned(), Value::Number(kwh), at);
    assert_eq!(
        values,
        [energy(1.5, 1_795_218_891_001), energy(2.5, 1_795_218_891_002), energy(3.5, 1_795_218_891_003)]
    );

    let unregistered = fixture();
    assert_eq!(retry_from(&handle(&unregistered, &batch, DEADLINE_MS).await), None);
    let letters = unregistered.letters.letters();
    assert_eq!(letters.len(), 7, "each record of each aggregate");
    assert!(letters.iter().all(|letter| letter.reason == Reason::NotAMessage));
}

#[tokio::test]
async fn a_registry_that_is_down_means_retry_from_the_first_record_with_nothing_done() {
    let context = fixture();
    let batch = batch([b"not a message".to_vec(), beat("bed-17", 1)]);
    context.registry.store().fail(Remedy::SlowDown);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await).as_deref(), Some("100"));
    assert_eq!((put(&context).len(), context.letters.puts()), (0, 0));

    context.registry.store().recover();
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!((put(&context).len(), context.letters.letters().len()), (1, 1));
}

#[tokio::test]
async fn a_registry_that_hangs_does_not_delay_the_answer_past_the_deadline() {
    let context = fixture();
    context.registry.store().hang();
    let deadline_ms = NOW_MS + MARGIN.as_millis() as i64 + 20;
    assert_eq!(retry_from(&handle(&context, &batch([beat("bed-17", 1)]), deadline_ms).await).as_deref(), Some("100"));
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_means_retry_from_its_record() {
    let context = fixture();
    let batch = batch([beat("bed-17", 1), b"bad".to_vec(), beat("bed-17", 2), b"bad".to_vec(), beat("bed-17", 3)]);
    context.letters.refuse("00103.", Remedy::SlowDown);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await).as_deref(), Some("103"));

    context.letters.recover();
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(context.letters.letters().len(), 2, "the letter that was already written is overwritten");
}

#[tokio::test]
async fn a_stream_that_is_down_means_retry_from_the_first_record_with_readings() {
    let context = fixture();
    context.readings.port().inject([Fault::Denied]);
    let batch = batch([b"bad".to_vec(), beat("bed-17", 1), b"bad".to_vec()]);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await).as_deref(), Some("101"));
    assert_eq!(put(&context), []);
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(put(&context).len(), 1);
}

#[tokio::test]
async fn a_throttled_stream_is_tried_again_within_the_invocation() {
    let context = fixture();
    context.readings.port().inject([Fault::ThrottleHalf, Fault::Unavailable, Fault::ThrottleHalf]);
    let batch = batch((0..20).map(|n| beat(["bed-17", "bed-18"][n % 2], n)));
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(put(&context).len(), 20);
}

#[tokio::test]
async fn readings_that_were_refused_for_good_mean_retry_from_the_lowest_of_their_records() {
    // No retries, and small aggregates: every second record of the first call is refused.
    let context = fixture_with(Limits { aggregate_bytes_max: 300, patience: Duration::ZERO, ..Limits::default() });
    context.readings.port().inject([Fault::ThrottleHalf]);
    let batch = batch((0..20).map(|n| beat(["bed-17", "bed-18"][n % 2], n)));
    let response = handle(&context, &batch, DEADLINE_MS).await;
    let from: usize = retry_from(&response).unwrap().parse().unwrap();
    // All readings before the named record are on the stream, and its own reading is not.
    let values: Vec<_> = put(&context).into_iter().map(|(_, reading)| reading.value).collect();
    for n in 0..from - 100 {
        assert!(values.contains(&Value::Number(60.0 + n as f64)), "reading {n} is missing before {from}");
    }
    assert!(!values.contains(&Value::Number(60.0 + (from - 100) as f64)));

    handle(&context, &batch, DEADLINE_MS).await;
    let ids: std::collections::BTreeSet<_> = put(&context).into_iter().map(|(_, reading)| reading.id).collect();
    assert_eq!(ids.len(), 20, "a redelivery makes the same readings");
}

#[tokio::test]
async fn no_work_starts_when_the_time_is_over() {
    let context = fixture();
    let batch = batch([beat("bed-17", 1), b"bad".to_vec()]);
    assert_eq!(retry_from(&handle(&context, &batch, NOW_MS + 500).await).as_deref(), Some("100"));
    assert_eq!((put(&context).len(), context.letters.puts()), (0, 0));
}

/// A slow store: the first letter takes the invocation's whole time.
struct Slow<'a>(&'a ManualClock, MemoryDeadLetters);

impl DeadLetterStore for Slow<'_> {
    async fn put(&self, letter: &DeadLetter) -> Result<(), RemoteError> {
        self.0.set(DEADLINE_MS);
        self.1.put(letter).await
    }
}

type SlowPorts<'a> = InMemory<Slow<'a>, Option<MemoryWatch>, &'a ManualClock>;

#[tokio::test]
async fn a_batch_that_runs_out_of_time_keeps_the_chunks_that_are_done() {
    let clock = ManualClock::at(NOW_MS);
    let registry = Registry::new(master_data(), &clock, DEFAULT_TTL);
    let readings = fixture().readings;
    let letters = Slow(&clock, MemoryDeadLetters::new());
    let context = Context::<SlowPorts<'_>> { registry, readings, letters, watch: None, clock: &clock };
    // An aggregate crosses the end of the first chunk: its letters wait for the second one.
    let two = [b"bad".as_slice(); 2].map(|data| ("k", data));
    let mut records = vec![b"bad".to_vec(); CHUNK + 500];
    records[CHUNK - 1] = kpl::encode(two);
    let response = handle(&context, &batch(records), DEADLINE_MS).await;
    assert_eq!(retry_from(&response), Some((100 + CHUNK - 1).to_string()));
    assert_eq!(context.letters.1.letters().len(), CHUNK - 1);
}

#[tokio::test]
async fn the_watch_learns_of_each_heard_device_with_an_expected_interval() {
    let context = fixture();
    let mut old = Message::parse(&message("app-log", "old")).unwrap();
    old.received_at = NOW_MS - 16 * 60_000;
    let records = [message("app-log", "a line"), old.to_json().into_bytes(), beat("bed-17", 1), message("ghost", "?")];
    handle(&context, &batch(records), DEADLINE_MS).await;
    let expected = context.watch.expected(&["app-log", "bed-17", "ghost"]).await.unwrap();
    assert_eq!(expected, [Some(NOW_MS + 60_000), None, None]);

    // A message that is sent again from the lake does not show that its device is alive now.
    let context = fixture();
    handle(&context, &batch([old.to_json().into_bytes()]), DEADLINE_MS).await;
    assert_eq!(context.watch.expected(&["app-log"]).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_watch_that_is_down_does_not_fail_the_batch() {
    let context = fixture();
    context.watch.set_down(true);
    assert_eq!(
        retry_from(&handle(&context, &batch([beat("bed-17", 1), message("app-log", "x")]), DEADLINE_MS).await),
        None
    );
    assert_eq!(put(&context).len(), 1);
}

#[tokio::test]
async fn an_empty_batch_is_done() {
    let context = fixture();
    context.registry.store().fail(Remedy::Retry);
    assert_eq!(retry_from(&handle(&context, &batch([]), 0).await), None);
}

#[tokio::test]
async fn the_sample_event_is_transformed() {
    let context = fixture();
    let batch = Batch::from_event(include_str!("../../../events/kinesis-transform.json")).unwrap();
    let response = handle(&context, &batch, DEADLINE_MS).await;
    assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"batchItemFailures":[]}"#);
    let mut readings: Vec<_> =
        put(&context).iter().map(|(_, reading)| serde_json::to_string(reading).unwrap()).collect();
    readings.sort();
    insta::assert_snapshot!(readings.join("\n"), @r#"
    {"id":"bed-17/p1@1795218891001#0","deviceId":"bed-17","facility":"home-3","metric":"heart_rate","value":71.0,"unit":"1/min","at":1795218891001,"clock":"device","receivedAt":1795218891901,"quality":"good"}
    {"id":"bed-17/p2@1795218891002#0","deviceId":"bed-17","facility":"home-3","metric":"heart_rate","value":72.0,"unit":"1/min","at":1795218891002,"clock":"device","receivedAt":1795218891902,"quality":"good"}
    {"id":"bed-18/p3@1795218891003#0","deviceId":"bed-18","facility":"home-3","metric":"heart_rate","value":64.0,"unit":"1/min","at":1795218891003,"clock":"device","receivedAt":1795218891903,"quality":"good"}
    "#);
    let letters: Vec<_> = context.letters.letters().iter().map(DeadLetter::key).collect();
    insta::assert_snapshot!(letters.join("\n"), @r"
    dead-letters/reason=not-a-message/stream=myaku-IngestStream-8Zk2/dt=2026-11-20/hh=23/shardId-000000000000/49671138493215768283719428811032478193270521367459479554.0000000000.json
    dead-letters/reason=out-of-range/stream=myaku-IngestStream-8Zk2/dt=2026-11-20/hh=23/shardId-000000000000/49671138493215768283719428811032478193270521367459545090.0000000000.json
    dead-letters/reason=unknown-device/stream=myaku-IngestStream-8Zk2/dt=2026-11-20/hh=23/shardId-000000000000/49671138493215768283719428811032478193270521367459348482.0000000002.json
    ");
}

#[tokio::test]
async fn a_bad_record_of_any_kind_does_not_affect_the_others() {
    let context = fixture();
    let batch = Batch::from_event(include_str!("../../../events/kinesis-transform-bad.json")).unwrap();
    assert_eq!(retry_from(&handle(&context, &batch, DEADLINE_MS).await), None);
    assert_eq!(put(&context).len(), 1, "the last record is good");
    let mut letters = context.letters.letters();
    letters.sort_by_key(|letter| letter.position);
    let reported: Vec<_> = letters.iter().map(|letter| format!("{}: {}", letter.reason, letter.detail)).collect();
    insta::assert_snapshot!(reported.join("\n"), @r"
    not-a-message: the record is not a message: it is not JSON: EOF while parsing a value at line 1 column 0
    not-a-message: the record is not a message: it is not JSON: EOF while parsing an object at line 1 column 1
    not-a-message: the record is not a message: it is not JSON: expected value at line 1 column 1
    not-a-message: the record is not a message: it is not JSON: expected value at line 1 column 1
    not-a-message: the record is not a message: it is not JSON: expected value at line 1 column 1
    too-large: deviceId: it has 10000 bytes; the limit is 128
    not-a-message: deviceId: it has a control character
    time-beyond-belief: receivedAt: -1 is not from 0 to 253402300799999 milliseconds since the epoch
    not-a-message: payload: it is not base64
    not-a-number: heart_rate (value 0): it is a word that is not JSON, not a number
    not-a-number: heart_rate (value 0): it is a text, and the profile does not allow numbers as text
    missing-field: heart_rate (value 0): it is missing
    out-of-range: heart_rate (value 0): it is 100000 1/min, above 250
    ");
    // An empty payload, which deletes a retained message, says nothing.
    let with_letters = batch.records.iter().enumerate().filter(|(index, _)| *index != 9);
    for (letter, (_, record)) in letters.iter().zip(with_letters) {
        assert_eq!(letter.data, record.data, "every other record but the last has a letter with its bytes");
    }
}
