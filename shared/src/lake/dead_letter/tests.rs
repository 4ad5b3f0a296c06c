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
    let mut letter = letter("49541296383533603670305612607160966548683674396982771921", Reason::UnknownDevice, b"");
    assert_eq!(
        letter.key(),
        "dead-letters/reason=unknown-device/stream=myaku-IngestStream-1/dt=2026-11-20/hh=23/shardId-000000000003/\
         49541296383533603670305612607160966548683674396982771921.0000000002.json"
    );
    letter.index = Some(12);
    assert!(letter.key().ends_with("0000000002-0012.json"));
}

#[test]
fn a_letters_key_round_trips_and_the_key_of_another_object_does_not_parse() {
    for index in [None, Some(12), Some(12_345)] {
        let letter = DeadLetter { index, ..letter("7", Reason::UnknownDevice, b"") };
        let key = LetterKey::parse(&letter.key()).unwrap();
        assert_eq!(key.to_string(), letter.key());
        assert_eq!((key.reason, key.position, key.index), (letter.reason, letter.position, index));
    }
    for bad in ["rule-errors/1-a.json", "dead-letters/reason=other/stream=s/dt=2026-11-20/hh=23/shard/7.0.json", ""] {
        assert_eq!(LetterKey::parse(bad), None, "{bad}");
    }
    // No letter has a key in which the position has another spelling.
    let key = DeadLetter { index: Some(12), ..letter("7", Reason::UnknownDevice, b"") }.key();
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
