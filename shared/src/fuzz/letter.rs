//! Checks the reading and writing of dead letters.

use crate::lake::dead_letter::{DeadLetter, LetterKey, Reason};
use crate::stream::batch::Position;

/// Uses the bytes as a stored dead letter, and as the record in one.
pub fn letter(bytes: &[u8]) {
    if let Ok(letter) = DeadLetter::from_json(bytes) {
        check_same_letter(&letter);
    }
    let letter = DeadLetter {
        stream: "ingest".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: Position { sub: 3, ..Position::ZERO },
        is_whole: bytes.len() % 2 == 1,
        partition_key: String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned(),
        arrived_ms: 1_795_218_892_020,
        device_id: None,
        reason: Reason::Undecodable,
        detail: String::new(),
        failures: Vec::new(),
        unlisted: bytes.len(),
        data: bytes.to_vec(),
    };
    check_same_letter(&letter);
    assert!(LetterKey::parse(&letter.key()).is_some_and(|key| key.to_string() == letter.key()));
}

fn check_same_letter(letter: &DeadLetter) {
    let json = letter.to_json();
    assert_eq!(json.split(|byte| *byte == b'\n').count(), 2, "a letter is one line");
    // Any JSON parser must accept it.
    assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
    assert!(matches!(DeadLetter::from_json(&json), Ok(again) if again == *letter));
}
