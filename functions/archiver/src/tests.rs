use super::*;
use myaku::lake::archive::faults::{Fault, Faulty};
use myaku::lake::archive::{Compression, MemoryHeads, MemoryLake, ObjectKey, Stored, list, read_object};
use myaku::platform::errors::chain;

const PLAIN: &str = include_str!("../../../events/kinesis-archiver.json");
const AGGREGATED: &str = include_str!("../../../events/kinesis-aggregated.json");

fn batch(event: &'static str) -> Batch {
    Batch::from_event(event).unwrap()
}

async fn answer<L: Lake, H: Heads>(lake: L, heads: H, batch: &Batch) -> serde_json::Value {
    let response = handle(&Archiver::new(lake, heads, Compression::default()), batch).await;
    serde_json::to_value(response).unwrap()
}

/// The keys of a stream's objects, with the data of their records.
async fn contents(lake: &MemoryLake, stream: &str) -> Vec<(ObjectKey, Vec<Vec<u8>>)> {
    let mut contents = Vec::new();
    for key in list(lake, stream).await.unwrap() {
        let (_, records) = read_object(lake, &key).await.unwrap();
        contents.push((key, records.into_iter().map(|record| record.data).collect()));
    }
    contents
}

#[tokio::test]
async fn the_records_of_a_batch_are_archived_by_hour_with_the_bytes_that_were_sent() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    let batch = batch(PLAIN);
    assert_eq!(answer(&lake, &heads, &batch).await, serde_json::json!({ "batchItemFailures": [] }));
    let contents = contents(&lake, &batch.stream).await;
    let hours: Vec<_> = contents.iter().map(|(key, data)| (key.of.hour.to_string(), data.len())).collect();
    assert_eq!(hours, [("dt=2026-11-20/hh=23".to_owned(), 3), ("dt=2026-11-21/hh=00".to_owned(), 1)]);
    let data: Vec<_> = contents.into_iter().flat_map(|(_, data)| data).collect();
    let sent: Vec<_> = batch.records.iter().map(|record| record.data.clone()).collect();
    assert_eq!(data, sent);
}

#[tokio::test]
async fn an_aggregate_is_archived_as_the_records_in_it() {
    let lake = MemoryLake::default();
    let batch = batch(AGGREGATED);
    answer(&lake, MemoryHeads::default(), &batch).await;
    let contents = contents(&lake, &batch.stream).await;
    let data: Vec<_> = contents.iter().flat_map(|(_, data)| data).map(|data| String::from_utf8_lossy(data)).collect();
    assert_eq!(data, ["{\"n\":1}", "{\"n\":2}", "not JSON", "{\"n\":3}"]);
}

#[tokio::test]
async fn records_of_log_agents_and_kpl_producers_are_archived_as_they_were_sent() {
    let lake = MemoryLake::default();
    let batch = batch(include_str!("../../../events/kinesis-log-agents.json"));
    answer(&lake, MemoryHeads::default(), &batch).await;
    let data: Vec<_> = contents(&lake, &batch.stream).await.into_iter().flat_map(|(_, data)| data).collect();
    let data: Vec<_> = data.iter().map(|data| String::from_utf8_lossy(data)).collect();
    insta::assert_debug_snapshot!(data, @r#"
    [
        "{\"host\":\"web-1\",\"method\":\"GET\",\"path\":\"/\",\"code\":200}\n",
        "{\"host\":\"web-1\",\"method\":\"GET\",\"path\":\"/a\",\"code\":200}\n",
        "{\"host\":\"web-1\",\"method\":\"GET\",\"path\":\"/b\",\"code\":200}\n",
        "{\"host\":\"web-1\",\"method\":\"GET\",\"path\":\"/c\",\"code\":200}",
        "{\"kwh\":1.5,\"ts\":1795218891001}",
        "{\"kwh\":2.5,\"ts\":1795218891002}",
        "{\"kwh\":3.5,\"ts\":1795218891003}",
    ]
    "#);
}

#[tokio::test]
async fn a_batch_that_is_delivered_again_adds_nothing() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    for event in [PLAIN, AGGREGATED] {
        let batch = batch(event);
        answer(&lake, &heads, &batch).await;
        let before = lake.objects();
        answer(&lake, &heads, &batch).await;
        answer(&lake, MemoryHeads::default(), &batch).await;
        assert_eq!(lake.objects(), before);
    }
}

