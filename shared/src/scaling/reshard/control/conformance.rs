//! The suite that every [`StreamControl`] must pass.

use super::{Answer, StreamControl};
use crate::scaling::shards::{Keyspace, Step, StreamMode, StreamStatus};

/// How often the suite polls a stream until it is active again.
const POLLS_MAX: u32 = 10_000;

/// Runs the suite on `stream`, which must be active and have two even shards.
///
/// # Panics
///
/// If the stream does not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(stream: &impl StreamControl) {
    let summary = stream.summary().await.unwrap().unwrap();
    assert_eq!((summary.status, summary.mode), (StreamStatus::Active, StreamMode::Provisioned));
    assert!(summary.enhanced_consumers.is_empty() && !summary.shard_metrics);
    let limits = stream.limits().await.unwrap();
    assert!(limits.account_shards_open.unwrap() >= 2);
    let before = keyspace(stream).await;
    assert_eq!(before.count(), 2);
    let (first, second) = (before.shards()[0].clone(), before.shards()[1].clone());

    // A split closes a shard and opens two, which begin at its start and at the split point.
    let split = Step::Split { shard: first.shard.clone(), at: 1 << 100 };
    assert_eq!(stream.begin(&split).await.unwrap(), Answer::Begun);
    let three = active(stream).await;
    let begins: Vec<u128> = three.shards().iter().map(|range| range.start).collect();
    assert_eq!(begins, [0, 1 << 100, second.start]);

    // The same split again names a closed shard.
    assert!(matches!(stream.begin(&split).await.unwrap(), Answer::Obsolete(_)));
    assert_eq!(active(stream).await, three);

    // A merge undoes the split.
    let (left, right) = (three.shards()[0].shard.clone(), three.shards()[1].shard.clone());
    let merge = Step::Merge { shard: left, adjacent: right };
    assert_eq!(stream.begin(&merge).await.unwrap(), Answer::Begun);
    let two = active(stream).await;
    assert_eq!(two.shards().iter().map(|range| range.start).collect::<Vec<_>>(), [0, second.start]);
    assert!(matches!(stream.begin(&merge).await.unwrap(), Answer::Obsolete(_)));

    // A call doubles the count at most, and must change it.
    assert!(matches!(stream.begin(&Step::UpdateShardCount { target: 5 }).await.unwrap(), Answer::Obsolete(_)));
    assert!(matches!(stream.begin(&Step::UpdateShardCount { target: 2 }).await.unwrap(), Answer::Obsolete(_)));
    assert_eq!(stream.begin(&Step::UpdateShardCount { target: 4 }).await.unwrap(), Answer::Begun);
    assert_eq!(active(stream).await.count(), 4);
    assert_eq!(stream.begin(&Step::UpdateShardCount { target: 3 }).await.unwrap(), Answer::Begun);
    let three = active(stream).await;
    assert_eq!(three.count(), 3);
    let third = u128::MAX / 3;
    let near = |range: &crate::stream::shard_map::HashKeyRange, ideal: u128| range.start.abs_diff(ideal) <= 3;
    assert!(three.shards().iter().zip([0, third, 2 * third]).all(|(range, ideal)| near(range, ideal)));
}

#[allow(clippy::unwrap_used)]
async fn keyspace(stream: &impl StreamControl) -> Keyspace {
    Keyspace::new(stream.open_shards().await.unwrap()).unwrap()
}

#[allow(clippy::unwrap_used)]
async fn active(stream: &impl StreamControl) -> Keyspace {
    for _ in 0..POLLS_MAX {
        if stream.summary().await.unwrap().unwrap().status == StreamStatus::Active {
            return keyspace(stream).await;
        }
        tokio::task::yield_now().await;
    }
    unreachable!("the stream does not become active after {POLLS_MAX} polls");
}
