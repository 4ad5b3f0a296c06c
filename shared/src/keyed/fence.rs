//! Finds out whether a slot has lost states.
//!
//! Each slot has a *fence* for each shard that it was in: the last position that all of its states are complete to. A fence is
//! stored with the states, and is lost with them. The [`Progress`] of the function is stored elsewhere. A fence below
//! it shows a loss.

use super::progress::{CHANGES_MAX, Progress, ProgressStore};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use crate::stream::slot::Slot;
use std::collections::BTreeMap;

/// Up to where the states of a slot are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The last record of the shard that they were committed for.
    pub position: Position,
    /// Readings up to this time may be missing: what was known of losses at that commit, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
}

/// The fences of a slot, by the shard's id.
pub type Fences = BTreeMap<String, Fence>;

/// What the fences of a slot say, beside the progress that was read *before* them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The states are complete, but for what is known to be lost.
    Complete,
    /// A fence knows of a loss that the progress does not: the progress is too old. Read it again.
    Outdated,
    /// States were lost. Readings up to this time may be missing, in milliseconds since the epoch. That must be in the
    /// progress before anything is committed.
    Lost(i64),
}

/// The latest loss that fences know of, in milliseconds since the epoch.
fn latest_noted(fences: &Fences) -> Option<i64> {
    fences.values().filter_map(|fence| fence.lost_until).max()
}

/// Judges the fences of `slot`. `seen` is the latest loss that they knew of *before* the progress was read, if they were
/// looked at before.
///
/// A loss is in the progress before it is in a fence. So progress that was read later and lacks it has itself been lost, and
/// the loss is declared again.
pub fn judge(slot: Slot, fences: &Fences, progress: &Progress, seen: Option<i64>) -> Verdict {
    let known = progress.lost_until.get(&slot).copied();
    let noted = latest_noted(fences);
    if noted > known.max(seen) {
        return Verdict::Outdated;
    }
    let is_below = |shard: &str, position| fences.get(shard).is_none_or(|fence| fence.position < position);
    let has_lost = progress.of_slot(slot).any(|(shard, entry)| is_below(shard, entry.position));
    let newest_ms = progress.of_slot(slot).map(|(_, entry)| entry.newest_ms).max();
    match noted.max(newest_ms.filter(|_| has_lost)) {
        Some(until_ms) if Some(until_ms) > known => Verdict::Lost(until_ms),
        _ => Verdict::Complete,
    }
}

/// Up to when readings of a slot may be missing, for a reader, who declares nothing.
pub fn lost_until(slot: Slot, fences: &Fences, progress: &Progress) -> Option<i64> {
    match judge(slot, fences, progress, latest_noted(fences)) {
        Verdict::Lost(until_ms) => Some(until_ms),
        Verdict::Complete | Verdict::Outdated => progress.lost_until.get(&slot).copied(),
    }
}

/// The fence of `shard` after a commit up to `position`, when the slot was known to have lost readings up to `lost_until`.
pub fn advance(before: Option<&Fence>, position: Position, lost_until: Option<i64>) -> Fence {
    match before {
        None => Fence { position, lost_until },
        Some(before) => {
            Fence { position: before.position.max(position), lost_until: before.lost_until.max(lost_until) }
        }
    }
}

/// What is known of a slot once the losses that its fences show are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// The states are complete, but that readings up to this time may be missing, in milliseconds since the epoch.
    Known(Option<i64>),
    /// The progress is too old. Read it again, and then the states. The fences know of a loss up to this time.
    Outdated(Option<i64>),
}

/// Judges the fences of slots, and puts the losses that they show into the progress of `function` in `stream`. The answers
/// are in the order of `slots`. `progress` was read before the fences, and after the losses in `seen` were seen in fences.
pub async fn judge_and_declare<'f>(
    store: &impl ProgressStore,
    (function, stream): (&str, &str),
    progress: &Progress,
    seen: &BTreeMap<Slot, i64>,
    slots: impl Iterator<Item = (Slot, &'f Fences)> + Send,
) -> Result<Vec<Declared>, RemoteError> {
    let verdict =
        |(slot, fences)| (slot, judge(slot, fences, progress, seen.get(&slot).copied()), latest_noted(fences));
    let verdicts: Vec<_> = slots.map(verdict).collect();
    let lost: Vec<(Slot, i64)> = verdicts
        .iter()
        .filter_map(
            |(slot, verdict, _)| if let Verdict::Lost(until_ms) = verdict { Some((*slot, *until_ms)) } else { None },
        )
        .collect();
    let mut declared = progress.lost_until.clone();
    for lost in lost.chunks(CHANGES_MAX) {
        let mut after = progress.clone();
        after.lost_until.extend(lost.iter().copied());
        if store.change(function, stream, progress, &after).await? {
            declared.extend(lost.iter().copied());
            tracing::warn!(
                function,
                stream,
                slots = lost.len(),
                "states were lost: results are partial until their windows have filled again"
            );
        }
    }
    let answer = |(slot, verdict, noted)| match (verdict, declared.get(&slot).copied()) {
        (Verdict::Outdated, _) => Declared::Outdated(noted),
        (Verdict::Lost(until_ms), until) if until != Some(until_ms) => Declared::Outdated(noted),
        (Verdict::Lost(_) | Verdict::Complete, until) => Declared::Known(until),
    };
    Ok(verdicts.into_iter().map(answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::slot::Slots;

    const SLOT: Slot = Slot(3);

    fn at(n: u32) -> Position {
        Position { sequence: n.to_string().parse().unwrap(), sub: 0 }
    }

    fn progress() -> Progress {
        let slots: Slots = [SLOT].into_iter().collect();
        Progress::default().after("shard", at(5), 500, slots)
    }

    fn fences(position: u32, lost_until: Option<i64>) -> Fences {
        Fences::from([("shard".to_owned(), Fence { position: at(position), lost_until })])
    }

    #[test]
    fn a_fence_that_is_below_or_missing_shows_a_loss_up_to_the_newest_reading() {
        assert_eq!(judge(SLOT, &fences(5, None), &progress(), None), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, None), &progress(), None), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(4, None), &progress(), None), Verdict::Lost(500));
        assert_eq!(judge(SLOT, &Fences::new(), &progress(), None), Verdict::Lost(500));
        assert_eq!(
            judge(Slot(4), &Fences::new(), &progress(), None),
            Verdict::Complete,
            "nothing was acknowledged of it"
        );
    }

    #[test]
    fn a_loss_is_declared_once_and_a_fence_that_knows_more_of_it_asks_for_newer_progress() {
        let mut declared = progress();
        declared.lost_until.insert(SLOT, 500);
        assert_eq!(judge(SLOT, &fences(4, None), &declared, None), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, Some(500)), &declared, None), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, Some(500)), &progress(), None), Verdict::Outdated);
        assert_eq!(judge(SLOT, &fences(6, Some(501)), &declared, None), Verdict::Outdated);
        let seen_before = judge(SLOT, &fences(6, Some(500)), &progress(), Some(500));
        assert_eq!(seen_before, Verdict::Lost(500), "the progress has been lost, and the loss is declared again");
        assert_eq!(judge(SLOT, &fences(6, Some(501)), &progress(), Some(500)), Verdict::Outdated);
        assert_eq!(judge(SLOT, &fences(4, Some(400)), &progress(), Some(400)), Verdict::Lost(500), "more is lost");
    }
}
