use super::*;
use serde_json::json;

fn event(payload: &[u8]) -> Event<'_> {
    Event { topic: "dt/myaku/home-3/bed-17/vital", client_id: "gw-3", payload, received_at: 1_795_218_892_020 }
}

fn evaluate(sql: &str, payload: &[u8]) -> Result<Option<Output>, SqlFailure> {
    let mut ids = 0;
    let mut new_uuid = || {
        ids += 1;
        format!("id-{ids}")
    };
    Statement::parse(sql).unwrap().evaluate(&event(payload), &mut new_uuid)
}

const INGEST: &str = "SET @id = newuuid() SELECT @id AS deliveryId, topic(4) AS deviceId, topic(3) AS facility, \
    topic(5) AS kind, clientid() AS clientId, timestamp() AS receivedAt, encode(*, 'base64') AS payload \
    FROM 'dt/myaku/+/+/+'";

#[test]
fn the_ingest_rule_makes_a_record_of_any_bytes() {
    let output = evaluate(INGEST, &[0xff, 0x00, 0x01]).unwrap().unwrap();
    assert_eq!(
        output.record,
        json!({ "deliveryId": "id-1", "deviceId": "bed-17", "facility": "home-3", "kind": "vital", "clientId": "gw-3",
                "receivedAt": 1_795_218_892_020_i64, "payload": "/wAB" })
    );
    let key = Substitution::parse("rule-errors/${timestamp()}-${@id}.json").unwrap();
    let filled = key.fill(&event(b""), &output.variables, &mut String::new).unwrap();
    assert_eq!(filled, "rule-errors/1795218892020-id-1.json");
}

#[test]
fn a_condition_on_the_payload_selects_messages() {
    let sql =
        "SELECT *, topic() AS topic FROM '#' WHERE state.level > 3 AND NOT (kind = 'test' OR topic(5) <> 'vital')";
    let output = evaluate(sql, br#"{"state":{"level":4}}"#).unwrap().unwrap();
    assert_eq!(output.record, json!({ "state": { "level": 4 }, "topic": "dt/myaku/home-3/bed-17/vital" }));
    assert_eq!(evaluate(sql, br#"{"state":{"level":3}}"#).unwrap(), None);
    assert_eq!(evaluate(sql, br#"{"state":{"level":4},"kind":"test"}"#).unwrap(), None);
    assert_eq!(evaluate(sql, b"not JSON").unwrap(), None);
}

#[test]
fn an_undefined_field_is_left_out() {
    assert_eq!(evaluate("SELECT a.b AS x, topic(9) AS y FROM '#'", b"{}").unwrap().unwrap().record, json!({}));
    assert!(evaluate("SELECT * FROM '#'", b"[1]").is_err());
}

#[test]
fn an_error_has_the_position_of_what_does_not_run_on_this_machine() {
    for (sql, problem) in [
        ("SELECT sourceip() AS x FROM '#'", "at character 8: the function sourceip does not run on this machine"),
        ("SELECT a FROM 'a/#/b'", "at character 15: \"a/#/b\" is not a topic filter: # must be the last level"),
        ("SELECT a FROM '#' GROUP BY b", "at character 19: GROUP does not run on this machine"),
        ("SELECT topic(1) FROM '#'", "at character 8: this field needs a name: add AS …"),
        ("SELECT encode(*) AS x FROM '#'", "at character 8: encode takes 2 arguments, not 1"),
        ("FROM '#'", "at character 1: expected SELECT"),
        ("SELECT 'a FROM", "at character 8: the closing quote of a text is missing"),
    ] {
        let error = Statement::parse(sql).unwrap_err().to_string();
        assert!(error.ends_with(problem), "{sql}: {error}");
    }
}
