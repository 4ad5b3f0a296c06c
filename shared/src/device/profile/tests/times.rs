//! Times as devices of the trade write them.

use super::*;
use crate::device::reading::Value;

/// A profile of one metric, with these settings of its version.
fn version(settings: &str) -> Profile {
    profile(&format!(
        r#"{{"id":"p","zone":"Asia/Tokyo","metrics":{{"m":{{}}}},"versions":[{{"name":"1","format":"json",{settings}}}]}}"#
    ))
}

/// Value and time after the receipt, in milliseconds, or why there is none.
fn read(profile: &Profile, payload: &str) -> String {
    let payload = message(payload);
    let decoded = profile.decode(&payload, ARRIVED);
    let values = decoded.readings.iter().map(|it| format!("{} at {}", number(&it.value), it.at - RECEIVED));
    let rejected = decoded.rejected.iter().map(|rejected| rejected.detail.clone());
    values.chain(rejected).collect::<Vec<_>>().join("; ")
}

fn number(value: &Value) -> f64 {
    let Value::Number(number) = value else { panic!("{value:?} is not a number") };
    *number
}

/// The identity of the first reading.
fn identity(profile: &Profile, payload: &str, received_at: i64) -> String {
    let message = Message { received_at, delivery_id: received_at.to_string(), ..message(payload) };
    profile.decode(&message, received_at + 80).readings[0].id.clone()
}

