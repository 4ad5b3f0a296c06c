//! Tests tumbling windows.

use super::*;
use serde_json::{Value, json};

/// Sums the records' numbers into the state, as the guide's example does.
fn sums(call: &Call) -> Answer {
    let before = call.event["state"]["sum"].as_u64().unwrap_or(0);
    let sum: u64 = call.data.iter().map(|data| data.parse::<u64>().unwrap()).sum();
    Ok(json!({"state": {"sum": before + sum}}).to_string())
}

fn configure(settings: &mut Settings) {
    settings.tumbling_window = Some(Duration::from_mins(1));
    settings.batch_size = 2;
}

/// What each invocation received: its records, its state, the window's start in seconds after the test's start, and
/// the flags that are set.
fn seen(scene: &Scene) -> Vec<String> {
    let line = |call: &Call| {
        let event = &call.event;
        let start: jiff::Timestamp = event["window"]["start"].as_str().unwrap().parse().unwrap();
        let mut line = format!("{:?} {} @{}", call.data, event["state"], start.as_second() - START_MS / 1_000);
        for flag in ["isFinalInvokeForWindow", "isWindowTerminatedEarly"] {
            if event[flag] == Value::Bool(true) {
                line = format!("{line} {flag}");
            }
        }
        line
    };
    scene.calls().iter().map(line).collect()
}

/// "Lambda determines tumbling window boundaries based on the time when records were inserted into the stream." "At the
/// end of the window, the flag `isFinalInvokeForWindow` is set to `true` to indicate that this is the final state".
#[test]
fn each_invocation_receives_the_state_of_the_one_before_until_the_window_ends() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        for (data, second) in [("1", 0), ("2", 1), ("3", 59), ("4", 60)] {
            stream.put("key", data.as_bytes(), START_MS + second * 1_000);
        }
        let scene = Scene::start(sim, &stream, configure, sums);
        sim.sleep(Duration::from_secs(125)).await;
        assert_eq!(
            seen(&scene),
            [
                r#"["1", "2"] {} @0"#,
                r#"["3"] {"sum":3} @0"#,
                r#"[] {"sum":6} @0 isFinalInvokeForWindow"#,
                r#"["4"] {} @60"#,
                r#"[] {"sum":4} @60 isFinalInvokeForWindow"#,
            ]
        );
        let last = scene.calls().last().unwrap().at_ms - START_MS;
        assert!((120_000..122_000).contains(&last), "a window closes when its time is over, not at {last} ms");
    });
}

/// "If the response does not contain a `state` property, Lambda considers this a failed invocation."
#[test]
fn a_response_without_state_is_a_failure() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, [1]);
        let mut first = true;
        let answer = move |call: &Call| if std::mem::take(&mut first) { Ok("{}".to_owned()) } else { sums(call) };
        let scene = Scene::start(sim, &stream, configure, answer);
        scene.settled().await;
        assert_eq!(seen(&scene), [r#"["1"] {} @0"#, r#"["1"] {} @0"#]);
        assert_eq!(scene.handle.status().failures, 1);
    });
}

/// "If it exceeds that size, Lambda terminates the window early."
#[test]
fn a_state_over_its_limit_ends_its_window_early_and_the_window_begins_again_with_an_empty_state() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, [1]);
        let mut first = true;
        let answer = move |call: &Call| {
            let large = "x".repeat(super::super::window::STATE_BYTES_MAX);
            if std::mem::take(&mut first) { Ok(json!({"state": large}).to_string()) } else { sums(call) }
        };
        let scene = Scene::start(sim, &stream, configure, answer);
        scene.settled().await;
        put_numbers(&stream, [2]);
        scene.settled().await;
        let flags: Vec<_> = scene
            .calls()
            .iter()
            .map(|call| (call.event["isFinalInvokeForWindow"] == true, call.event["isWindowTerminatedEarly"] == true))
            .collect();
        assert_eq!(flags, [(false, false), (true, true), (false, false)]);
        assert_eq!(seen(&scene)[2], r#"["2"] {} @0"#);
    });
}

/// "When the shard ends, Lambda considers the window closed, and the child shards start their own window in a fresh
/// state."
#[test]
fn a_shard_that_ends_closes_its_window() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, [1]);
        let parent = stream.open_shards()[0].clone();
        stream.split(&parent);
        put_numbers(&stream, [2]);
        let scene = Scene::start(sim, &stream, configure, sums);
        scene.settled().await;
        assert_eq!(seen(&scene), [r#"["1"] {} @0"#, r#"[] {"sum":1} @0 isFinalInvokeForWindow"#, r#"["2"] {} @0"#]);
    });
}

/// "If invocation is unsuccessful, your Lambda function suspends further processing until a successful invocation."
#[test]
fn a_final_invocation_is_repeated_until_it_succeeds() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        stream.put("key", b"1", START_MS);
        stream.put("key", b"2", START_MS + 60_000);
        let mut failures = 3;
        let answer = move |call: &Call| {
            if call.event["isFinalInvokeForWindow"] == true && failures > 0 {
                failures -= 1;
                return fails();
            }
            sums(call)
        };
        let scene =
            Scene::start(sim, &stream, |settings| (configure(settings), settings.max_retries = Some(0)).1, answer);
        scene.settled().await;
        let calls = seen(&scene);
        assert_eq!(calls.iter().filter(|call| call.ends_with("isFinalInvokeForWindow")).count(), 4);
        assert_eq!(calls.last().unwrap(), r#"["2"] {} @60"#);
    });
}

/// "Tumbling windows fully support the existing retry policies `maxRetryAttempts` and `maxRecordAge`."
#[test]
fn a_discarded_batch_does_not_change_the_state() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=6);
        let answer = |call: &Call| if call.data.contains(&"3".to_owned()) { fails() } else { sums(call) };
        let scene =
            Scene::start(sim, &stream, |settings| (configure(settings), settings.max_retries = Some(1)).1, answer);
        scene.settled().await;
        assert_eq!(
            seen(&scene),
            [
                r#"["1", "2"] {} @0"#,
                r#"["3", "4"] {"sum":3} @0"#,
                r#"["3", "4"] {"sum":3} @0"#,
                r#"["5", "6"] {"sum":3} @0"#
            ]
        );
    });
}
