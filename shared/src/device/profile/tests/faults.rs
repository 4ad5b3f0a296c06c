//! Tests of messages with faults: each fault is reported with its reason, and does not affect other values.

use super::*;
use crate::device::reading::Value;
use proptest::prelude::*;
use serde_json::json;

const NUMBERS: &str = r#"{
    "id": "numbers",
    "clock": {"allowedSkewSeconds": 10, "allowedDelaySeconds": 60},
    "metrics": {"a": {"range": {"min": 0, "max": 100}}, "b": {}, "c": {"kind": "text"}, "d": {"kind": "boolean"},
                "e": {"kind": "position"}},
    "versions": [{"name": "1", "format": "json", "time": {"from": "t", "unit": "ms"}, "fields": [
        {"metric": "a", "from": "a"}, {"metric": "b", "from": "b", "optional": true},
        {"metric": "c", "from": "c", "optional": true}, {"metric": "d", "from": "d", "optional": true},
        {"metric": "e", "from": "e", "optional": true}]}]
}"#;

const SAMPLES: &str = r#"{
    "id": "samples",
    "metrics": {"a": {}},
    "versions": [{"name": "1", "format": "json", "records": {"each": "s[*]", "time": {"from": "t", "unit": "ms"},
        "fields": [{"metric": "a", "from": "a"}]}}]
}"#;

const COUNTED: &str = r#"{
    "id": "counted",
    "metrics": {"a": {}},
    "versions": [{"name": "1", "format": "json", "identity": ["n"], "time": {"from": "t", "unit": "ms"},
        "fields": [{"metric": "a", "from": "a"}]}]
}"#;

const PACKED: &str = r#"{
    "id": "packed",
    "metrics": {"a": {}, "f": {}},
    "versions": [{"name": "1", "format": "binary", "fields": [{"metric": "f", "from": {"offset": 0, "type": "f32"}}],
        "records": {"offset": 4, "length": 2, "fields": [{"metric": "a", "from": {"offset": 0, "type": "u16"}}]}}]
}"#;

