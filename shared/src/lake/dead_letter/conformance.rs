//! The conformance suite of every store of dead letters.

use super::{DeadLetter, DeadLetterReader, DeadLetterStore, Failure, Problem, Reason};
use crate::stream::batch::Position;

/// A letter for tests: its record has the sequence number `sequence` and holds `data`.
///
/// # Panics
/// If `sequence` is not a number.
pub fn letter(sequence: &str, reason: Reason, data: &[u8]) -> DeadLetter {
    DeadLetter {
        stream: "myaku-IngestStream-1".to_owned(),
        shard: "shardId-000000000003".to_owned(),
        position: Position { sequence: sequence.parse().expect("a sequence number"), sub: 2 },
        is_whole: false,
        partition_key: "7d0c".to_owned(),
        arrived_ms: 1_795_218_892_020,
        device_id: Some("bed-17".to_owned()),
        reason,
        detail: "no device bed-17".to_owned(),
        failures: Vec::new(),
        unlisted: 0,
        data: data.to_vec(),
    }
}

/// Runs all checks against an empty store.
///
/// # Panics
/// If a check fails.
pub async fn suite(store: &(impl DeadLetterStore + DeadLetterReader)) {
    assert!(store.keys(None).await.expect("keys of an empty store").is_empty());

    // Every payload comes back byte for byte.
    let large = vec![b'x'; 300_000];
    let payloads: [&[u8]; 8] = [
        b"",
        b"null",
        b"{\"a\": 1}",
        b" {}",
        b"{\n}",
        "na\u{ef}ve \u{0} \"text\"".as_bytes(),
        &[0xff, 0xfe, 0x00],
        &large,
    ];
    for (sequence, data) in (100..).zip(payloads) {
        let letter = letter(&format!("{sequence}"), Reason::Undecodable, data);
        store.put(&letter).await.expect("put");
        assert_eq!(store.get(&letter.key()).await.expect("get"), letter);
    }
    let undecodable = store.keys(Some(Reason::Undecodable)).await.expect("keys");
    assert_eq!(undecodable.len(), payloads.len());
    assert!(undecodable.is_sorted(), "keys come in the order of their text");

    // A letter that is put twice is stored once.
    let again = letter("100", Reason::Undecodable, b"");
    store.put(&again).await.expect("put again");
    assert_eq!(store.keys(Some(Reason::Undecodable)).await.expect("keys"), undecodable);

    // All failures of a record are in its one letter.
    let failure = |index| Failure {
        sub: None,
        index: Some(index),
        metric: Some("heart_rate".to_owned()),
        problem: Problem { reason: Reason::OutOfRange, detail: "it is 9 1/min, below 20".to_owned() },
    };
    let values = letter("200", Reason::OutOfRange, b"{}");
    let values = DeadLetter { failures: vec![failure(0), failure(2)], unlisted: 7, ..values };
    store.put(&values).await.expect("put");
    assert_eq!(store.get(&values.key()).await.expect("get"), values);
    assert_eq!(store.keys(Some(Reason::OutOfRange)).await.expect("keys").len(), 1);
    assert_eq!(store.keys(Some(Reason::TooLarge)).await.expect("keys").len(), 0);
    assert_eq!(store.keys(None).await.expect("keys").len(), payloads.len() + 1);

    // A missing letter is an error, not an empty letter.
    assert!(store.get(&letter("999", Reason::TooLarge, b"").key()).await.is_err());
}
