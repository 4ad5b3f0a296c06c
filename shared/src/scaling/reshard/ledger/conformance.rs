//! The suite that every ledger must pass.

use super::{Entry, Lease, Ledger, Versioned, Work};
use crate::scaling::shards::{Change, Direction, Step};

/// Runs the suite on `ledger`, for the streams `conformance-1` and `conformance-2`, which must have no entries.
///
/// # Panics
///
/// If the ledger does not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(ledger: &impl Ledger) {
    let stream = "conformance-1";
    assert_eq!(ledger.load(stream).await.unwrap(), Versioned::default());

    // A written entry is read back completely.
    let full = Entry {
        lease: Some(Lease { holder: "a".to_owned(), until_ms: 7 }),
        work: Some(Work {
            steps: [
                Step::Split { shard: "shardId-000000000000".to_owned(), at: u128::MAX - 1 },
                Step::Merge { shard: "a".to_owned(), adjacent: "b".to_owned() },
                Step::UpdateShardCount { target: 8 },
            ]
            .into(),
            sent: true,
            direction: Direction::Grow,
            reason: "because".to_owned(),
            since_ms: 5,
        }),
        calls: vec![1, 2],
        changes: vec![Change { at_ms: 3, direction: Direction::Shrink }],
        limited_at_ms: Some(4),
        shards: Some(2),
        ..Entry::default()
    };
    let first = ledger.commit(stream, 0, &full).await.unwrap().unwrap();
    assert_eq!(ledger.load(stream).await.unwrap(), Versioned { version: first, entry: full.clone() });

    // Of two commits that replace the same version, one succeeds.
    let second = ledger.commit(stream, first, &Entry::default()).await.unwrap().unwrap();
    assert_eq!(ledger.commit(stream, first, &full).await.unwrap(), None);
    assert_eq!(ledger.commit(stream, 0, &full).await.unwrap(), None);
    assert_eq!(ledger.load(stream).await.unwrap(), Versioned { version: second, entry: Entry::default() });

    // An entry that does not exist cannot be replaced.
    assert_eq!(ledger.commit("conformance-2", 9, &full).await.unwrap(), None);
    assert_eq!(ledger.load("conformance-2").await.unwrap(), Versioned::default());
}
