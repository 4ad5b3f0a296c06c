//! Tests of invalid profiles: every problem is reported with its field.

use super::*;
use serde_json::{Value as Json, json};

fn problems(json: &Json) -> String {
    let problems = Profile::parse(json.to_string().as_bytes()).expect_err("this profile is invalid");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A valid profile with one version and one metric, changed by `change`.
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
fn the_profile_that_these_tests_change_is_valid() {
    assert!(Profile::parse(with(|_| {}).to_string().as_bytes()).is_ok());
}

#[test]
fn all_problems_of_a_profile_are_reported_together() {
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
    id: must have from 1 to 128 bytes and no control character
    clock.allowedSkewSeconds: 99999999 is more than a year; at most 31622400 seconds are allowed
    expectedIntervalSeconds: must be from 1 to 31622400
    metrics.door#: a metric's name must have from 1 to 64 characters: A to Z, a to z, 0 to 9, `_`, `-` and `.`
    metrics.door#.unit: is only allowed if the metric's kind is `number`
    metrics.temperature.range: min 10 is greater than max -10
    metrics.temperature.window.last: must be from 1 to 2000, not 0
    versions[0].when: is missing: without it a version matches every message, so it must be the last
    versions[1].name: an earlier version has the same name
    versions[0].time: is missing: clock.trust is `device`, so the device's time must be read
    versions[0].fields[0].from: `[*]` is only allowed in the `each` of records
    versions[0].fields[0].unit: cannot convert `kg` to `°C`: they measure different quantities
    versions[0].fields[1].metric: an earlier field of this version already reads `temperature`
    versions[0].fields[1].calibration.factor: must not be 0: every reading would be the same
    versions[0].fields[2].metric: `pressure` is not one of the profile's metrics: define it there, or correct the name
    versions[0].fields[3].from: this format has no offsets: give a path
    versions[1].when: must have at least one condition
    versions[1].time.from: a binary format has no paths: give an object with offset and type
    versions[1].records.each: is not allowed if the format is `binary`
    versions[1].records.offset: must be given, from 0 to 1048575
    versions[1].records.fields[0].from.offset: the field ends at byte 3, and a record has 2 bytes
    metrics.unread: no version reads this metric: add a field that does, or remove it
    "#);
}

#[test]
fn versions_that_can_never_be_used_are_reported() {
    let json = with(|json| {
        let version = json["versions"][0].clone();
        let mut binary = version.clone();
        (binary["name"], binary["when"]) = ("2".into(), json!({"length": 7, "minLength": 1}));
        let mut same = binary.clone();
        same["name"] = "3".into();
        json["versions"] = json!([version, binary, same]);
    });
    insta::assert_snapshot!(problems(&json), @r#"
    versions[0].when: is missing: without it a version matches every message, so it must be the last
    versions[2].when: is the same as in versions[1], so this version is never used
    versions[1].when.length: give either length, or minLength and maxLength
    versions[2].when.length: give either length, or minLength and maxLength
    "#);
}

#[test]
fn a_condition_that_can_never_hold_is_reported() {
    let when = |when: Json| problems(&with(|json| json["versions"][0]["when"] = when));
    assert_eq!(when(json!({"equals": 1})), "versions[0].when.equals: is only allowed with a field to compare");
    assert_eq!(
        when(json!({"field": "v", "equals": 1.5})),
        "versions[0].when.equals: must be a text, a whole number or a boolean"
    );
    assert_eq!(
        when(json!({"minLength": 9, "maxLength": 8})),
        "versions[0].when.minLength: 9 is greater than maxLength 8"
    );
    assert_eq!(
        when(json!({"field": {"offset": 0, "type": "u8"}})),
        "versions[0].when.field: this format has no offsets: give a path"
    );
}

#[test]
fn a_trusted_clock_must_be_read() {
    let json = with(|json| json["clock"] = json!({"trust": "device"}));
    assert_eq!(
        problems(&json),
        "versions[0].time: is missing: clock.trust is `device`, so the device's time must be read"
    );
}

#[test]
fn settings_that_do_not_apply_to_a_metrics_kind_are_reported() {
    let json = with(|json| {
        json["metrics"]["light"] = json!({"kind": "text", "window": {"last": 3}, "range": {"min": 1}});
        json["versions"][0]["fields"][0]["text"] = true.into();
        json["versions"][0]["fields"][0]["unit"] = "lx".into();
        json["versions"][0]["fields"][0]["calibration"] = json!({"type": "linear", "factor": 1});
        json["versions"][0]["fields"][0]["states"] = json!({"1": ""});
    });
    insta::assert_snapshot!(problems(&json), @r#"
    metrics.light.range: is only allowed if the metric's kind is `number`
    metrics.light.window: is only allowed if the metric's kind is `number`
    versions[0].fields[0].unit: is only allowed if the metric's kind is `number`
    versions[0].fields[0].calibration: is only allowed if the metric's kind is `number`
    versions[0].fields[0].text: is only allowed if the metric's kind is `number` or `position`
    versions[0].fields[0].states.1: a state's name must have from 1 to 256 bytes and no control character
    "#);
}

#[test]
fn windows_are_for_every_kind_and_their_problems_have_the_metrics_name() {
    let json = with(|json| {
        json["zone"] = "Mars/Base".into();
        json["metrics"]["light"] = json!({"kind": "text", "windows": [{"days": 1}, {"seconds": 0}]});
        json["versions"][0]["fields"][0] = json!({"metric": "light", "from": "a"});
    });
    insta::assert_snapshot!(problems(&json), @r"
    zone: is not a time zone: give a name of the IANA database, like `Asia/Tokyo`
    metrics.light.windows[1].seconds: must be from 1 to 86400, not 0
    ");
}

#[test]
fn windows_of_more_metrics_than_fit_into_a_row_are_a_problem() {
    let json = with(|json| {
        let mut fields = vec![json!({"metric": "light", "from": "a"})];
        for n in 0..65 {
            let kind = if n < 17 { "text" } else { "boolean" };
            json["metrics"][format!("m{n}")] = json!({"kind": kind, "windows": [{"days": 1}]});
            fields.push(json!({"metric": format!("m{n}"), "from": "a"}));
        }
        json["versions"][0]["fields"] = fields.into();
    });
    insta::assert_snapshot!(problems(&json), @r"
    metrics: 65 metrics have windows, at most 64 may
    metrics: 17 texts have windows, at most 16 may
    ");
}

#[test]
fn a_lone_narrow_counter_is_advised_against() {
    let with = |version: &str| {
        let json = format!(
            r#"{{"id":"p","metrics":{{"m":{{}}}},"versions":[{{"name":"1","format":"binary",{version},"fields":[{{"metric":"m","from":{{"offset":9,"type":"u8"}}}}]}}]}}"#
        );
        profile(&json).advice()
    };
    let counter = r#""identity":[{"offset":0,"type":"u8"}]"#;
    let advice = with(counter);
    assert_eq!(advice[0].field, "versions[0].identity");
    assert!(advice[0].message.starts_with("a counter of 8 bits begins again after 256 messages"), "{}", advice[0]);
    assert_eq!(with(r#""identity":[{"offset":0,"type":"u32"}]"#), []);
    assert_eq!(with(r#""identity":[{"offset":0,"type":"u8"},{"offset":1,"type":"u16"}]"#), []);
    assert_eq!(with(&format!(r#"{counter},"time":{{"from":{{"offset":1,"type":"u32"}},"unit":"s"}}"#)), []);
}

#[test]
fn a_field_has_exactly_one_source() {
    let field = |field: Json| problems(&with(|json| json["versions"][0]["fields"][0] = field));
    assert_eq!(field(json!({"metric": "light"})), "versions[0].fields[0].from: is missing: say where the value is");
    assert_eq!(
        field(json!({"metric": "light", "from": "a", "latitude": "b"})),
        "versions[0].fields[0].from: give either from, or both longitude and latitude"
    );
    assert_eq!(
        field(json!({"metric": "light", "longitude": "a", "latitude": "b"})),
        "versions[0].fields[0].longitude: is only allowed if the metric's kind is `position`"
    );
    assert_eq!(
        field(json!({"metric": "light", "from": "a", "unit": "mlx"})),
        "versions[0].fields[0].unit: cannot convert `mlx` to `lx`: the unit `mlx` is unknown; `myaku profile units` lists those that are known"
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
    assert_eq!(
        problems(&json(Json::Null)),
        "versions[0].fields[0].unit: cannot convert `°C` to `kg`: they measure different quantities"
    );
    assert!(problems(&json("K".into())).starts_with("versions[0].fields[0].unit: a thermistor's calibration gives °C"));
}

#[test]
fn a_version_of_the_format_text_reads_nothing() {
    let json = with(|json| json["versions"][0]["format"] = "text".into());
    assert_eq!(problems(&json), "versions[0].fields: is not allowed: the format `text` is archived and not read");
    let json = with(|json| json["versions"][0] = json!({"name": "1", "format": "text"}));
    assert_eq!(
        problems(&json),
        "metrics.light: no version reads this metric: the format `text` is archived and not read"
    );
}

#[test]
fn a_misspelt_key_is_reported_with_its_place() {
    let json = with(|json| json["versions"][0]["fields"][0]["unti"] = "lx".into());
    let problem = problems(&json);
    assert!(problem.starts_with("versions[0].fields[0]"), "{problem}");
    assert!(problem.contains("unknown field `unti`"), "{problem}");
    let json = with(|json| json["metrics"]["light"]["window"] = json!({"lst": 5}));
    assert!(problems(&json).starts_with("metrics.light.window"));
    assert!(Profile::parse(b"{} {}").is_err());
    assert_eq!(Profile::parse(b"").unwrap_err().len(), 1);
}
