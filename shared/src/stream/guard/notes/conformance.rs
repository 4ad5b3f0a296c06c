//! The conformance suite of every store of notes.

use super::{Notes, Suspect};

/// Runs all checks against an empty store.
///
/// # Panics
/// If a check fails.
pub async fn suite(notes: &impl Notes) {
    let suspect = |function, shard, sequence: &str| Suspect {
        function,
        stream: "ingest",
        shard,
        sequence: sequence.parse().expect("a sequence number"),
        expires_ms: 1_795_218_892_020,
    };
    let one = suspect("transform", "shardId-000000000000", "7");

    // Each invocation is noted once, however often it asks.
    for (invocation, others) in [("a", 0), ("a", 0), ("b", 1), ("c", 2), ("b", 2)] {
        assert_eq!(notes.note(&one, invocation).await.expect("note"), others, "{invocation}");
    }

    // Function, shard and record have notes of their own.
    for other in [
        suspect("archiver", "shardId-000000000000", "7"),
        suspect("transform", "shardId-000000000001", "7"),
        suspect("transform", "shardId-000000000000", "8"),
    ] {
        assert_eq!(notes.note(&other, "d").await.expect("note"), 0, "{other:?}");
    }

    // What is struck off begins again. Striking off again, or what was never noted, changes nothing.
    for _ in 0..2 {
        notes.strike_off(&one).await.expect("strike off");
    }
    assert_eq!(notes.note(&one, "e").await.expect("note"), 0);
    assert_eq!(notes.note(&suspect("transform", "shardId-000000000000", "8"), "e").await.expect("note"), 1);
}
