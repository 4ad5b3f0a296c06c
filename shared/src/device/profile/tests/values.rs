//! Values as devices of the trade write them.

use super::*;

/// A profile with one field of one metric.
fn one(metric: &str, field: &str) -> Profile {
    profile(&format!(
        r#"{{"id":"p","metrics":{{"m":{metric}}},"versions":[{{"name":"1","format":"json","fields":[{{"metric":"m",{field}}}]}}]}}"#
    ))
}

/// The value, or the reason and the words why there is none.
fn read(profile: &Profile, payload: &str) -> String {
    let payload = message(payload);
    let decoded = profile.decode(&payload, ARRIVED);
    let values = decoded.readings.iter().map(|reading| serde_json::to_string(&reading.value).unwrap());
    let rejected = decoded.rejected.iter().map(|rejected| format!("{}: {}", rejected.reason.name(), rejected.detail));
    values.chain(rejected).collect::<Vec<_>>().join("; ")
}

#[test]
fn values_that_mean_none_are_missing() {
    let field = r#""from":"v","text":true,"optional":true,"absent":[-127,"","unavailable",85.0]"#;
    let profile = one(r#"{"unit":"°C"}"#, field);
    for absent in [
        r#"{"v":-127}"#,
        r#"{"v":"-127"}"#,
        r#"{"v":"85.0"}"#,
        r#"{"v":""}"#,
        r#"{"v":" unavailable "}"#,
        r#"{"v":85}"#,
        "{}",
    ] {
        assert_eq!(read(&profile, absent), "", "{absent}");
    }
    assert_eq!(read(&profile, r#"{"v":84.9}"#), "84.9");
    assert_eq!(read(&profile, r#"{"v":"offline"}"#), "not-a-number: m (value 0): it is a text that is not a number");
}

#[test]
fn a_boolean_can_have_names() {
    let profile = one(r#"{"kind":"boolean"}"#, r#""from":"v","states":{"ON":true,"OFF":false,"7":true}"#);
    assert_eq!(read(&profile, r#"{"v":"ON"}"#), "true");
    assert_eq!(read(&profile, r#"{"v":"OFF"}"#), "false");
    assert_eq!(read(&profile, r#"{"v":7}"#), "true");
    assert_eq!(read(&profile, r#"{"v":"on"}"#), "out-of-range: m (value 0): it is not one of the profile's states");
}

#[test]
fn numbers_in_text_can_have_a_comma_and_a_unit_behind() {
    let comma = one(r#"{"unit":"°C"}"#, r#""from":"v","text":true,"decimalComma":true"#);
    assert_eq!(read(&comma, r#"{"v":"36,5"}"#), "36.5");
    let behind = one(r#"{"unit":"V"}"#, r#""from":"v","text":true,"unitBehind":true,"unit":"kV""#);
    assert_eq!(read(&behind, r#"{"v":"36.5 V"}"#), "36.5");
    assert_eq!(read(&behind, r#"{"v":"1500mV"}"#), "1.5");
    assert_eq!(read(&behind, r#"{"v":"2"}"#), "2000.0");
    let wrong = "undecodable: m (value 0): the unit that the message names cannot be converted to `V`";
    assert_eq!(read(&behind, r#"{"v":"36.5 %"}"#), wrong);
    let both = one(r#"{"unit":"°C"}"#, r#""from":"v","text":true,"unitBehind":true,"decimalComma":true"#);
    assert_eq!(read(&both, r#"{"v":"-3,5 °C"}"#), "-3.5");
}

#[test]
fn a_unit_and_a_power_of_ten_can_stand_beside_the_number() {
    let unit = one(r#"{"unit":"V"}"#, r#""from":"v","unitFrom":"u""#);
    assert_eq!(read(&unit, r#"{"v":1500,"u":"mV"}"#), "1.5");
    assert_eq!(read(&unit, r#"{"v":37}"#), "37.0");
    let scaled = one(r#"{"unit":"kg"}"#, r#""from":"value","exponentFrom":"unit""#);
    assert_eq!(read(&scaled, r#"{"value":65750,"unit":-3}"#), "65.75");
    assert_eq!(
        read(&scaled, r#"{"value":65750,"unit":99}"#),
        "out-of-range: m (value 0): its power of ten is not a whole number from -30 to 30"
    );
    assert!(read(&scaled, r#"{"value":1}"#).starts_with("not-a-number: m (value 0): its power of ten: "));
}

#[test]
fn a_field_is_read_where_a_value_beside_it_says_so() {
    let profile = profile(
        r#"{"id":"scale","metrics":{"weight":{"unit":"kg"},"fat":{"unit":"%"}},"versions":[{"name":"1","format":"json",
        "records":{"each":"g[*].m[*]","where":{"field":"algo","equals":0},"fields":[
            {"metric":"weight","from":"value","exponentFrom":"unit","where":{"field":"type","equals":1}},
            {"metric":"fat","from":"value","exponentFrom":"unit","where":{"field":"type","equals":6}}]}}]}"#,
    );
    let payload = r#"{"g":[{"m":[{"type":1,"value":65750,"unit":-3,"algo":0},{"type":6,"value":213,"unit":-1,"algo":0},
        {"type":1,"value":9,"unit":0,"algo":7},{"type":77,"value":1,"unit":0,"algo":0}]}]}"#;
    assert_eq!(read(&profile, payload), "65.75; 21.3");
}

#[test]
fn settings_that_cannot_be_are_reported_by_field() {
    for (metric, field, problem) in [
        (r#"{"kind":"boolean"}"#, r#""from":"v","states":{"ON":"yes"}"#, "states.ON: must be true or false"),
        (r#"{"kind":"text"}"#, r#""from":"v","states":{"ON":true}"#, "states.ON: must be a text"),
        ("{}", r#""from":"v","unitFrom":"u""#, "unitFrom: is only allowed if metrics.m has a unit to convert to"),
        (
            "{}",
            r#""from":"v","decimalComma":true"#,
            "decimalComma: is only allowed for a number, with `\"text\": true`",
        ),
        ("{}", r#""from":"v","absent":[null]"#, "absent[0]: must be a number, a text or a boolean"),
        ("{}", r#""from":"v","where":{"field":"a..b"}"#, "where.field: `a..b`: a key is empty"),
    ] {
        let json = format!(
            r#"{{"id":"p","metrics":{{"m":{metric}}},"versions":[{{"name":"1","format":"json","fields":[{{"metric":"m",{field}}}]}}]}}"#
        );
        let problems = Profile::parse(json.as_bytes()).unwrap_err();
        assert_eq!(problems[0].to_string(), format!("versions[0].fields[0].{problem}"));
    }
}
