//! The conformance suite of every adapter for heads.

use super::{Head, Heads, HeadsKeeper};
use crate::lake::archive::Hour;
use crate::stream::batch::Position;

fn head(hour: i64, sequence: &str, sub: u32) -> Head {
    let sequence = sequence.parse().unwrap_or(crate::stream::batch::SequenceNumber::ZERO);
    Head { hour: Hour::of(hour * 3_600_000), last: Position { sequence, sub } }
}

/// Runs the suite on `heads`. It uses the stream `conformance`, which must have no heads.
///
/// # Panics
///
/// If the heads do not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(heads: impl Heads + HeadsKeeper) {
    let (stream, shard) = ("conformance", "shardId-000000000000");
    let get = || async { heads.get(stream, shard).await.unwrap() };

    assert_eq!(get().await, None);
    assert_eq!(heads.all(stream).await.unwrap(), []);
    heads.advance(stream, shard, head(10, "9", 0)).await.unwrap();
    assert_eq!(get().await, Some(head(10, "9", 0)));

    // A head moves forward by number, not by text; also inside an aggregate.
    heads.advance(stream, shard, head(10, "10", 0)).await.unwrap();
    assert_eq!(get().await, Some(head(10, "10", 0)));
    heads.advance(stream, shard, head(10, "10", 10)).await.unwrap();
    heads.advance(stream, shard, head(10, "10", 9)).await.unwrap();
    assert_eq!(get().await, Some(head(10, "10", 10)));

    // An attempt to move it back, to an earlier position or hour, changes nothing and is not an error.
    heads.advance(stream, shard, head(10, "9", 5)).await.unwrap();
    heads.advance(stream, shard, head(9, "99", 0)).await.unwrap();
    heads.advance(stream, shard, head(10, "10", 10)).await.unwrap();
    assert_eq!(get().await, Some(head(10, "10", 10)));

    // A later hour is further than any position of an earlier one.
    heads.advance(stream, shard, head(11, "1", 0)).await.unwrap();
    assert_eq!(get().await, Some(head(11, "1", 0)));

    // Each shard of each stream has its own head.
    assert_eq!(heads.get(stream, "shardId-000000000001").await.unwrap(), None);
    assert_eq!(heads.get("conformance-2", shard).await.unwrap(), None);
    heads.advance("conformance-2", shard, head(1, "1", 0)).await.unwrap();
    assert_eq!(heads.get("conformance-2", shard).await.unwrap(), Some(head(1, "1", 0)));
    assert_eq!(get().await, Some(head(11, "1", 0)));

    // `all` returns the heads of the stream's shards in the order of their ids, and of no other stream.
    heads.advance(stream, "shardId-000000000002", head(2, "2", 0)).await.unwrap();
    heads.advance(stream, "shardId-000000000001", head(1, "1", 7)).await.unwrap();
    let all = heads.all(stream).await.unwrap();
    let expected = [
        (shard, head(11, "1", 0)),
        ("shardId-000000000001", head(1, "1", 7)),
        ("shardId-000000000002", head(2, "2", 0)),
    ];
    assert_eq!(all, expected.map(|(shard, head)| (shard.to_owned(), Ok(head))));

    // A head is replaced by any other one, or by none, and then advances from there.
    heads.replace(stream, shard, Some(head(3, "3", 0))).await.unwrap();
    assert_eq!(get().await, Some(head(3, "3", 0)));
    heads.advance(stream, shard, head(3, "4", 0)).await.unwrap();
    assert_eq!(get().await, Some(head(3, "4", 0)));
    for _ in 0..2 {
        heads.replace(stream, shard, None).await.unwrap();
        assert_eq!(get().await, None);
    }
}
