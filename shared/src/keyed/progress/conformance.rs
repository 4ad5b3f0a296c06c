//! What every adapter of the port to progress does.

use super::{Acknowledged, CHANGES_MAX, Progress, ProgressStore};
use crate::stream::batch::Position;
use crate::stream::slot::{Slot, Slots};
use std::collections::BTreeMap;

fn entry(sub: u32) -> Acknowledged {
    let sequence = "49541296383533603670305612607160966548683674396982771921".parse().expect("digits");
    let slots: Slots = [Slot(0), Slot(1), Slot(255)].into_iter().collect();
    Acknowledged { position: Position { sequence, sub }, newest_ms: 1_795_218_892_020, slots }
}

fn progress(shards: &[(&str, u32)], lost: &[(u8, i64)]) -> Progress {
    Progress {
        acknowledged: shards.iter().map(|(shard, sub)| ((*shard).to_owned(), entry(*sub))).collect(),
        lost_until: lost.iter().map(|(slot, until)| (Slot(*slot), *until)).collect::<BTreeMap<_, _>>(),
    }
}

/// Runs the whole suite against `store`, on functions whose names begin with `prefix` and that have no progress.
///
/// # Panics
/// Where the store does something else.
pub async fn suite(store: &impl ProgressStore, prefix: &str) {
    let function = format!("{prefix}-function");
    let read = async || store.read(&function, "readings").await.expect("read");
    let change = async |before: &Progress, after: &Progress| {
        store.change(&function, "readings", before, after).await.expect("change")
    };
    let nothing = Progress::default();
    assert_eq!(read().await, nothing);
    assert!(change(&nothing, &nothing).await, "nothing differs");

    let first = progress(&[("a", 1)], &[(0xe4, 5)]);
    assert!(change(&nothing, &first).await);
    assert_eq!(read().await, first, "it reads as it was written");
    assert!(!change(&nothing, &progress(&[("a", 2)], &[])).await, "the entry is not as it was before");
    assert!(!change(&nothing, &progress(&[("b", 1), ("a", 2)], &[])).await, "all of a change is made or none of it");
    assert_eq!(read().await, first);

    assert!(change(&nothing, &progress(&[("b", 7)], &[])).await, "only entries that differ are compared");
    let both = progress(&[("a", 1), ("b", 7)], &[(0xe4, 5)]);
    assert_eq!(read().await, both);
    assert!(change(&both, &progress(&[("b", 8)], &[(0xe4, 6), (0, 9)])).await, "entries are removed as well");
    assert_eq!(read().await, progress(&[("b", 8)], &[(0xe4, 6), (0, 9)]));
    assert!(!change(&both, &progress(&[("a", 1)], &[(0xe4, 5)])).await);

    let before = read().await;
    let many: Vec<(u8, i64)> = (1..=CHANGES_MAX as u8).map(|slot| (slot, 1_795_218_892_020)).collect();
    let mut lost = before.clone();
    lost.lost_until.extend(progress(&[], &many).lost_until);
    assert!(change(&before, &lost).await, "many entries change at once");
    assert_eq!(read().await, lost);
    assert!(change(&lost, &before).await);
    assert_eq!(read().await, before);

    assert_eq!(store.read(&function, "other").await.expect("read"), nothing, "each stream has an item of its own");
    assert_eq!(store.read(&format!("{function}-2"), "readings").await.expect("read"), nothing);
}
