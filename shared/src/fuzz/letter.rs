//! Dead letters.

use crate::lake::dead_letter::{DeadLetter, LetterKey, Reason};
use crate::stream::batch::Position;

/// Bytes as a stored letter, and as the record in one.
pub fn letter(bytes: &[u8]) {
    if let Ok(letter) = DeadLetter::from_json(bytes) {
        reads_back(&letter);
    }
    let letter = DeadLetter {
        stream: "ingest".to_owned(),
        shard: "shardId-000000000000".to_owned(),
        position: Position { sub: 3, ..Position::ZERO },
        index: bytes.first().copied().map(u32::from),
        partition_key: String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned(),
        arrived_ms: 1_795_218_892_020,
        device_id: None,
        reason: Reason::Undecodable,
        detail: String::new(),
        data: bytes.to_vec(),
    };
    reads_back(&letter);
    assert!(LetterKey::parse(&letter.key()).is_some_and(|key| key.to_string() == letter.key()));
}

fn reads_back(letter: &DeadLetter) {
    let json = letter.to_json();
    assert_eq!(json.split(|byte| *byte == b'\n').count(), 2, "a letter is one line");
    // An ordinary reader of JSON must take it as well.
    assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
    assert!(matches!(DeadLetter::from_json(&json), Ok(again) if again == *letter));
}
