//! Decides which shards may be read now: a child's records are processed after those of every shard that it was made
//! from.

use super::checkpoint::{Checkpoint, Progress};
use super::settings::StartingPosition;
use myaku::stream::source::Shard;

/// Gives each new shard in the list a checkpoint. `first` is true for the mapping's first listing.
///
/// The settings' starting position applies to the shards of the first listing. Later shards were created while the
/// mapping existed, so it processes all of their records.
pub(super) fn add_new_shards(shards: &[Shard], progress: &mut Progress, starting: StartingPosition, first: bool) {
    for shard in shards {
        progress.checkpoints.entry(shard.id.clone()).or_insert_with(|| match starting {
            _ if !first => Checkpoint::Beginning,
            // A closed shard receives no new records.
            StartingPosition::Latest if shard.ending.is_some() => Checkpoint::Ended,
            _ => Checkpoint::StartingPosition,
        });
    }
}

/// The shards that are not processed yet and whose parents all are.
pub(super) fn ready<'a>(shards: &'a [Shard], progress: &Progress) -> Vec<&'a Shard> {
    let ended = |id: &str| progress.checkpoints.get(id) == Some(&Checkpoint::Ended);
    let listed = |id: &str| shards.iter().any(|shard| shard.id == id);
    let may_start = |shard: &&Shard| {
        !ended(&shard.id)
            // A parent that is no longer listed has no records left.
            && shard.parents.iter().all(|parent| ended(parent) || !listed(parent))
            && predecessors(shard, shards).all(|older| ended(&older.id))
    };
    shards.iter().filter(may_start).collect()
}

/// For a shard that names no parent: the closed shards before it that had some of its keys. Some servers lose the
/// lineage when they change the number of shards (ferrokinesis 0.7 does so in `UpdateShardCount`). Where the lineage is
/// complete, this finds no shard: a shard without parents is as old as the stream.
fn predecessors<'a>(shard: &'a Shard, shards: &'a [Shard]) -> impl Iterator<Item = &'a Shard> {
    shards.iter().filter(move |older| {
        let overlap = older.hash_keys.0 <= shard.hash_keys.1 && shard.hash_keys.0 <= older.hash_keys.1;
        let before = older.ending.zip(shard.starting).is_some_and(|(ending, starting)| ending < starting);
        shard.parents.is_empty() && older.id != shard.id && overlap && before
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], hash_keys: (u128, u128), span: (u64, Option<u64>)) -> Shard {
        let number = |n: u64| n.to_string().parse().unwrap();
        Shard {
            id: id.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            hash_keys,
            starting: Some(number(span.0)),
            ending: span.1.map(number),
        }
    }

    fn ids(shards: &[Shard], progress: &Progress) -> Vec<String> {
        ready(shards, progress).iter().map(|shard| shard.id.clone()).collect()
    }

    fn end(progress: &mut Progress, id: &str) {
        progress.checkpoints.insert(id.to_owned(), Checkpoint::Ended);
    }

    #[test]
    fn a_merged_shard_waits_for_both_of_its_parents() {
        let shards = [
            shard("a", &[], (0, 4), (0, Some(9))),
            shard("b", &[], (5, 9), (0, Some(9))),
            shard("c", &["a", "b"], (0, 9), (10, None)),
        ];
        let mut progress = Progress::default();
        assert_eq!(ids(&shards, &progress), ["a", "b"]);
        end(&mut progress, "a");
        assert_eq!(ids(&shards, &progress), ["b"]);
        end(&mut progress, "b");
        assert_eq!(ids(&shards, &progress), ["c"]);
    }

    #[test]
    fn a_child_does_not_wait_for_a_parent_that_is_no_longer_listed() {
        let shards = [shard("child", &["expired"], (0, 9), (10, None))];
        assert_eq!(ids(&shards, &Progress::default()), ["child"]);
    }

    #[test]
    fn a_child_without_a_parent_waits_for_the_closed_shards_whose_keys_it_took_over() {
        let shards = [
            shard("old-low", &[], (0, 4), (0, Some(9))),
            shard("old-high", &[], (5, 9), (0, Some(9))),
            shard("new-low", &[], (0, 3), (10, None)),
        ];
        let mut progress = Progress::default();
        assert_eq!(ids(&shards, &progress), ["old-low", "old-high"]);
        end(&mut progress, "old-low");
        assert_eq!(ids(&shards, &progress), ["old-high", "new-low"]);
    }

    #[test]
    fn a_mapping_that_starts_at_latest_skips_closed_shards_and_reads_later_shards_from_their_beginning() {
        let closed = shard("closed", &[], (0, 9), (0, Some(9)));
        let open = shard("open", &["closed"], (0, 9), (10, None));
        let mut progress = Progress::default();
        add_new_shards(&[closed.clone(), open.clone()], &mut progress, StartingPosition::Latest, true);
        assert_eq!(progress.checkpoints["closed"], Checkpoint::Ended);
        assert_eq!(progress.checkpoints["open"], Checkpoint::StartingPosition);
        let later = shard("later", &["open"], (0, 9), (20, None));
        add_new_shards(&[closed, open, later], &mut progress, StartingPosition::Latest, false);
        assert_eq!(progress.checkpoints["later"], Checkpoint::Beginning);
    }
}
