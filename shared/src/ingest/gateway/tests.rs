use super::*;
use crate::ingest::limits::MAX_PAYLOAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write as _;

const AT_MS: i64 = 1_795_218_892_020;

fn upload(payload: impl Into<Vec<u8>>) -> Upload {
    Upload {
        facility: "home-3".to_owned(),
        gateway: "hub-3".to_owned(),
        client_id: Some("hub-3".to_owned()),
        received_at: Some(AT_MS),
        payload: payload.into(),
    }
}

fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn ids(upload: &Upload) -> Vec<String> {
    split(upload, AT_MS).unwrap().messages.into_iter().map(|message| message.delivery_id).collect()
}

const BATCH: &str = r#"[{"deviceId":"bed-17","kind":"vital","payload":{"hr":61}},
                        {"deviceId":"bed-18","kind":"vital","messageId":9,"payloadBase64":"AP8="}]"#;

#[test]
fn a_batch_becomes_messages_of_its_devices_in_its_order() {
    let split = split(&upload(BATCH), AT_MS).unwrap();
    assert_eq!(split.refused, []);
    let messages: Vec<_> = split.messages.iter().map(Message::to_json).collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    {"deliveryId":"55d350b1d9ef9b4aab44166746ed3477-0","deviceId":"bed-17","facility":"home-3","kind":"vital","clientId":"hub-3","receivedAt":1795218892020,"payload":"eyJociI6NjF9","sender":"gateway:hub-3"}
    {"deliveryId":"55d350b1d9ef9b4aab44166746ed3477-1","deviceId":"bed-18","facility":"home-3","kind":"vital","clientId":"hub-3","receivedAt":1795218892020,"payload":"AP8=","messageId":"9","sender":"gateway:hub-3"}
    "#);
}

#[test]
fn the_same_batch_has_the_same_ids_however_it_was_delivered() {
    let expected = ids(&upload(BATCH));
    assert_eq!(expected.len(), 2);
    assert_ne!(expected[0], expected[1]);
    let later = Upload { received_at: Some(AT_MS + 60_000), client_id: None, ..upload(BATCH) };
    assert_eq!(ids(&later), expected);
    for level in [Compression::fast(), Compression::best()] {
        assert_eq!(ids(&upload(gzip(BATCH.as_bytes(), level))), expected);
    }
}

