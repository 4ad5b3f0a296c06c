use super::*;
use crate::ingest::limits::MAX_DEPTH;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write as _;

const LIMITS: Limits = Limits { body_bytes: 1_000_000, items: 100 };

fn items(body: &str) -> Items {
    read(body.as_bytes(), Form::Json, Payloads::Json, &LIMITS).unwrap()
}

/// What is wrong with the only item.
fn problem(item: &str) -> String {
    items(item).remove(0).unwrap_err().to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn cbor(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_payload_keeps_its_text() {
    let body = r#"{"deviceId":"bed-17","facility":"home-3","kind":"vital","messageId":7,
                   "payload": {"b": 1.0e0,  "a":"\u00e9"} }"#;
    let expected = Item {
        index: 0,
        device_id: Some("bed-17".to_owned()),
        facility: Some("home-3".to_owned()),
        kind: "vital".to_owned(),
        message_id: Some("7".to_owned()),
        payload: br#"{"b": 1.0e0,  "a":"\u00e9"}"#.to_vec(),
    };
    assert_eq!(items(body), [Ok(expected)]);
}

#[test]
fn a_payload_can_be_any_value_or_bytes() {
    for (payload, bytes) in [
        (r#""payload":"text""#, br#""text""#.as_slice()),
        (r#""payload":[1, 2]"#, b"[1, 2]"),
        (r#""payload":0"#, b"0"),
        (r#""payload":false"#, b"false"),
        (r#""payloadBase64":"AQID/w==""#, &[1, 2, 3, 255]),
        (r#""payloadBase64":"""#, b""),
    ] {
        assert_eq!(items(&format!(r#"{{"kind":"k",{payload}}}"#))[0].as_ref().unwrap().payload, bytes, "{payload}");
    }
}

#[test]
fn the_error_of_an_item_names_its_index_and_field() {
    for (item, words) in [
        ("{}", "item 0, kind: it is missing"),
        (r#"{"kind":"k"}"#, "item 0, payload: it is missing"),
        (r#"{"kind":"k","payload":null}"#, "item 0, payload: it is missing"),
        (
            r#"{"kind":"k","payload":1,"payloadBase64":""}"#,
            "item 0, payloadBase64: only one of payload and payloadBase64 is allowed",
        ),
        (r#"{"kind":"k","payloadBase64":"?"}"#, "item 0, payloadBase64: it is not base64"),
        (r#"{"kind":"","payload":1}"#, "item 0, kind: it must have 1 to 128 bytes"),
        (
            r#"{"deviceId":"a/b","kind":"k","payload":1}"#,
            "item 0, deviceId: it has a control character or one of `/`, `+` and `#`, which a topic level cannot have",
        ),
        (r#"{"kind":"k","messageId":"","payload":1}"#, "item 0, messageId: it must have 1 to 256 bytes"),
        (r#"{"kind":"k","messageId":1.5,"payload":1}"#, "item 0, messageId: it is neither a string nor a whole number"),
        (r#"{"kind":"k","messageId":"\n","payload":1}"#, "item 0, messageId: it has a control character"),
        (
            r#"{"kind":"k","sequence":1,"payload":1}"#,
            "item 0, sequence: it is only allowed alone, in the first item of a gateway's batch",
        ),
    ] {
        assert_eq!(problem(item), words, "{item}");
    }
    let wrong_type = problem(r#"{"deviceId":17,"kind":"k","payload":1}"#);
    assert_eq!(wrong_type, "item 0, deviceId: it is not a string", "the value is not shown");
    let misspelt = problem(r#"{"kind":"k","messageID":"x","payload":1}"#);
    assert!(misspelt.contains("unknown field `messageID`"), "{misspelt}");
    let twice = problem(r#"{"kind":"k","kind":"l","payload":1}"#);
    assert!(twice.contains("duplicate field `kind`"), "{twice}");
    let other = items(r#"[{"kind":"k","payload":1}, 7]"#);
    assert!(other[0].is_ok());
    assert_eq!(other[1].as_ref().unwrap_err().to_string(), "item 1: it is not a JSON object");
}

#[test]
fn one_item_more_than_the_limit_is_read_and_no_further() {
    let item = r#"{"kind":"k","payload":1}"#;
    let array = format!("[{}]", [item; 9].join(","));
    let sequence = cbor(&serde_json::json!({"kind": "k", "payload": 1})).repeat(9);
    for limit in [0, 2, 8, 9, 10] {
        let read = (limit + 1).min(9);
        assert_eq!(json::array(array.as_bytes(), limit, Payloads::Json).unwrap().len(), read);
        assert_eq!(json::lines([item; 9].join("\n").as_bytes(), limit, Payloads::Json).unwrap().len(), read);
        assert_eq!(super::cbor::sequence(&sequence, limit).unwrap().len(), read);
    }
    // What comes after them is not looked at.
    let limits = Limits { items: 2, ..LIMITS };
    let cut = |count: usize| {
        read(format!("[{}, and", [item; 9][..count].join(",")).as_bytes(), Form::Json, Payloads::Json, &limits)
    };
    assert_eq!(cut(3), Err(BodyError::TooMany { limit: 2 }));
    assert!(matches!(cut(2), Err(BodyError::Malformed(_))));
}

#[test]
fn the_name_of_a_field_is_shown_up_to_its_limit() {
    let name = "n".repeat(100_000);
    let shown = format!("{}…", "n".repeat(64));
    let json = format!(r#"{{"kind":"k","payload":1,"{name}":1}}"#);
    let sequence = cbor(&BTreeMap::from([(name.as_str(), 1)]));
    for (form, body, problem) in [
        (Form::Json, json.as_bytes(), format!("unknown field `{shown}`, expected one of `deviceId`")),
        (Form::CborSequence, sequence.as_slice(), "this field is unknown".to_owned()),
    ] {
        let refused = read(body, form, Payloads::Json, &LIMITS).unwrap().remove(0).unwrap_err();
        assert_eq!(refused.field.as_ref(), Some(&shown), "{form:?}");
        assert!(refused.problem.starts_with(&problem) && refused.problem.len() < 300, "{}", refused.problem);
    }
}

#[test]
fn size_number_and_depth_have_limits() {
    let payload = |bytes: usize| format!(r#"{{"kind":"k","payload":"{}"}}"#, "x".repeat(bytes - 2));
    assert!(items(&payload(MAX_PAYLOAD))[0].is_ok());
    let refused = items(&payload(MAX_PAYLOAD + 1)).remove(0).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert_eq!(refused.to_string(), "item 0, payload: it has 524289 bytes; the limit is 524288");

    let many = |count: usize| format!("[{}]", vec![r#"{"kind":"k","payload":1}"#; count].join(","));
    assert_eq!(items(&many(100)).len(), 100);
    assert_eq!(read(many(101).as_bytes(), Form::Json, Payloads::Json, &LIMITS), Err(BodyError::TooMany { limit: 100 }));
    let large = vec![b' '; 1_000_001];
    assert_eq!(read(&large, Form::Lines, Payloads::Json, &LIMITS), Err(BodyError::TooLarge { limit: 1_000_000 }));

    let deep = |depth: usize| format!(r#"{{"kind":"k","payload":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(items(&deep(MAX_DEPTH))[0].is_ok());
    assert_eq!(problem(&deep(MAX_DEPTH + 1)), "item 0, payload: it nests deeper than 100 levels");
    assert_eq!(problem(&deep(100_000)), "item 0, payload: it nests deeper than 100 levels");
    assert!(
        items(&format!(r#"{{"kind":"k","payload":"\"{}"}}"#, "[".repeat(200)))[0].is_ok(),
        "brackets in a string do not nest"
    );
}

#[test]
fn a_malformed_body_is_one_error() {
    let error = |body: &[u8]| read(body, Form::Json, Payloads::Json, &LIMITS).unwrap_err().to_string();
    assert_eq!(error(b" \n"), "it is empty");
    assert_eq!(error(b"hello"), "it is neither a JSON object nor a JSON array");
    assert_eq!(error(b"[1,"), "it is not JSON: EOF while parsing a value at line 1 column 3");
    assert_eq!(error(b"{\"kind\": \"\xff\"}"), "byte 10 is not UTF-8");
    assert_eq!(error(b"{} {}"), "it is not JSON: trailing characters at line 1 column 4");
    assert_eq!(read(b"[]", Form::Json, Payloads::Json, &LIMITS), Ok(Vec::new()));
}

#[test]
fn a_malformed_line_does_not_affect_the_others() {
    let lines = b"{\"kind\":\"a\",\"payload\":1}\r\n\n{\"kind\":\n\xff\n{\"kind\":\"b\",\"payload\":2}";
    let items = read(lines, Form::Lines, Payloads::Json, &LIMITS).unwrap();
    let outcomes: Vec<_> =
        items.iter().map(|item| item.as_ref().map(|item| item.index).map_err(ToString::to_string)).collect();
    assert_eq!(outcomes[0], Ok(0));
    assert!(outcomes[1].as_ref().unwrap_err().contains("EOF while parsing"), "{outcomes:?}");
    assert_eq!(outcomes[2], Err("item 2: byte 0 is not UTF-8".to_owned()));
    assert_eq!(outcomes[3], Ok(3));
    assert_eq!(read(b"\n \n", Form::Lines, Payloads::Json, &LIMITS), Err(BodyError::Empty));
}

#[test]
fn two_items_of_a_device_with_one_message_id_are_one_or_contradict_each_other() {
    let items = items(
        r#"[{"deviceId":"a","kind":"k","messageId":"m","payload":1},{"deviceId":"b","kind":"k","messageId":"m","payload":1},
            {"deviceId":"a","kind":"k","messageId":"m","payload":1},{"deviceId":"a","kind":"k","messageId":"m","payload":2}]"#,
    );
    let indices: Vec<_> = items.iter().flatten().map(|item| item.index).collect();
    assert_eq!((items.len(), indices), (3, vec![0, 1]));
    let problem = items[2].as_ref().unwrap_err().to_string();
    assert_eq!(problem, "item 3, messageId: item 0 has the same, and says something else");
}

#[test]
fn what_is_not_json_costs_only_its_item_or_only_its_value() {
    let body = b"\xef\xbb\xbf[{\"kind\":\"a\",\"payload\":1}, {\"kind\":\"b\",\"payload\": {\"t\":nan,\"u\":\"\xb0\"} }, {\"kind\":nan}, \xff]";
    let outcomes = |payloads| {
        let items = read(body, Form::Json, payloads, &LIMITS).unwrap();
        let payload = |item: Item| String::from_utf8_lossy(&item.payload).into_owned();
        let outcomes = items.into_iter().map(|item| item.map(payload).map_err(|refused| refused.index));
        outcomes.collect::<Vec<_>>()
    };
    assert_eq!(outcomes(Payloads::Json), [Ok("1".to_owned()), Err(1), Err(2), Err(3)]);
    let any = Ok("{\"t\":nan,\"u\":\"\u{fffd}\"}".to_owned());
    assert_eq!(outcomes(Payloads::Any), [Ok("1".to_owned()), any, Err(2), Err(3)]);
}

#[test]
fn a_header_counts_in_the_indices_and_is_only_allowed_first() {
    let body = br#"[{"sequence":"9"},{"kind":"k","payload":1},{"sequence":10}]"#;
    let items = read(body, Form::Json, Payloads::Any, &LIMITS).unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].as_ref().unwrap().index, 1);
    assert_eq!(items[1].as_ref().unwrap_err().field.as_deref(), Some("sequence"));
    assert!(read(body, Form::Json, Payloads::Json, &LIMITS).unwrap()[0].is_err(), "a request over HTTP has no header");
}

#[test]
fn a_cbor_payload_is_a_byte_strings_content_or_the_encoded_item() {
    use ciborium::cbor;
    let first =
        cbor!({"deviceId" => "bed-17", "kind" => "vital", "messageId" => 7, "payload" => {"hr" => 61}}).unwrap();
    let bytes = ciborium::Value::Bytes(vec![1, 255]);
    let second = cbor!({"kind" => "room", "messageId" => "x", "payload" => bytes}).unwrap();
    // {"kind": "k", "payload": 1.0}: self-described, of indefinite length, with a float in eight bytes that fits two.
    let third = [b"\xd9\xd9\xf7\xbf\x64kind\x61k\x67payload\xfb\x3f\xf0".as_slice(), &[0; 6], b"\xff"].concat();
    let body = [cbor(&first), cbor(&second), third].concat();
    let items = read(&body, Form::CborSequence, Payloads::Json, &LIMITS).unwrap();
    let items: Vec<_> = items.into_iter().map(Result::unwrap).collect();
    assert_eq!(items[0].payload, cbor(&cbor!({"hr" => 61}).unwrap()));
    assert_eq!((items[0].message_id.as_deref(), items[0].device_id.as_deref()), (Some("7"), Some("bed-17")));
    assert_eq!(items[1].payload, [1, 255]);
    assert_eq!(items[2].payload, [0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn errors_of_a_cbor_sequence_name_the_item_or_the_byte() {
    let item = |bytes: &[u8]| {
        read(bytes, Form::CborSequence, Payloads::Json, &LIMITS).unwrap().remove(0).unwrap_err().to_string()
    };
    assert_eq!(item(&[0x01]), "item 0: it is not a CBOR map");
    assert_eq!(item(&[0xa1, 0x01, 0x02]), "item 0: a key is not a string");
    assert_eq!(item(b"\xa1\x64kind\x01"), "item 0, kind: it is not a string");
    assert_eq!(item(b"\xa1\x64king\x01"), "item 0, king: this field is unknown");
    assert_eq!(item(b"\xa1\x69messageId\x20"), "item 0, messageId: it is neither a string nor a whole number");

    let whole = |bytes: &[u8]| read(bytes, Form::CborSequence, Payloads::Json, &LIMITS).unwrap_err().to_string();
    assert_eq!(whole(&[]), "it is empty");
    assert_eq!(whole(&[0xa0, 0xa1, 0x61]), "it is not a CBOR sequence: the item at byte 1 is cut short");
    assert_eq!(whole(&[0x1c]), "it is not a CBOR sequence: the item at byte 0 begins with an invalid byte");
    assert_eq!(whole(&[0xbf, 0x01, 0xff]), "it is not a CBOR sequence: the item at byte 0 has a key without a value");
    assert_eq!(
        whole(&[0x5f, 0x61, b'x', 0xff]),
        "it is not a CBOR sequence: the item at byte 0 has a chunk of another type"
    );
    for deep in [vec![0x81; 100_000], vec![0xc1; 100_000], vec![0x9f; 100_000]] {
        assert_eq!(whole(&deep), "it is not a CBOR sequence: the item at byte 0 nests too deeply");
    }
    let claimed = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(whole(&claimed), "it is not a CBOR sequence: the item at byte 0 is cut short");
}

#[test]
fn a_gzip_bomb_is_inflated_up_to_the_limit_only() {
    let bomb = gzip(&vec![b' '; 5_000_000]);
    assert!(bomb.len() < 6_000);
    assert_eq!(inflate(&bomb, 1_000_000), Err(BodyError::TooLarge { limit: 1_000_000 }));
    assert_eq!(inflate(&gzip(&[b'x'; 1_000]), 1_000).unwrap().len(), 1_000);
    let two = [gzip(b"[1,"), gzip(b"2]")].concat();
    assert_eq!(inflate(&two, 10).unwrap(), b"[1,2]", "all members make one body");
}

#[test]
fn a_body_that_is_not_gzip_or_is_cut_short_is_an_error() {
    let whole = gzip(b"[{}]");
    for broken in [b"hello".as_slice(), b"", &whole[..whole.len() - 1], &[&whole[..], b"x"].concat()] {
        assert_eq!(inflate(broken, 100), Err(BodyError::NotGzip), "{broken:?}");
    }
}

/// Trees of values that both JSON and CBOR can hold.
fn trees() -> impl Strategy<Value = serde_json::Value> {
    let leaf =
        prop_oneof![Just(serde_json::Value::Null), any::<i64>().prop_map(Into::into), ".{0,12}".prop_map(Into::into)];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("[a-z]{1,4}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn items_of_a_cbor_sequence_end_where_a_cbor_parser_says(payloads in prop::collection::vec(trees(), 1..6)) {
        let encoded: Vec<_> = payloads.iter().map(cbor).collect();
        let body: Vec<u8> = payloads
            .iter()
            .flat_map(|payload| cbor(&serde_json::json!({"kind": "k", "payload": payload})))
            .collect();
        let items = read(&body, Form::CborSequence, Payloads::Json, &LIMITS).unwrap();
        let found: Vec<_> = items.into_iter().map(|item| item.unwrap().payload).collect();
        prop_assert_eq!(found, encoded);
    }

    #[test]
    fn any_bytes_give_items_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for form in [Form::Json, Form::Lines, Form::CborSequence] {
            let _ = read(&bytes, form, Payloads::Json, &LIMITS);
            let _ = read(&bytes, form, Payloads::Any, &LIMITS);
        }
        let _ = inflate(&bytes, 1_000);
    }

    #[test]
    fn an_item_in_json_round_trips(payload in trees(), id in "[ -~]{1,30}") {
        let text = payload.to_string();
        let id_json = serde_json::to_string(&id).unwrap();
        let body = format!(r#"[{{"kind":"k","messageId":{id_json},"payload":{text}}}]"#);
        let item = read(body.as_bytes(), Form::Json, Payloads::Json, &LIMITS).unwrap().remove(0);
        if payload.is_null() {
            prop_assert!(item.is_err());
        } else {
            let item = item.unwrap();
            prop_assert_eq!((item.payload, item.message_id), (text.into_bytes(), Some(id)));
        }
    }
}
