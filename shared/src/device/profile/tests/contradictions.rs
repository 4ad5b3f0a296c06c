//! Profiles that contradict themselves: every problem is told, by field.

use super::*;
use serde_json::{Value as Json, json};

fn problems(json: &Json) -> String {
    let problems = Profile::parse(json.to_string().as_bytes()).expect_err("this profile cannot be");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A profile with one version and one metric, in which something is replaced.
fn with(change: impl FnOnce(&mut Json)) -> Json {
    let mut json = json!({
        "id": "lamp",
        "clock": {"trust": "arrival"},
        "metrics": {"light": {"unit": "lx"}},
        "versions": [{"name": "1", "format": "json", "fields": [{"metric": "light", "from": "l"}]}],
    });
    change(&mut json);
    json
}

#[test]
fn the_sound_profile_that_these_tests_break_is_sound() {
    assert!(Profile::parse(with(|_| {}).to_string().as_bytes()).is_ok());
}

#[test]
fn all_problems_of_a_profile_are_told_at_once() {
    let json = json!({
        "id": "",
        "clock": {"trust": "device", "allowedSkewSeconds": 99_999_999},
        "expectedIntervalSeconds": 0,
        "metrics": {
            "temperature": {"unit": "°C", "range": {"min": 10, "max": -10}, "window": {"last": 0}},
            "door#": {"kind": "boolean", "unit": "m"},
            "unread": {},
        },
        "versions": [
            {"name": "1", "format": "json", "fields": [
                {"metric": "temperature", "from": "a[*]", "unit": "kg"},
                {"metric": "temperature", "from": "b", "calibration": {"type": "linear", "factor": 0}},
                {"metric": "pressure", "from": "p"},
                {"metric": "door#", "from": {"offset": 0, "type": "u8"}},
            ]},
            {"name": "1", "format": "binary", "when": {}, "time": {"from": "t", "unit": "s"},
             "records": {"each": "x[*]", "length": 2, "fields": [{"metric": "temperature", "from": {"offset": 1, "type": "u16"}}]}},
        ],
    });
    insta::assert_snapshot!(problems(&json), @r#"
    id: it must have from 1 to 128 bytes and no control character
    clock.allowedSkewSeconds: 99999999 is more than a year
    expectedIntervalSeconds: it must be from 1 to 31622400
    metrics.door#: a metric's name has from 1 to 64 letters, digits, `_`, `-` and `.`
    metrics.door#.unit: only a metric of numbers has one
    metrics.temperature.range: its min 10 is above its max -10
    metrics.temperature.window.last: 0 is not from 1 to 2000
    versions[0].when: without it the version takes every message, so it must be the last
    versions[1].name: another version has the same
    versions[0].time: the device's clock is trusted, and its time is not read
    versions[0].fields[0].from: `[*]` stands in the `each` of records only
    versions[0].fields[0].unit: `kg` is no unit of what `°C` measures
    versions[0].fields[1].metric: temperature is read by an earlier field of this version
    versions[0].fields[1].calibration.factor: with 0, every reading is the same
    versions[0].fields[2].metric: `pressure` is not among the metrics
    versions[0].fields[3].from: JSON and CBOR are read by a path, not by an offset
    versions[1].when: it names no condition
    versions[1].time.from: a path leads nowhere in a binary format: give offset and type
    versions[1].records.each: only records of JSON and CBOR have one
    versions[1].records.offset: it must be from 0 to 1048575
    versions[1].records.fields[0].from.offset: the field ends behind the record's 2 bytes
    metrics.unread: no version reads it
    "#);
}

#[test]
fn versions_that_are_never_used_are_told() {
    let json = with(|json| {
        let version = json["versions"][0].clone();
        let mut binary = version.clone();
        (binary["name"], binary["when"]) = ("2".into(), json!({"length": 7, "minLength": 1}));
        let mut same = binary.clone();
        same["name"] = "3".into();
        json["versions"] = json!([version, binary, same]);
    });
    insta::assert_snapshot!(problems(&json), @r#"
    versions[0].when: without it the version takes every message, so it must be the last
    versions[2].when: versions[1] has the same and takes its messages
    versions[1].when.length: it is exact, so minLength and maxLength say nothing more
    versions[2].when.length: it is exact, so minLength and maxLength say nothing more
    "#);
}

#[test]
fn a_condition_that_can_never_hold_is_told() {
    let when = |when: Json| problems(&with(|json| json["versions"][0]["when"] = when));
    assert_eq!(when(json!({"equals": 1})), "versions[0].when.equals: there is no field to compare");
    assert_eq!(
        when(json!({"field": "v", "equals": 1.5})),
        "versions[0].when.equals: it must be a text, a whole number or a boolean"
    );
    assert_eq!(when(json!({"minLength": 9, "maxLength": 8})), "versions[0].when.minLength: 9 is above maxLength 8");
    assert_eq!(
        when(json!({"field": {"offset": 0, "type": "u8"}})),
        "versions[0].when.field: JSON and CBOR are read by a path, not by an offset"
    );
}

#[test]
fn a_trusted_clock_must_be_read() {
    let json = with(|json| json["clock"] = json!({"trust": "device"}));
    assert_eq!(problems(&json), "versions[0].time: the device's clock is trusted, and its time is not read");
}

#[test]
fn what_a_metrics_kind_has_no_use_for_is_told() {
    let json = with(|json| {
        json["metrics"]["light"] = json!({"kind": "text", "window": {"last": 3}, "range": {"min": 1}});
        json["versions"][0]["fields"][0]["text"] = true.into();
        json["versions"][0]["fields"][0]["unit"] = "lx".into();
        json["versions"][0]["fields"][0]["calibration"] = json!({"type": "linear", "factor": 1});
        json["versions"][0]["fields"][0]["states"] = json!({"1": ""});
    });
    insta::assert_snapshot!(problems(&json), @r#"
    metrics.light.range: only a metric of numbers has one
    metrics.light.window: only a metric of numbers has one
    versions[0].fields[0].unit: only a metric of numbers has one
    versions[0].fields[0].calibration: only a metric of numbers has one
    versions[0].fields[0].text: it allows numbers as text, and the metric has none
    versions[0].fields[0].states.1: a state's name has from 1 to 256 bytes and no control character
    "#);
}

#[test]
fn a_field_stands_in_exactly_one_place() {
    let field = |field: Json| problems(&with(|json| json["versions"][0]["fields"][0] = field));
    assert_eq!(field(json!({"metric": "light"})), "versions[0].fields[0].from: it is missing");
    assert_eq!(
        field(json!({"metric": "light", "from": "a", "latitude": "b"})),
        "versions[0].fields[0].from: give either from, or both longitude and latitude"
    );
    assert_eq!(
        field(json!({"metric": "light", "longitude": "a", "latitude": "b"})),
        "versions[0].fields[0].longitude: only a metric of positions has one"
    );
    assert_eq!(
        field(json!({"metric": "light", "from": "a", "unit": "mlx"})),
        "versions[0].fields[0].unit: the unit `mlx` is not known, so `mlx` is not converted to `lx`"
    );
}

#[test]
fn a_thermistor_gives_degrees_celsius_and_nothing_else() {
    let json = |unit: Json| {
        with(|json| {
            json["metrics"]["light"]["unit"] = "kg".into();
            json["versions"][0]["fields"][0] = json!({"metric": "light", "from": "a", "unit": unit, "calibration": {
                "type": "thermistor-beta", "beta": 3950, "nominalOhms": 10000,
                "divider": {"supplyVolts": 5, "seriesOhms": 10000, "thermistor": "ground"}}});
        })
    };
    assert_eq!(problems(&json(Json::Null)), "versions[0].fields[0].unit: `°C` is no unit of what `kg` measures");
    assert!(problems(&json("K".into())).starts_with("versions[0].fields[0].unit: a thermistor's calibration gives °C"));
}

#[test]
fn an_archived_text_has_nothing_to_read() {
    let json = with(|json| json["versions"][0]["format"] = "text".into());
    assert_eq!(problems(&json), "versions[0].fields: nothing is read from a text: it is archived only");
    let json = with(|json| json["versions"][0] = json!({"name": "1", "format": "text"}));
    assert_eq!(problems(&json), "metrics.light: no version reads anything");
}

#[test]
fn a_misspelt_key_is_told_with_its_place() {
    let json = with(|json| json["versions"][0]["fields"][0]["unti"] = "lx".into());
    let told = problems(&json);
    assert!(told.starts_with("versions[0].fields[0]"), "{told}");
    assert!(told.contains("unknown field `unti`"), "{told}");
    let json = with(|json| json["metrics"]["light"]["window"] = json!({"lst": 5}));
    assert!(problems(&json).starts_with("metrics.light.window"));
    assert!(Profile::parse(b"{} {}").is_err());
    assert_eq!(Profile::parse(b"").unwrap_err().len(), 1);
}
