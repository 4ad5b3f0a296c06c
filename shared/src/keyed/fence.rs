//! Finds out whether a slot has lost states.
//!
//! Each slot has a *fence* for each shard that it was in: the last position that all of its states are complete to. A fence is
//! stored with the states, and is lost with them. The [`Progress`] of the function is stored elsewhere. A fence that is behind
//! it shows a loss.

use super::progress::{CHANGES_MAX, Progress, ProgressStore};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use crate::stream::slot::Slot;
use std::collections::BTreeMap;
use std::time::Duration;

/// How much longer than the states a loss is remembered, in milliseconds: a day, since a reading's time can be before its
/// arrival.
pub(super) const MARGIN_MS: i64 = 24 * 60 * 60 * 1_000;

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

/// Judges the fences of `slot`. Losses up to `horizon_ms` matter no more, since every state of that time has expired.
pub fn judge(slot: Slot, fences: &Fences, progress: &Progress, horizon_ms: i64) -> Verdict {
    let known = progress.lost_until.get(&slot).copied();
    if fences.values().any(|fence| fence.lost_until > known.max(Some(horizon_ms))) {
        return Verdict::Outdated;
    }
    let is_behind = |shard: &str, position| fences.get(shard).is_none_or(|fence| fence.position < position);
    if !progress.of_slot(slot).any(|(shard, entry)| is_behind(shard, entry.position)) {
        return Verdict::Complete;
    }
    match progress.of_slot(slot).map(|(_, entry)| entry.newest_ms).max() {
        Some(newest_ms) if Some(newest_ms) > known => Verdict::Lost(newest_ms),
        _ => Verdict::Complete,
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

/// The horizon at `now_ms`, if the state of a silent device is kept for `state_ttl`.
pub const fn horizon_ms(now_ms: i64, state_ttl: Duration) -> i64 {
    now_ms.saturating_sub(state_ttl.as_millis() as i64).saturating_sub(MARGIN_MS)
}

/// What is known of a slot once the losses that its fences show are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// The states are complete, but that readings up to this time may be missing, in milliseconds since the epoch.
    Known(Option<i64>),
    /// The progress is too old. Read it again, and then the states.
    Outdated,
}

/// Judges the fences of slots, and puts the losses that they show into the progress of `function` in `stream`. The answers
/// are in the order of `slots`. `progress` was read before the fences.
pub async fn judge_and_declare<'f>(
    store: &impl ProgressStore,
    (function, stream): (&str, &str),
    progress: &Progress,
    horizon_ms: i64,
    slots: impl Iterator<Item = (Slot, &'f Fences)> + Send,
) -> Result<Vec<Declared>, RemoteError> {
    let verdicts: Vec<_> = slots.map(|(slot, fences)| (slot, judge(slot, fences, progress, horizon_ms))).collect();
    let lost: Vec<(Slot, i64)> = verdicts
        .iter()
        .filter_map(
            |(slot, verdict)| if let Verdict::Lost(until_ms) = verdict { Some((*slot, *until_ms)) } else { None },
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
    let answer = |(slot, verdict)| match (verdict, declared.get(&slot).copied()) {
        (Verdict::Outdated, _) => Declared::Outdated,
        (Verdict::Lost(until_ms), until) if until != Some(until_ms) => Declared::Outdated,
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
    fn a_fence_that_is_behind_or_missing_shows_a_loss_up_to_the_newest_reading() {
        assert_eq!(judge(SLOT, &fences(5, None), &progress(), 0), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, None), &progress(), 0), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(4, None), &progress(), 0), Verdict::Lost(500));
        assert_eq!(judge(SLOT, &Fences::new(), &progress(), 0), Verdict::Lost(500));
        assert_eq!(judge(Slot(4), &Fences::new(), &progress(), 0), Verdict::Complete, "nothing was acknowledged of it");
    }

    #[test]
    fn a_loss_is_declared_once_and_a_fence_that_knows_more_of_it_asks_for_newer_progress() {
        let mut declared = progress();
        declared.lost_until.insert(SLOT, 500);
        assert_eq!(judge(SLOT, &fences(4, None), &declared, 0), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, Some(500)), &declared, 0), Verdict::Complete);
        assert_eq!(judge(SLOT, &fences(6, Some(500)), &progress(), 0), Verdict::Outdated);
        assert_eq!(judge(SLOT, &fences(6, Some(501)), &declared, 0), Verdict::Outdated);
        assert_eq!(judge(SLOT, &fences(6, Some(500)), &progress(), 500), Verdict::Complete, "it is long ago");
    }
}