#[tokio::test]
async fn while_the_lake_is_down_the_answer_is_to_retry_from_the_first_record() {
    let lake = MemoryLake::default();
    let down = Faulty::new(&lake, |_: &str, _: &str| Fault::Refused);
    let batch = batch(PLAIN);
    let first = batch.records[0].sequence.to_string();
    assert_eq!(
        answer(down, MemoryHeads::default(), &batch).await,
        serde_json::json!({ "batchItemFailures": [{ "itemIdentifier": first }] })
    );
    assert!(lake.objects().is_empty());
}

#[tokio::test]
async fn when_the_lake_fails_in_the_middle_the_retry_starts_at_the_first_record_that_is_not_archived() {
    let lake = MemoryLake::default();
    // Only the put of the second hour is refused.
    let failing = |call: &str, key: &str| {
        if call == "put_if_absent" && key.contains("hh=00") { Fault::Refused } else { Fault::None }
    };
    let mut batch = batch(PLAIN);
    let fourth = batch.records[3].sequence.to_string();
    assert_eq!(
        answer(Faulty::new(&lake, failing), MemoryHeads::default(), &batch).await,
        serde_json::json!({ "batchItemFailures": [{ "itemIdentifier": fourth }] })
    );
    assert_eq!(contents(&lake, &batch.stream).await.len(), 1);
    // Lambda delivers again from there.
    let stream = batch.stream.clone();
    batch.records.drain(..3);
    answer(&lake, MemoryHeads::default(), &batch).await;
    let counts: Vec<_> = contents(&lake, &stream).await.into_iter().map(|(_, data)| data.len()).collect();
    assert_eq!(counts, [3, 1]);
}

#[tokio::test]
async fn heads_that_cannot_be_read_or_written_do_not_fail_a_batch() {
    let lake = MemoryLake::default();
    let down = Faulty::new(MemoryHeads::default(), |_: &str, _: &str| Fault::Refused);
    assert_eq!(answer(&lake, &down, &batch(PLAIN)).await, serde_json::json!({ "batchItemFailures": [] }));
    assert_eq!(answer(&lake, &down, &batch(PLAIN)).await, serde_json::json!({ "batchItemFailures": [] }));
    let counts: Vec<_> = contents(&lake, &batch(PLAIN).stream).await.into_iter().map(|(_, data)| data.len()).collect();
    assert_eq!(counts, [3, 1]);
}

#[tokio::test]
async fn another_writers_object_in_a_slot_stops_the_batch_and_stays_unchanged() {
    let lake = MemoryLake::default();
    let batch = batch(AGGREGATED);
    answer(&lake, MemoryHeads::default(), &batch).await;
    let (key, _) = contents(&lake, &batch.stream).await.remove(0);
    lake.overwrite(&key.to_string(), Stored::default());
    let before = lake.objects();
    let archived = Archiver::new(&lake, MemoryHeads::default(), Compression::default()).archive(&batch).await;
    let stopped = archived.stopped.unwrap();
    assert_eq!(stopped.record, 0);
    let error = chain(&stopped.error);
    assert_eq!(error, format!("{key} is not an object of the archiver: its metadata have no `first`"));
    assert_eq!(lake.objects(), before);
}

#[tokio::test]
async fn an_empty_batch_is_done() {
    let lake = MemoryLake::default();
    let nothing = batch(r#"{"Records":[]}"#);
    assert_eq!(answer(&lake, MemoryHeads::default(), &nothing).await, serde_json::json!({ "batchItemFailures": [] }));
    assert!(lake.objects().is_empty());
}