#[test]
fn records_can_say_how_old_they_are() {
    let samples =
        r#""records":{"each":"s[*]","fields":[{"metric":"m","from":"v"}],"time":{"from":"a","unit":"s","relative":"#;
    let age = version(&format!(r#"{samples}"before-receipt"}}}}"#));
    let payload = r#"{"s":[{"v":1,"a":20},{"v":2,"a":10}]}"#;
    assert_eq!(read(&age, payload), "1 at -20000; 2 at -10000");
    let before = version(&format!(r#""time":{{"from":"ts","unit":"ms"}},{samples}"before-message"}}}}"#));
    let payload = format!(r#"{{"ts":{},"s":[{{"v":1,"a":20}},{{"v":2,"a":10}}]}}"#, RECEIVED - 500);
    assert_eq!(read(&before, &payload), "1 at -20500; 2 at -10500");
    let previous = version(&format!(r#""time":{{"from":"ts","unit":"ms"}},{samples}"after-previous"}}}}"#));
    assert_eq!(read(&previous, &payload), "1 at 19500; 2 at 29500");
}

#[test]
fn an_age_is_no_part_of_the_identity() {
    let age = version(
        r#""identity":["n"],"time":{"from":"a","unit":"s","relative":"before-receipt"},"fields":[{"metric":"m","from":"v"}]"#,
    );
    let payload = r#"{"n":7,"a":20,"v":1}"#;
    assert_eq!(identity(&age, payload, RECEIVED), identity(&age, payload, RECEIVED + 5_000));
    // A time by the device's clock is.
    let clock = version(r#""identity":["n"],"time":{"from":"t","unit":"ms"},"fields":[{"metric":"m","from":"v"}]"#);
    let at = |t: i64| identity(&clock, &format!(r#"{{"n":7,"t":{t},"v":1}}"#), RECEIVED);
    assert_ne!(at(RECEIVED), at(RECEIVED - 1));
}

#[test]
fn the_step_between_records_can_stand_in_the_message() {
    let profile = version(
        r#""time":{"from":"start","unit":"ms"},"records":{"each":"v[*]","step":{"from":"period","unit":"s"},"fields":[{"metric":"m","from":"@"}]}"#,
    );
    assert_eq!(
        read(&profile, &format!(r#"{{"start":{},"period":0.5,"v":[1,2,3]}}"#, RECEIVED - 1_000)),
        "1 at -1000; 2 at -500; 3 at 0"
    );
    assert!(read(&profile, &format!(r#"{{"start":{RECEIVED},"period":"x","v":[1]}}"#)).contains("it is a text"));
}

#[test]
fn parallel_arrays_belong_together_by_index() {
    let profile = version(
        r#""records":{"columns":{"t":"data.times","v":"data.values"},"time":{"from":"t","unit":"ms"},"fields":[{"metric":"m","from":"v","optional":true}]}"#,
    );
    let payload = |times: &str, values: &str| format!(r#"{{"data":{{"times":{times},"values":{values}}}}}"#);
    let times = format!("[{},{}]", RECEIVED - 2_000, RECEIVED - 1_000);
    assert_eq!(read(&profile, &payload(&times, "[1,2]")), "1 at -2000; 2 at -1000");
    assert_eq!(read(&profile, &payload(&times, "[null,2]")), "2 at -1000");
    assert_eq!(
        read(&profile, &payload(&times, "[1]")),
        "1 at -2000; from value 1 on: the arrays have different lengths; 1 elements belong together"
    );
    assert_eq!(read(&profile, &payload(&times, "{}")), "from value 0 on: instead of the array `v` there is an object");
}

#[test]
fn a_counter_of_uptime_is_turned_into_times() {
    let profile = version(
        r#""sent":{"from":"now","unit":"ms"},"records":{"each":"s[*]","time":{"from":"t","unit":"ms","wrapsAt":4294967296},"fields":[{"metric":"m","from":"v"}]}"#,
    );
    // The counter began again between the two samples.
    let payload = r#"{"now":3000,"s":[{"v":1,"t":4294965296},{"v":2,"t":1000}]}"#;
    assert_eq!(read(&profile, payload), "1 at -5000; 2 at -2000");
}

#[test]
fn a_local_time_is_of_the_profiles_zone_or_its_own() {
    let fields = r#""fields":[{"metric":"m","from":"v"}]"#;
    let tokyo = version(&format!(r#""time":{{"from":"t","unit":"local"}},{fields}"#));
    assert_eq!(read(&tokyo, r#"{"v":1,"t":"2026-11-21 08:54:50"}"#), "1 at -2020");
    let berlin = version(&format!(
        r#""time":{{"from":"t","unit":"local","zone":"Europe/Berlin","pattern":"%d.%m.%y %H:%M"}},{fields}"#
    ));
    assert_eq!(read(&berlin, r#"{"v":1,"t":"21.11.26 00:54"}"#), "1 at -52020");
}

#[test]
fn settings_of_times_that_cannot_be_are_reported_by_field() {
    let fields = r#""fields":[{"metric":"m","from":"v"}]"#;
    for (settings, problem) in [
        (r#""time":{"from":"t","unit":"s","zone":"UTC"}"#, "time.zone: is only allowed with the unit `local`"),
        (
            r#""time":{"from":"t","unit":"local","zone":"Tokyo"}"#,
            "time.zone: is not a time zone: give a name of the IANA database, like `Asia/Tokyo`",
        ),
        (
            r#""time":{"from":"t","unit":"local","pattern":"%Q %d"}"#,
            "time.pattern: does not give a date and a time: use directives of strftime, such as `%Y-%m-%d %H:%M:%S`",
        ),
        (
            r#""time":{"from":"t","unit":"iso8601","epoch":"gps"}"#,
            "time.epoch: is only allowed with the unit of a number",
        ),
        (
            r#""time":{"from":"t","unit":"s","relative":"after-message"}"#,
            "time.relative: is only allowed in records.time",
        ),
        (
            r#""time":{"from":"t","unit":"ms","wrapsAt":65536}"#,
            "time.wrapsAt: is only allowed if the version reads `sent`, and not in `sent` itself",
        ),
    ] {
        let json = format!(
            r#"{{"id":"p","metrics":{{"m":{{}}}},"versions":[{{"name":"1","format":"json",{settings},{fields}}}]}}"#
        );
        let problems = Profile::parse(json.as_bytes()).unwrap_err();
        assert_eq!(problems[0].to_string(), format!("versions[0].{problem}"));
    }
}