#[test]
fn another_batch_has_other_ids() {
    let one = ids(&upload(BATCH))[0].clone();
    for other in [
        upload(BATCH.replace("61", "62")),
        Upload { gateway: "hub-4".to_owned(), ..upload(BATCH) },
        Upload { facility: "home-4".to_owned(), ..upload(BATCH) },
        upload(BATCH.replacen('[', r#"[{"sequence":1},"#, 1)),
        upload(BATCH.replacen('[', r#"[{"sequence":2},"#, 1)),
    ] {
        assert!(!ids(&other).contains(&one));
    }
    let numbered = |number: u32| ids(&upload(BATCH.replacen('[', &format!(r#"[{{"sequence":{number}}},"#), 1)));
    assert_ne!(numbered(1), numbered(2), "a gateway that measures the same twice can make the batches differ");
    assert_eq!(numbered(1), numbered(1));
}

#[test]
fn an_invalid_item_does_not_stop_the_others() {
    let batch = r#"{"deviceId":"bed-17","kind":"vital","payload":1}
                   {"kind":"vital","payload":1}
                   {"deviceId":"bed-17","facility":"home-4","kind":"vital","payload":1}
                   {"deviceId":"bed-17","facility":"home-3","kind":"vital","payload":1}"#;
    let split = split(&upload(batch), AT_MS).unwrap();
    assert_eq!(split.messages.len(), 2);
    assert_eq!(
        summarize(&split.refused),
        "item 1, deviceId: it is missing; item 2, facility: it is not the gateway's facility"
    );
}

#[test]
fn a_batch_that_cannot_be_parsed_is_an_error_with_a_reason() {
    for (payload, words, reason) in [
        (b"".to_vec(), "it is empty", Reason::Undecodable),
        (b"hello".to_vec(), "it is neither a JSON array", Reason::Undecodable),
        (b"\xff\xfe".to_vec(), "it is neither a JSON array", Reason::Undecodable),
        (b"[{}".to_vec(), "it is not JSON", Reason::Undecodable),
        (b"\x1f\x8b\x08".to_vec(), "it is not gzip", Reason::Undecodable),
        (gzip(&gzip(BATCH.as_bytes(), Compression::fast()), Compression::fast()), "it is neither", Reason::Undecodable),
        (gzip(&vec![b' '; 9_000_000], Compression::best()), "it has more than 8388608 bytes", Reason::TooLarge),
        (vec![0xa1, 0x61], "it is not a CBOR sequence", Reason::Undecodable),
    ] {
        let error = split(&upload(payload), AT_MS).unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(error.reason(), reason, "{error}");
    }
    assert_eq!(split(&upload("[]"), AT_MS).unwrap().messages, []);
}

#[test]
fn a_batch_has_at_most_ten_thousand_items() {
    let batch = |items: usize| {
        gzip("{\"deviceId\":\"d\",\"kind\":\"k\",\"payload\":1}\n".repeat(items).as_bytes(), Compression::fast())
    };
    assert_eq!(split(&upload(batch(10_000)), AT_MS).unwrap().messages.len(), 10_000);
    assert_eq!(split(&upload(batch(10_001)), AT_MS), Err(BodyError::TooMany { limit: 10_000 }));
}

#[test]
fn the_largest_item_fits_a_record_of_the_stream() {
    let payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD - 2));
    let long = "d".repeat(128);
    let batch =
        format!(r#"[{{"deviceId":"{long}","kind":"{long}","messageId":"{}","payload":{payload}}}]"#, "m".repeat(256));
    let upload = Upload {
        facility: "f".repeat(128),
        client_id: Some("c".repeat(128)),
        ..upload(gzip(batch.as_bytes(), Compression::fast()))
    };
    let message = split(&upload, AT_MS).unwrap().messages.remove(0);
    let record = message.to_json();
    assert!(
        record.len() + 128 <= crate::stream::producer::Limits::default().record_bytes_max,
        "{} bytes",
        record.len()
    );
    assert_eq!(Message::parse(record.as_bytes()), Ok(message));
}

#[test]
fn an_event_of_the_rule_parses_and_one_of_an_older_rule_too() {
    let event = json!({"deliveryId": "x", "gateway": "hub-3", "facility": "home-3", "clientId": "hub-3",
        "receivedAt": AT_MS, "payload": "W10="});
    assert_eq!(Upload::parse(&event), Ok(upload("[]")));
    let older =
        json!({"gateway": "hub-3", "facility": "home-3", "payload": [{"deviceId": "d", "kind": "k", "payload": 1}]});
    let older = Upload::parse(&older).unwrap();
    assert_eq!((older.received_at, older.client_id.as_deref()), (None, None));
    assert_eq!(split(&older, AT_MS).unwrap().messages.len(), 1);
}

#[test]
fn the_error_of_an_invalid_event_names_the_field() {
    let event = json!({"gateway": "hub-3", "facility": "home-3", "payload": "W10="});
    for (field, value) in [
        ("gateway", json!(null)),
        ("gateway", json!("a/b")),
        ("facility", json!(3)),
        ("payload", json!(null)),
        ("payload", json!("?")),
        ("payload", json!(1)),
        ("clientId", json!("")),
        ("receivedAt", json!("now")),
        ("receivedAt", json!(-1)),
    ] {
        let mut event = event.clone();
        event[field] = value;
        assert_eq!(Upload::parse(&event).unwrap_err().field, field, "{event}");
    }
    assert!(Upload::parse(&json!([1])).is_err());
}

#[test]
fn a_letter_holds_the_event_and_its_key_follows_from_the_event() {
    let letter = |event: &[u8]| dead_letter(event, Some(&upload("")), AT_MS, Reason::Undecodable, "why".to_owned());
    let (one, other) = (letter(b"{}"), letter(b"{ }"));
    assert_eq!(one.data, b"{}");
    assert_eq!(one.key(), letter(b"{}").key());
    assert_ne!(one.key(), other.key());
    insta::assert_snapshot!(one.key(), @"dead-letters/reason=undecodable/stream=gateways/dt=2026-11-20/hh=23/hub-3/00000000000000000166094841019935167000223051896657085931.0000000000.json");
    let many: Vec<_> = (0..13).map(|index| RefusedItem::field(index, "kind", "it is missing")).collect();
    assert!(summarize(&many).ends_with("item 9, kind: it is missing; and 3 more"));
}
