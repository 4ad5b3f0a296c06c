//! Decides where records go: their hour, their slot, and what an object that fills the slot leaves to archive. Pure, so
//! that the archiver is left with calls and no choices.

use super::{Extent, Head, Hour, Slot};
use crate::stream::batch::{Position, UserRecord};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is left to do for consecutive records of one shard's hour. The range has their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Put them into this slot, which contains them all.
    Put(Range<usize>, Slot),
    /// First find their slots among the hour's objects.
    Locate(Range<usize>),
}

impl Task {
    /// The indices of its records.
    pub(super) fn range(&self) -> &Range<usize> {
        match self {
            Self::Put(range, _) | Self::Locate(range) => range,
        }
    }

    /// The task to locate the same records.
    pub(super) fn relocated(self) -> Self {
        Self::Locate(self.range().clone())
    }
}

/// The records of each hour of arrival, in their order. Arrival times may go back within a shard, so the records of an
/// hour need not be neighbours in the batch. Among the records of their hour they still are a contiguous stretch.
pub(super) fn by_hour<'a>(records: impl Iterator<Item = UserRecord<'a>>) -> BTreeMap<Hour, Vec<UserRecord<'a>>> {
    let mut hours = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        hours.entry(Hour::of(record.arrived_ms)).or_default().push(record);
    }
    hours
}

/// The first tasks for an hour's records, chosen by the hint that the head gives.
///
/// Records after the head most likely belong in the open-ended slot after it. An hour that the head has not reached
/// is most likely empty. All other records are late or already archived, which the hour's objects show.
pub(super) fn begin(hour: Hour, records: &[UserRecord<'_>], head: Option<&Head>) -> Vec<Task> {
    let all = 0..records.len();
    match head {
        Some(head) if head.hour < hour => vec![Task::Put(all, Slot::FIRST)],
        Some(head) if head.hour == hour => {
            let beyond = first_above(records, &all, head.last);
            let tasks = [Task::Locate(0..beyond), Task::Put(beyond..all.end, Slot::beyond(head.last))];
            tasks.into_iter().filter(|task| !task.range().is_empty()).collect()
        }
        _ => vec![Task::Locate(all)],
    }
}

/// The narrowest of the filled `slots` that contain `position`. Slots that contain a position are nested. So in the
/// narrowest one, the slot on that side of its object where the position lies is free.
pub(super) fn narrowest(slots: &[Slot], position: Position) -> Option<Slot> {
    let containing = slots.iter().filter(|slot| slot.contains(position));
    // The inner one of two nested slots begins later or ends earlier; `None` is above every end.
    let before = |slot: &Slot| (slot.before.is_none(), slot.before);
    containing.max_by(|a, b| a.after.cmp(&b.after).then_with(|| before(b).cmp(&before(a)))).copied()
}

/// The tasks for records of `slot` after its object turned out to have `extent`: the records before the extent, and
/// those after it.
pub(super) fn split(records: &[UserRecord<'_>], range: &Range<usize>, slot: &Slot, extent: &Extent) -> Vec<Task> {
    let left = range.start..first_from(records, range, extent.first);
    let right = first_above(records, range, extent.last)..range.end;
    let tasks = [Task::Put(left, slot.left_of(extent)), Task::Put(right, slot.right_of(extent))];
    tasks.into_iter().filter(|task| !task.range().is_empty()).collect()
}

/// The tasks for records whose first one has `narrowest` as its narrowest filled slot: put the first record into its
/// slot, with all that belong there too, and locate the rest. Records that the object covers need no task.
pub(super) fn place(
    records: &[UserRecord<'_>],
    range: &Range<usize>,
    narrowest: Option<(&Slot, &Extent)>,
) -> Vec<Task> {
    let Some((slot, extent)) = narrowest else { return vec![Task::Put(range.clone(), Slot::FIRST)] };
    let first = records[range.start].position();
    let (slot, end) = if first < extent.first {
        (Some(slot.left_of(extent)), first_from(records, range, extent.first))
    } else if extent.covers(first) {
        (None, first_above(records, range, extent.last))
    } else {
        let end = slot.before.map_or(range.end, |before| first_from(records, range, before));
        (Some(slot.right_of(extent)), end)
    };
    let placed = slot.map(|slot| Task::Put(range.start..end, slot));
    placed.into_iter().chain((end < range.end).then_some(Task::Locate(end..range.end))).collect()
}

fn first_from(records: &[UserRecord<'_>], range: &Range<usize>, position: Position) -> usize {
    range.start + records[range.clone()].partition_point(|record| record.position() < position)
}

fn first_above(records: &[UserRecord<'_>], range: &Range<usize>, position: Position) -> usize {
    range.start + records[range.clone()].partition_point(|record| record.position() <= position)
}
