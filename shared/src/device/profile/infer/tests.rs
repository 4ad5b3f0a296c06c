use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_795_219_000_000;

fn draft(samples: &[Value]) -> Draft {
    let texts: Vec<String> = samples.iter().map(ToString::to_string).collect();
    let payloads: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    infer("device", &payloads, NOW).unwrap()
}

/// The draft as JSON, without its doubts.
fn document(draft: &Draft) -> Value {
    serde_json::to_value(&draft.document).unwrap()
}

#[test]
fn a_payload_of_names_and_numbers_becomes_metrics_with_units() {
    let samples = [
        json!({"n": 4711, "t": 1_795_218_892, "tempF": "70.7", "door": 1, "batt": 3650, "mode": "eco"}),
        json!({"n": 4712, "t": 1_795_218_952, "tempF": "70.9", "door": 0, "batt": 3649, "mode": "off", "co2_ppm": 612}),
    ];
    let draft = draft(&samples);
    let document = document(&draft);
    assert_eq!(
        document["metrics"],
        json!({
            "temp": {"kind": "number", "unit": "°C"},
            "door": {"kind": "boolean"},
            "batt": {"kind": "number", "unit": "V"},
            "mode": {"kind": "text"},
            "co2": {"kind": "number", "unit": "ppm"},
        })
    );
    assert_eq!(
        document["versions"],
        json!([{
            "name": "1",
            "format": "json",
            "identity": ["n"],
            "time": {"from": "t", "unit": "s"},
            "fields": [
                {"metric": "batt", "from": "batt", "unit": "mV"},
                {"metric": "door", "from": "door"},
                {"metric": "mode", "from": "mode"},
                {"metric": "temp", "from": "tempF", "text": true, "unit": "°F"},
                {"metric": "co2", "from": "co2_ppm", "optional": true},
            ],
        }])
    );
    assert_eq!(draft.readings, 9);
    let about = |path: &str| draft.doubts.iter().filter(|doubt| doubt.starts_with(path)).count();
    assert_eq!(["batt: ", "door: ", "mode: ", "tempF: ", "co2_ppm: ", "t: "].map(about), [1; 6]);
}

#[test]
fn an_array_of_objects_becomes_records_with_their_own_times() {
    let samples = [json!({
        "device_id": "band-7", "fw": "2.1", "seq": 9, "gps": {"lat": 35.68, "lon": 139.76},
        "samples": [{"t": 1_795_218_892_020_i64, "hr": 61}, {"t": 1_795_218_893_020_i64, "hr": 62, "spo2": 0.97}],
    })];
    let draft = draft(&samples);
    let version = &document(&draft)["versions"][0];
    assert_eq!(
        version["records"],
        json!({
            "each": "samples[*]",
            "time": {"from": "t", "unit": "ms"},
            "fields": [
                {"metric": "hr", "from": "hr"},
                {"metric": "spo2", "from": "spo2", "unit": "1", "optional": true},
            ],
        })
    );
    assert_eq!(version["fields"], json!([{"metric": "position", "longitude": "gps.lon", "latitude": "gps.lat"}]));
    assert_eq!(version["identity"], json!(["seq"]));
    assert_eq!(draft.readings, 4);
}

#[test]
fn what_is_not_read_is_named_with_the_reason() {
    let samples: Vec<Value> = (0..3)
        .map(|n| json!({"serial": "A-17", "schema": 2, "gone": null, "note": "x".repeat(300), "value": n + 5}))
        .collect();
    let draft = draft(&samples);
    assert_eq!(document(&draft)["metrics"], json!({"value": {"kind": "number"}}));
    let doubts = draft.doubts.join("\n");
    for path in ["serial", "schema", "gone", "note"] {
        assert!(doubts.contains(&format!("{path}: not read: ")), "{path} is not in {doubts}");
    }
    assert!(doubts.contains("identity: ") && doubts.contains("time: "), "{doubts}");
}

#[test]
fn values_of_the_same_name_get_different_metrics() {
    let draft = draft(&[json!({"in": {"temp": 21.5}, "out": {"temp": 4.0}, "a.b": {"temp": 1}})]);
    let document = document(&draft);
    let metrics: Vec<_> = document["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(metrics.len(), 3, "{metrics:?}");
    assert!(document["metrics"]["temp"].is_object());
    assert_eq!(draft.readings, 3);
}

#[test]
fn samples_of_cbor_are_read_and_other_bytes_are_named() {
    let mut cbor = Vec::new();
    ciborium::into_writer(&json!({"humidity": 45.5}), &mut cbor).unwrap();
    let draft = infer("device", &[&cbor], NOW).unwrap();
    assert_eq!(document(&draft)["versions"][0]["format"], json!("cbor"));
    assert_eq!(document(&draft)["metrics"]["humidity"]["unit"], json!("%"));

    let error = infer("device", &[b"{}", b"\xff\xfe\x00\x17"], NOW).unwrap_err();
    assert!(error.contains("(sample 2)"), "{error}");
    assert_eq!(infer("device", &[], NOW).unwrap_err(), "there are no samples");
    assert!(infer("device", &[b"{}"], NOW).unwrap_err().contains("nothing in the samples"));
}

#[test]
fn a_sample_of_another_format_is_named() {
    let draft = draft(&[json!({"temp": 21.5}), json!({"temp": 21.6}), json!(["other"])]);
    assert!(draft.doubts.iter().any(|doubt| doubt.starts_with("sample 3: ")), "{:?}", draft.doubts);
}

/// Any payload, its keys among names that mean something and names that do not.
fn trees() -> impl Strategy<Value = Value> {
    let keys = prop_oneof!["(ts|seq|id|lat|lon|temp_c|door|fw|deviceId)", ".{0,4}", "[\\[\\]\".@]{1,3}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (0..3_i64).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (1_420_070_400_i64..1_795_219_000).prop_map(Into::into),
        (-200.0..200.0_f64).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        Just(json!("21.5")),
        Just(json!("2026-11-21T08:54:52+09:00")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever stands in a payload, a draft is a valid profile, or there is a reason why there is none.
    #[test]
    fn a_draft_of_any_payload_is_valid(tree in trees(), again: bool) {
        let payload = tree.to_string();
        let samples = vec![payload.as_bytes(); if again { 2 } else { 1 }];
        if let Err(why) = infer("device", &samples, NOW) {
            prop_assert!(why.starts_with("the samples are not all") || why.starts_with("nothing in"), "{why}");
        }
    }
}
