use super::conformance::letter;
use super::*;
use proptest::prelude::*;

fn many(n: usize) -> Vec<DeadLetter> {
    (0..n).map(|index| letter(&format!("{index}"), Reason::UnknownDevice, b"{}")).collect()
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::suite(&MemoryDeadLetters::new()).await;
}

#[test]
fn a_key_states_reason_stream_hour_shard_and_position() {
    let letter = letter("49541296383533603670305612607160966548683674396982771921", Reason::UnknownDevice, b"");
    assert_eq!(
        letter.key(),
        "dead-letters/reason=unknown-device/stream=myaku-IngestStream-1/dt=2026-11-20/hh=23/shardId-000000000003/\
         49541296383533603670305612607160966548683674396982771921.0000000002.json"
    );
}

#[test]
fn a_letters_key_round_trips_and_the_key_of_another_object_does_not_parse() {
    let letter = letter("7", Reason::UnknownDevice, b"");
    // Earlier versions wrote one letter for each value of a record, with its number in the key.
    for index in [None, Some(12), Some(12_345)] {
        let key = LetterKey { index, ..LetterKey::parse(&letter.key()).unwrap() };
        assert_eq!(LetterKey::parse(&key.to_string()), Some(key.clone()));
        assert_eq!((key.reason, key.position), (letter.reason, letter.position));
    }
    for bad in ["rule-errors/1-a.json", "dead-letters/reason=other/stream=s/dt=2026-11-20/hh=23/shard/7.0.json", ""] {
        assert_eq!(LetterKey::parse(bad), None, "{bad}");
    }
    // No letter has a key in which the position has another spelling.
    let key = letter.key().replace(".json", "-0012.json");
    assert!(LetterKey::parse(&key).is_some());
    for bad in [key.replace("-0012", "-12"), key.replace("-0012", "-+012"), key.replacen("/0", "/", 1)] {
        assert_eq!(LetterKey::parse(&bad), None, "{bad}");
    }
}

#[test]
fn a_letter_is_one_line_of_json_with_the_record_in_readable_form() {
    let written = |data: &[u8]| String::from_utf8(letter("7", Reason::MissingField, data).to_json()).unwrap();
    insta::assert_snapshot!(written(br#"{"deviceId":"bed-17", "n":1.0}"#), @r#"{"reason":"missing-field","detail":"no device bed-17","stream":"myaku-IngestStream-1","shard":"shardId-000000000003","position":"00000000000000000000000000000000000000000000000000000007.0000000002","partitionKey":"7d0c","arrived":1795218892020,"deviceId":"bed-17","json":{"deviceId":"bed-17", "n":1.0}}"#);
    assert!(written(b"plain \xe2\x82\xac\n").ends_with("\"text\":\"plain €\\n\"}\n"));
    assert!(written(b"\xff").ends_with("\"b64\":\"/w==\"}\n"));
}

#[test]
fn a_letter_lists_what_failed() {
    let failure = |sub, index, metric: Option<&str>| Failure {
        sub,
        index,
        metric: metric.map(str::to_owned),
        problem: Problem { reason: Reason::OutOfRange, detail: "below 20".to_owned() },
    };
    let failures = vec![failure(None, Some(3), Some("spo2")), failure(Some(7), None, None)];
    let letter = DeadLetter { failures, unlisted: 6_662, is_whole: true, ..letter("7", Reason::OutOfRange, b"{}") };
    let json = String::from_utf8(letter.to_json()).unwrap();
    let list = r#""whole":true,"partitionKey":"7d0c","arrived":1795218892020,"deviceId":"bed-17","failures":[{"index":3,"metric":"spo2","reason":"out-of-range","detail":"below 20"},{"sub":7,"reason":"out-of-range","detail":"below 20"}],"unlisted":6662,"json":{}"#;
    assert!(json.contains(list), "{json}");
    assert_eq!(DeadLetter::from_json(json.as_bytes()).unwrap(), letter);
}

#[test]
fn a_letter_of_an_earlier_version_stays_readable() {
    let old = br#"{"reason":"out-of-range","detail":"hr (value 0): below 20","stream":"myaku-IngestStream-1","shard":"shardId-000000000003","position":"00000000000000000000000000000000000000000000000000000007.0000000002","index":12,"partitionKey":"7d0c","arrived":1795218892020,"deviceId":"bed-17","json":{"hr":9}}"#;
    let read = DeadLetter::from_json(old).unwrap();
    let detail = "hr (value 0): below 20".to_owned();
    assert_eq!(read, DeadLetter { detail, ..letter("7", Reason::OutOfRange, br#"{"hr":9}"#) });
}

#[test]
fn json_that_is_nested_too_deeply_for_readers_is_kept_as_text() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let letter = letter("7", Reason::NotAMessage, deep.as_bytes());
    serde_json::from_slice::<serde_json::Value>(&letter.to_json()).unwrap();
    assert_eq!(DeadLetter::from_json(&letter.to_json()).unwrap(), letter);
}

#[test]
fn a_reason_has_the_same_name_in_keys_and_in_letters() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
    }
}

#[test]
fn an_object_that_is_not_a_letter_is_an_error() {
    let json = String::from_utf8(letter("7", Reason::MissingField, b"{}").to_json()).unwrap();
    for bad in ["", "{}", &json.replace("\"json\"", "\"other\""), &json.replace("\"json\"", "\"text\":\"\",\"json\"")] {
        assert!(DeadLetter::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn all_letters_are_written() {
    let store = MemoryDeadLetters::new();
    put_all(&store, &many(100), std::future::pending()).await.unwrap();
    assert_eq!(store.letters().len(), 100);
}

#[tokio::test]
async fn after_a_failed_put_the_error_names_the_unwritten_letters_and_no_put_begins() {
    let store = MemoryDeadLetters::new();
    store.refuse("00040.", Remedy::SlowDown);
    let error = put_all(&store, &many(1_000), std::future::pending()).await.unwrap_err();
    assert_eq!(error.source.remedy, Remedy::SlowDown);
    assert!(error.unwritten.contains(&40));
    assert_eq!(error.unwritten.len() + store.letters().len(), 1_000);
    assert!(store.puts() <= 40 + 2 * CONCURRENT_PUTS, "{} puts", store.puts());
}

#[tokio::test]
async fn the_stop_signal_ends_a_wait_for_a_store_that_hangs() {
    let store = MemoryDeadLetters::new();
    store.hang();
    let error = put_all(&store, &many(3), std::future::ready(())).await.unwrap_err();
    assert_eq!(error.unwritten, [0, 1, 2]);
}

proptest! {
    #[test]
    fn any_bytes_round_trip_exactly(data in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "[ \n]?(\\{\"a\": ?[0-9.eE+-]{1,5}\\}|\\[\"\\PC{0,8}\"\\]|\"\\\\u[dD][89ab][0-9a-f]{2}\")[ \n]?".prop_map(String::into_bytes),
    ]) {
        let letter = letter("7", Reason::NotAMessage, &data);
        let json = letter.to_json();
        prop_assert_eq!(json.iter().position(|byte| *byte == b'\n'), Some(json.len() - 1));
        prop_assert_eq!(DeadLetter::from_json(&json).unwrap(), letter);
    }
}
