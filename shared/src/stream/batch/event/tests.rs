use super::*;
use crate::platform::errors::chain;
use crate::stream::kpl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

const SHARD: &str = "shardId-000000000006";

fn record(sequence: &str, arrived: &str, data: &[u8]) -> Value {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "key",
            "sequenceNumber": sequence,
            "data": STANDARD.encode(data),
            "approximateArrivalTimestamp": serde_json::from_str::<Value>(arrived).unwrap(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{SHARD}:{sequence}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/ingest",
    })
}

fn read(records: &[Value]) -> Result<Batch, String> {
    Batch::from_event(json!({ "Records": records }).to_string()).map_err(|error| chain(&error))
}

/// `records` as Lambda writes them, with its order of members.
fn as_lambda_writes(records: &[Value]) -> String {
    let records: Vec<_> = records.iter().map(|record| {
        let kinesis = &record["kinesis"];
        format!(
            r#"{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":{},"sequenceNumber":{},"data":{},"approximateArrivalTimestamp":{}}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":{},"eventName":"aws:kinesis:record","invokeIdentityArn":{},"awsRegion":"eu-west-1","eventSourceARN":{}}}"#,
            kinesis["partitionKey"], kinesis["sequenceNumber"], kinesis["data"], kinesis["approximateArrivalTimestamp"],
            record["eventID"], record["invokeIdentityArn"], record["eventSourceARN"],
        )
    }).collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

#[test]
fn arrival_is_in_milliseconds_also_where_trailing_zeros_were_dropped_or_a_double_is_not_exact() {
    for (text, ms) in [
        ("1545084650.987", 1_545_084_650_987),
        ("1545084650.9", 1_545_084_650_900),
        ("1545084650.98", 1_545_084_650_980),
        ("1545084650", 1_545_084_650_000),
        ("1545084650.0", 1_545_084_650_000),
        ("1545084650.9999999", 1_545_084_651_000),
        ("1545084650.001", 1_545_084_650_001),
        ("1.545084650987E9", 1_545_084_650_987),
        ("0", 0),
    ] {
        assert_eq!(read(&[record("1", text, b"")]).unwrap().records[0].arrived_ms, ms, "{text}");
    }
}

proptest! {
    #[test]
    fn every_millisecond_of_this_century_reads_back(ms in 946_684_800_000..4_102_444_800_000_i64) {
        let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
        prop_assert_eq!(read(&[record("1", &text, b"")]).unwrap().records[0].arrived_ms, ms);
        let short = text.trim_end_matches('0').trim_end_matches('.');
        prop_assert_eq!(read(&[record("1", short, b"")]).unwrap().records[0].arrived_ms, ms);
    }
}

#[test]
fn an_error_names_a_record_without_a_valid_time() {
    for bad in ["-1", "1e300"] {
        let error = read(&[record("1", bad, b"")]).unwrap_err();
        assert!(error.contains("Records[0]: approximateArrivalTimestamp"), "{error}");
    }
}

#[test]
fn escaped_texts_are_read() {
    let mut escaped = record("1", "1", b"\xFF\xFE?>");
    escaped["kinesis"]["partitionKey"] = json!("a \"key\"\n脈");
    let text = json!({ "Records": [escaped] }).to_string().replace('/', "\\/");
    let batch = Batch::from_event(text).unwrap();
    assert_eq!(batch.records[0].partition_key, "a \"key\"\n脈");
    assert_eq!(batch.records[0].data, &b"\xFF\xFE?>"[..]);
    assert_eq!(batch.stream, "ingest");
}

#[test]
fn an_escape_in_a_later_record_only_is_read_too() {
    let text = as_lambda_writes(&[record("1", "1", b"a"), record("2", "1", b"\xFF\xFE?>")]);
    let escaped = text.replace("//4/Pg==", "\\/\\/4\\/Pg==");
    assert_ne!(escaped, text);
    assert_eq!(Batch::from_event(escaped).unwrap(), Batch::from_event(text).unwrap());
}

#[test]
fn memory_that_another_handle_shares_does_not_change() {
    let event = Bytes::from(as_lambda_writes(&[record("1", "1.5", b"x"), record("2", "2.5", b"")]));
    let before = event.to_vec();
    let batch = Batch::from_event(event.clone()).unwrap();
    assert_eq!(event, before);
    assert_eq!(Batch::from_event(before).unwrap(), batch);
}

#[test]
fn a_consumers_arn_names_the_stream_too() {
    let mut consumer = record("1", "1", b"");
    consumer["eventSourceARN"] =
        json!("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/ingest/consumer/readers:1545084650");
    let batch = read(&[consumer]).unwrap();
    assert_eq!((batch.stream.as_str(), batch.shard.as_str()), ("ingest", SHARD));
}

#[test]
fn a_record_of_another_shard_or_stream_is_an_error_that_names_it() {
    let mut other = record("2", "1", b"");
    other["eventID"] = json!("shardId-000000000007:2");
    let error = read(&[record("1", "1", b""), other]).unwrap_err();
    assert!(error.contains("Records[1]: it belongs to another shard"), "{error}");
    let mut other = record("2", "1", b"");
    other["eventSourceARN"] = json!("arn:aws:kinesis:eu-west-1:123456789012:stream/readings");
    assert!(read(&[record("1", "1", b""), other]).unwrap_err().contains("Records[1]"));
}

#[test]
fn sequence_numbers_that_do_not_ascend_are_an_error() {
    assert!(
        read(&[record("0", "1", b"")]).unwrap_err().contains("Records[0]: sequenceNumber"),
        "no sequence number is below 1"
    );
    for second in ["9", "10"] {
        let error = read(&[record("10", "1", b""), record(second, "1", b"")]).unwrap_err();
        assert!(error.contains("Records[1]: sequenceNumber"), "{error}");
    }
}

#[test]
fn an_error_names_what_is_missing_or_not_of_a_kinesis_event() {
    for field in ["partitionKey", "sequenceNumber", "data", "approximateArrivalTimestamp"] {
        let mut without = record("1", "1", b"");
        without["kinesis"].as_object_mut().unwrap().remove(field);
        let error = read(&[without]).unwrap_err();
        assert!(error.contains(field), "{error}");
    }
    for (field, value) in [("eventID", "no shard"), ("eventSourceARN", "arn:aws:sqs:eu-west-1:1:queue")] {
        let mut wrong = record("1", "1", b"");
        wrong[field] = json!(value);
        assert!(read(&[wrong]).unwrap_err().contains(field));
    }
    let mut wrong = record("1", "1", b"");
    wrong["kinesis"]["data"] = json!("?");
    assert!(read(&[wrong]).unwrap_err().contains("data is not base64"));
    assert!(chain(&Batch::from_event("{}").unwrap_err()).contains("Records"));
    assert_eq!(read(&[]).unwrap().records, []);
}

#[test]
fn a_user_record_has_its_index_in_the_aggregate_and_the_record_to_retry_from() {
    let aggregate = kpl::encode([("a", &b"1"[..]), ("b", b"2")]);
    let broken = &aggregate[..aggregate.len() - 1];
    let batch = read(&[
        record("10", "1.5", b"plain"),
        record("11", "2.5", &aggregate),
        record("12", "3.5", broken),
        record("13", "3.5", b""),
    ])
    .unwrap();
    let seen: Vec<_> = batch
        .user_records()
        .map(|user| (user.record, format!("{:?}", user.position()), user.partition_key, user.arrived_ms, user.data))
        .collect();
    assert_eq!(
        seen,
        [
            (0, "10.0".to_owned(), "key", 1_500, &b"plain"[..]),
            (1, "11.0".to_owned(), "a", 2_500, b"1"),
            (1, "11.1".to_owned(), "b", 2_500, b"2"),
            (2, "12.0".to_owned(), "key", 3_500, broken),
            (3, "13.0".to_owned(), "key", 3_500, b""),
        ]
    );
}

#[test]
fn the_scanner_reads_events_as_lambda_writes_them() {
    for events in [1, 2, 50] {
        let records: Vec<_> =
            (1..=events).map(|n| record(&n.to_string(), "1545084650.98", &vec![n as u8; n])).collect();
        let event = as_lambda_writes(&records);
        let scanned = scan::scan(event.as_bytes()).expect("the scanner reads it").decode(event.clone().into()).unwrap();
        assert_eq!(scanned, plain::read(event.as_bytes()).unwrap());
    }
}

#[test]
fn members_may_have_any_order_and_values_may_be_longer_than_the_text_between_them() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let records: Vec<_> = (1..9_u8)
            .map(|n| {
                let data = STANDARD.encode([n; 300]);
                let key = n.to_string().repeat(250);
                let members = [
                    format!(r#""partitionKey":"{key}""#),
                    format!(r#""sequenceNumber":"{n}""#),
                    format!(r#""data":"{data}""#),
                    r#""approximateArrivalTimestamp":1.5"#.to_owned(),
                ];
                let kinesis = order.map(|at| members[at].as_str()).join(",");
                let arn = "arn:aws:kinesis:eu-west-1:1:stream/s";
                format!(r#"{{"kinesis":{{{kinesis}}},"eventID":"{SHARD}:{n}","eventSourceARN":"{arn}"}}"#)
            })
            .collect();
        let event = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        let scanned = scan::scan(event.as_bytes()).expect("the scanner reads it").decode(event.clone().into()).unwrap();
        assert_eq!(scanned, plain::read(event.as_bytes()).unwrap());
        assert_eq!(scanned.records[7].data, vec![8; 300]);
    }
}

#[test]
fn both_readers_name_a_record_whose_data_is_not_base64() {
    let mut records = vec![record("1", "1", b"one"), record("2", "1", b"two")];
    for bad in ["?", "YQ", "YR==", "YQ==YQ==", "YQ=", "Y Q=", "=", "脈"] {
        records[1]["kinesis"]["data"] = json!(bad);
        for event in [as_lambda_writes(&records), json!({ "Records": records }).to_string()] {
            let error = Batch::from_event(event).unwrap_err().to_string();
            assert_eq!(error, "Records[1]: data is not base64", "{bad}");
        }
    }
}

proptest! {
    #[test]
    fn both_readers_read_the_same(
        values in prop::collection::vec(("\\PC{0,9}", 1_u64.., prop::collection::vec(any::<u8>(), 0..40), 0..4_102_444_800_000_i64, 0..4_usize), 1..5),
        spoil in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]":,\ .e-01=9A"#.to_vec())], 0..3_u8), 0..3),
    ) {
        let mut sequence = 0_u64;
        let records: Vec<_> = values.iter().map(|(key, step, data, ms, decimals)| {
            sequence = sequence.wrapping_add(*step);
            let seconds = format!("{}.{:03}", ms / 1_000, ms % 1_000);
            let mut record = record(&sequence.to_string(), "1", data);
            record["kinesis"]["partitionKey"] = json!(key);
            record["kinesis"]["approximateArrivalTimestamp"] = json!("*");
            (record, seconds[..seconds.len() - decimals].trim_end_matches('.').to_owned())
        }).collect();
        let mut event = as_lambda_writes(&records.iter().map(|(record, _)| record.clone()).collect::<Vec<_>>());
        for (_, seconds) in &records {
            event = event.replacen("\"*\"", seconds, 1);
        }
        let mut event = event.into_bytes();
        for (at, byte, how) in spoil {
            let at = at.index(event.len());
            match how {
                0 => event[at] = byte,
                1 => event.insert(at, byte),
                _ => drop(event.remove(at)),
            }
        }
        let plainly = plain::read(&event);
        if let Some(spans) = scan::scan(&event) {
            match (spans.decode(event.into()), plainly) {
                (Ok(scanned), plainly) => prop_assert_eq!(scanned, plainly.unwrap()),
                (Err(_), Ok(batch)) => prop_assert!(false, "only the scanner refuses {batch:?}"),
                (Err(_), Err(_)) => {}
            }
        }
    }
}