#[test]
fn one_invalid_value_does_not_affect_the_others() {
    let payload = r#"{"a": "72", "b": 1, "c": "a\nb", "d": 2, "e": [200, 0]}"#;
    insta::assert_snapshot!(decoded(&profile(NUMBERS), payload), @r#"
    bed-17/d7d0c#1 b = 1.0  at 80 (not the device's, Good)
    NotANumber: a (value 0): it is a text, and the profile does not allow numbers as text
    Undecodable: c (value 2): it is empty or has a control character
    OutOfRange: d (value 3): it is a number other than 0 and 1
    OutOfRange: e (value 4): its longitude is not within ±180°, or its latitude is not within ±90°
    "#);
}

#[test]
fn both_ends_of_a_range_are_valid() {
    let value = |a: f64| decoded(&profile(NUMBERS), json!({ "a": a }).to_string());
    assert!(value(0.0).contains("a = 0.0") && value(100.0).contains("a = 100.0"));
    assert_eq!(value(-0.5), "OutOfRange: a (value 0): it is -0.5, below 0");
    assert_eq!(value(100.5), "OutOfRange: a (value 0): it is 100.5, above 100");
}

#[test]
fn a_sequence_number_and_a_message_id_with_the_same_digits_are_different_identities() {
    let id = |named: serde_json::Value, message_id: Option<String>, long: &str| {
        let profile = profile(
            &json!({"id": "x", "metrics": {"a": {}}, "versions": [
                {"name": "1", "format": "json", "identity": named, "fields": [{"metric": "a", "from": "a"}]}]})
            .to_string(),
        );
        let message = Message { message_id, ..message(json!({"a": 1, "n": long}).to_string()) };
        profile.decode(&message, ARRIVED).readings[0].id.clone()
    };
    for text in ["4711", &"7".repeat(100)] {
        let (named, sent) = (id(json!(["n"]), None, text), id(json!([]), Some(text.to_owned()), text));
        assert_ne!(named, sent);
        assert_eq!(named, id(json!(["n"]), Some(text.to_owned()), text), "the profile's identity takes precedence");
        assert_eq!(
            sent,
            id(json!(["missing"]), Some(text.to_owned()), text),
            "an identity with a missing part is not used"
        );
    }
}

#[test]
fn absent_and_null_are_missing_unless_optional() {
    insta::assert_snapshot!(decoded(&profile(NUMBERS), r#"{"b": null}"#), @r#"
    MissingField: a (value 0): it is missing
    "#);
}

#[test]
fn a_payload_of_another_format_is_undecodable_and_the_detail_does_not_show_it() {
    for payload in [&b"secret"[..], b"{\"a\": ", b"\xff\xfe", b"{\"a\": 1} secret"] {
        let (profile, message) = (profile(NUMBERS), message(payload));
        let decoded = profile.decode(&message, ARRIVED);
        assert!(decoded.readings.is_empty());
        let [rejected] = &decoded.rejected[..] else { panic!("{decoded:?}") };
        assert_eq!((rejected.reason, rejected.index), (Reason::Undecodable, None));
        assert!(!rejected.detail.contains("secret"), "{}", rejected.detail);
    }
    let deep = "[".repeat(500_000);
    let problem = "Undecodable: version 1: it is not JSON: at byte 128, it nests deeper than 128 levels";
    assert_eq!(decoded(&profile(NUMBERS), deep), problem);
    assert_eq!(decoded(&profile(NUMBERS), ""), "", "an empty payload deletes a retained message");
}

#[test]
fn what_is_not_json_costs_only_its_value() {
    for (bad, problem) in [
        (&b"NaN"[..], "NotANumber: a (value 0): it is a word that is not JSON, not a number"),
        (b"1e999", "NotANumber: a (value 0): it is NaN or infinite"),
        (b"\"\xb0C\"", "NotANumber: a (value 0): it is a text that is not UTF-8, not a number"),
    ] {
        let payload = [b"\xef\xbb\xbf{\"a\": ", bad, b", \"b\": 5}\0\0"].concat();
        let expected = format!("bed-17/d7d0c#1 b = 5.0  at 80 (not the device's, Good)\n{problem}");
        assert_eq!(decoded(&profile(NUMBERS), payload), expected);
    }
}

#[test]
fn an_identity_has_the_digits_that_the_device_sent() {
    let id = |n: &str| {
        let payload = format!(r#"{{"n": {n}, "t": {RECEIVED}, "a": 1}}"#);
        profile(COUNTED).decode(&message(payload), ARRIVED).readings[0].id.clone()
    };
    for n in ["356938035643809000001", "356938035643809000002", "17.123456789012345678", "17.123456789012345679"] {
        assert_eq!(id(n), format!("bed-17/p{n}@{RECEIVED}#0"));
    }
}

#[test]
fn a_wrong_clock_gives_the_arrivals_time_and_an_implausible_time_is_rejected_once() {
    let profile = profile(NUMBERS);
    let at = |t: i64| decoded(&profile, json!({"a": 1, "b": 2, "t": t}).to_string());
    assert!(at(RECEIVED).contains("at 0 (device, Good)"));
    assert!(at(RECEIVED - 3_600_000).contains("at -3600000 (device, Good)"), "late is not now");
    assert!(at(86_400_000).contains("at 80 (not the device's, Good)"));
    assert_eq!(at(-5), "TimeBeyondBelief: from value 0 on: the device's time is -5 ms, which is negative");
    assert!(at(RECEIVED * 1_000).starts_with("TimeBeyondBelief: from value 0 on: the device's time is "));
    let text = decoded(&profile, r#"{"a": 1, "t": "now"}"#);
    assert!(text.starts_with("NotANumber: from value 0 on: the device's time: it is a text"), "{text}");
}

#[test]
fn a_record_with_a_wrong_time_does_not_affect_other_records() {
    let payload = json!({"s": [{"t": RECEIVED, "a": 1}, {"t": -1, "a": 2}, {"a": 3}, 7]}).to_string();
    insta::assert_snapshot!(decoded(&profile(SAMPLES), payload), @r#"
    348207d33b38b174e29f37445fe2e776#0 a = 1.0  at 0 (device, Good)
    348207d33b38b174e29f37445fe2e776#2 a = 3.0  at 80 (not the device's, Good)
    TimeBeyondBelief: from value 1 on: the device's time is -1 ms, which is negative
    MissingField: a (value 3): it is missing
    "#);
}

#[test]
fn a_missing_array_of_records_is_reported_and_an_empty_one_is_not() {
    assert_eq!(decoded(&profile(SAMPLES), r#"{"s": []}"#), "");
    assert_eq!(
        decoded(&profile(SAMPLES), "{}"),
        "MissingField: from value 0 on: instead of an array of records there is nothing"
    );
    assert_eq!(
        decoded(&profile(SAMPLES), r#"{"s": 5}"#),
        "Undecodable: from value 0 on: instead of an array of records there is a number"
    );
}

#[test]
fn complete_records_before_a_cut_one_are_read() {
    let mut payload = f32::NAN.to_be_bytes().to_vec();
    payload.extend([0, 1, 0, 2, 9]);
    insta::assert_snapshot!(decoded(&profile(PACKED), payload), @r#"
    bed-17/d7d0c#1 a = 1.0  at 80 (not the device's, Good)
    bed-17/d7d0c#2 a = 2.0  at 80 (not the device's, Good)
    NotANumber: f (value 0): it is NaN or infinite
    Undecodable: from value 3 on: the last record has 1 of 2 bytes
    "#);
    assert!(decoded(&profile(PACKED), [1, 2]).contains("it needs bytes 0 to 4, and only 2 bytes are there"));
}

#[test]
fn values_of_a_message_beyond_the_limit_are_too_large() {
    let samples: Vec<_> = (0..MAX_VALUES + 5).map(|a| json!({"t": RECEIVED, "a": a})).collect();
    let (profile, message) = (profile(SAMPLES), message(json!({"s": samples}).to_string()));
    let decoded = profile.decode(&message, ARRIVED);
    assert_eq!(decoded.readings.len(), MAX_VALUES);
    assert_eq!(decoded.rejected.iter().map(|rejected| rejected.reason).collect::<Vec<_>>(), [Reason::TooLarge]);
}

#[test]
fn a_message_that_matches_no_version_is_rejected_with_a_reason_for_each() {
    let json = include_str!("../../../../../events/profiles/smart-bed.json");
    assert_eq!(
        decoded(&profile(json), [7; 15]),
        "Undecodable: no version of profile smart-bed matches: 1: the payload has 15 bytes; 2: the payload has 15 bytes"
    );
}

#[test]
fn versions_match_by_kind_field_and_length_across_formats() {
    let version = |name: &str, format: &str, when: serde_json::Value, from: serde_json::Value| json!({"name": name, "format": format, "when": when, "fields": [{"metric": name, "from": from}]});
    let byte = json!({"offset": 1, "type": "u8"});
    let profile = profile(
        &json!({"id": "mixed", "clock": {"trust": "ingest"},
        "metrics": {"topic": {}, "json": {}, "cbor": {}, "magic": {}, "length": {}},
        "versions": [
            version("topic", "binary", json!({"kind": "raw"}), byte.clone()),
            version("json", "json", json!({"field": "v", "equals": "1"}), json!("x")),
            version("cbor", "cbor", json!({"field": "v", "equals": true}), json!("x")),
            version("magic", "binary", json!({"field": {"offset": 0, "type": "u8"}, "equals": 170}), byte.clone()),
            version("length", "binary", json!({"length": 3}), byte),
        ]})
        .to_string(),
    );
    let metric = |kind: &str, payload: &[u8]| {
        let message = Message { kind: kind.to_owned(), ..message(payload) };
        let decoded = profile.decode(&message, ARRIVED);
        decoded.readings.first().map_or_else(String::new, |reading| reading.metric.to_owned())
    };
    assert_eq!(metric("raw", br#"{"v": "1", "x": 5}"#), "topic");
    assert_eq!(metric("vital", br#"{"v": "1", "x": 5}"#), "json");
    assert_eq!(metric("vital", b"\xa2\x61v\xf5\x61x\x05"), "cbor");
    assert_eq!(metric("vital", &[170, 5, 0]), "magic");
    assert_eq!(metric("vital", &[1, 5, 0]), "length");
    assert_eq!(metric("vital", &[1, 5]), "");
}

#[test]
fn a_repeated_message_has_the_same_identity_and_a_different_message_a_different_one() {
    let id = |message: &Message| profile(NUMBERS).decode(message, ARRIVED).readings[0].id.clone();
    let sent = message(json!({"a": 1, "t": RECEIVED}).to_string());
    let again = Message { delivery_id: "another".to_owned(), received_at: RECEIVED + 900, ..sent.clone() };
    assert_eq!(id(&sent), id(&again), "a hash of device and payload");
    assert_eq!(id(&sent).len(), "#0".len() + 32);
    for other in [
        message(json!({"a": 2, "t": RECEIVED}).to_string()),
        Message { device_id: "bed-18".to_owned(), ..sent.clone() },
    ] {
        assert_ne!(id(&sent), id(&other));
    }
    let padded = Message { payload: [&sent.payload[..], b"\n\0\0"].concat(), ..again.clone() };
    assert_eq!(id(&sent), id(&padded), "what surrounds a payload is not part of it");
    let mended = Profile::parse(NUMBERS.replace(r#""max": 100"#, r#""max": 0.5"#).as_bytes()).unwrap();
    let by_another_profile = message(json!({"a": 1, "b": 2, "t": RECEIVED}).to_string());
    let ids = |profile: &Profile| profile.decode(&by_another_profile, ARRIVED).readings.last().unwrap().id.clone();
    assert_eq!(ids(&mended), ids(&profile(NUMBERS)), "a replay after a change of the profile");
    let http = Message { message_id: Some("m-1".to_owned()), ..sent.clone() };
    assert_eq!(id(&http), id(&sent), "by whatever way, and under whatever key");
    // Without id and time, two different measurements may be equal, so the delivery is the identity.
    let timeless = message(r#"{"a": 1}"#);
    assert_eq!(id(&timeless), "bed-17/d7d0c#0");
}

#[test]
fn without_a_time_a_message_id_stands_for_a_payload() {
    let id = |message_id: &str, a: i32| {
        let message = message(json!({"a": a}).to_string());
        let message = Message { message_id: Some(message_id.to_owned()), ..message };
        profile(NUMBERS).decode(&message, ARRIVED).readings[0].id.clone()
    };
    let first = id("m-1", 1);
    assert!(first.starts_with("bed-17/mm-1~"), "{first}");
    assert_eq!(first.len(), "bed-17/mm-1~#0".len() + 16);
    assert_eq!(id("m-1", 1), first);
    assert_ne!(id("m-1", 2), first, "a counter that began again gives its number to another value");
    assert_eq!(id(&"é".repeat(99), 1).len(), "#0".len() + 32, "a long or unprintable id is hashed");
    assert_ne!(id(&"x".repeat(65), 1), id(&"x".repeat(66), 1));
}

#[test]
fn a_counter_that_begins_again_gives_its_numbers_to_other_readings() {
    let profile = profile(COUNTED);
    let id = |at: Option<i64>, a: i32, other: i32| {
        let payload = json!({"n": 7, "t": at, "a": a, "other": other}).to_string();
        profile.decode(&message(payload), ARRIVED).readings[0].id.clone()
    };
    assert_eq!(id(Some(RECEIVED), 61, 0), format!("bed-17/p7@{RECEIVED}#0"));
    assert_ne!(id(Some(RECEIVED), 61, 0), id(Some(RECEIVED + 1), 61, 0), "another time");
    assert_eq!(id(Some(RECEIVED), 61, 0), id(Some(RECEIVED), 62, 0), "the same time: it contradicts the first one");
    for at in [None, Some(5_000)] {
        assert_eq!(id(at, 61, 0), id(at, 61, 0), "sent again");
        assert_ne!(id(at, 61, 0), id(at, 62, 0), "without a time that can be true, other bytes are another message");
    }
}

#[test]
fn a_message_that_is_sent_again_with_another_time_of_sending_is_the_same_by_its_records() {
    let profile = profile(
        r#"{"id": "samples", "metrics": {"a": {}}, "versions": [{"name": "1", "format": "json", "identity": ["n"],
            "time": {"from": "sent", "unit": "ms"}, "records": {"each": "s[*]", "time": {"from": "t", "unit": "ms"},
            "fields": [{"metric": "a", "from": "a"}]}}]}"#,
    );
    let id = |sent: i64| {
        let payload = json!({"n": 7, "sent": sent, "s": [{"t": RECEIVED - 9, "a": 1}]}).to_string();
        profile.decode(&message(payload), ARRIVED).readings[0].id.clone()
    };
    assert_eq!(id(RECEIVED), id(RECEIVED + 5_000));
}

#[test]
fn what_may_stand_under_a_broken_key_is_reported_and_a_broken_record_as_well() {
    let odd = "Undecodable: a key is not a text, and a value that is missing may stand there";
    let optional = r#"{"id": "optional", "metrics": {"a": {}}, "versions": [{"name": "1", "format": "json",
        "fields": [{"metric": "a", "from": "a", "optional": true}]}]}"#;
    assert_eq!(decoded(&profile(optional), "{'a': 1}"), odd);
    assert_eq!(
        decoded(&profile(optional), r#"{'a': 1, "a": 2}"#),
        "bed-17/d7d0c#0 a = 2.0  at 80 (not the device's, Good)"
    );
    assert_eq!(decoded(&profile(optional), r#"{"b": 1}"#), "");
    let samples = SAMPLES.replace(r#""from": "a"}"#, r#""from": "a", "optional": true}"#);
    let broken = decoded(&profile(&samples), format!(r#"{{"s": [{{"t": {RECEIVED}, "a": 1}} x]}}"#));
    assert!(broken.contains("followed by something else"), "{broken}");
}

#[test]
fn late_samples_keep_their_times_and_their_order() {
    let profile = profile(SAMPLES);
    let minutes: Vec<_> = (60..75).map(|a| json!({"t": RECEIVED - 60_000 * (74 - a), "a": a})).collect();
    let (first, message) = (RECEIVED - 60_000 * 14, message(json!({"s": minutes}).to_string()));
    let decoded = profile.decode(&message, ARRIVED);
    assert!(decoded.readings.iter().enumerate().all(|(n, reading)| reading.at == first + 60_000 * n as i64));
    assert_eq!((decoded.readings.len(), decoded.clock_replaced), (15, 0));
}

#[test]
fn a_clock_that_is_ahead_keeps_the_distances_of_samples_and_is_counted() {
    let profile = profile(SAMPLES);
    let ahead = |n: i64| RECEIVED + 7_200_000 + n * 1_000;
    let payload = json!({"s": [{"t": ahead(1), "a": 2}, {"t": ahead(0), "a": 1}]}).to_string();
    let message = message(payload);
    let decoded = profile.decode(&message, ARRIVED);
    let times: Vec<_> = decoded.readings.iter().map(|reading| (reading.at - ARRIVED, reading.clock)).collect();
    assert_eq!(times, [(0, ClockSource::Arrival), (-1_000, ClockSource::Arrival)]);
    assert_eq!(decoded.clock_replaced, 2);
}

#[test]
fn what_the_clock_showed_at_sending_corrects_its_times() {
    let wrong = 1_000_000;
    let profile = profile(
        r#"{"id": "offset", "metrics": {"a": {}}, "versions": [{"name": "1", "format": "json",
            "sent": {"from": "now", "unit": "ms"}, "time": {"from": "t", "unit": "ms"},
            "fields": [{"metric": "a", "from": "a"}]}]}"#,
    );
    let message = message(json!({"now": wrong, "t": wrong - 40_000, "a": 1}).to_string());
    let decoded = profile.decode(&message, ARRIVED);
    let reading = &decoded.readings[0];
    assert_eq!((reading.at, reading.clock), (RECEIVED - 40_000, ClockSource::Ingest));
    assert_eq!(decoded.clock_replaced, 0);
}

#[test]
fn a_profile_can_reject_what_is_late() {
    let profile = profile(
        r#"{"id": "fresh", "clock": {"late": "reject", "allowedDelaySeconds": 60}, "metrics": {"a": {}},
            "versions": [{"name": "1", "format": "json", "time": {"from": "t", "unit": "ms"},
            "fields": [{"metric": "a", "from": "a"}]}]}"#,
    );
    let late = decoded(&profile, json!({"t": RECEIVED - 61_000, "a": 1}).to_string());
    assert_eq!(late, "Late: from value 0 on: the message is 1000 ms later than the profile allows");
}

proptest! {
    #[test]
    fn any_payload_gives_readings_or_reasons(payload in prop::collection::vec(any::<u8>(), 0..80)) {
        for json in [NUMBERS, SAMPLES, PACKED] {
            let (profile, message) = (profile(json), message(payload.clone()));
            let decoded = profile.decode(&message, ARRIVED);
            prop_assert!(matches!(payload.len(), 0 | 4) || !decoded.readings.is_empty() || !decoded.rejected.is_empty());
        }
    }

    #[test]
    fn every_number_within_the_range_becomes_the_same_value(a in 0..=100_000_i64, b in any::<i32>()) {
        let a = a as f64 / 1_000.0;
        let payload = json!({"a": a, "b": b, "t": RECEIVED}).to_string();
        let (profile, message) = (profile(NUMBERS), message(payload));
        let readings = profile.decode(&message, ARRIVED).readings;
        prop_assert_eq!(&readings[0].value, &Value::Number(a));
        prop_assert_eq!(&readings[1].value, &Value::Number(b.into()));
    }
}
