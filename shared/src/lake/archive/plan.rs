//! What goes where, purely: hours, slots, and what an object that is there already leaves over.

use super::{Extent, Head, Hour, Slot};
use crate::stream::batch::{Position, UserRecord};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is left to do for a run of records of one shard's hour, by their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Put them into this slot, in which they all lie.
    Put(Range<usize>, Slot),
    /// Find their slots among the hour's objects first.
    Locate(Range<usize>),
}

impl Task {
    /// The records that it is about.
    pub(super) fn range(&self) -> &Range<usize> {
        match self {
            Self::Put(range, _) | Self::Locate(range) => range,
        }
    }

    /// The same records, to be located.
    pub(super) fn relocated(self) -> Self {
        Self::Locate(self.range().clone())
    }
}

/// The records of each hour of arrival, in their order. Arrival may go backwards within a shard, so an hour's records need
/// not be neighbours; within the hour they are a contiguous stretch all the same.
pub(super) fn by_hour<'a>(records: impl Iterator<Item = UserRecord<'a>>) -> BTreeMap<Hour, Vec<UserRecord<'a>>> {
    let mut hours = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        hours.entry(Hour::of(record.arrived_ms)).or_default().push(record);
    }
    hours
}

/// Where to begin with an hour's records, by what the head hints.
///
/// Behind the head, the open-ended slot is the one to try. An hour that the head has not reached is most likely empty.
/// Everything else was either archived before or comes late: a look at the hour's objects tells.
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

/// The narrowest of the filled `slots` that `position` lies in. The slots that hold a position are nested, so whatever this
/// one's object does not cover is free on either side of it.
pub(super) fn narrowest(slots: &[Slot], position: Position) -> Option<Slot> {
    let holding = slots.iter().filter(|slot| slot.contains(position));
    // Of two nested slots the inner one begins later or ends earlier; `None` is above every end.
    let before = |slot: &Slot| (slot.before.is_none(), slot.before);
    holding.max_by(|a, b| a.after.cmp(&b.after).then_with(|| before(b).cmp(&before(a)))).copied()
}

/// What is left of records that lie in `slot`, whose object has `extent`: those before it and those behind it.
pub(super) fn split(records: &[UserRecord<'_>], range: &Range<usize>, slot: &Slot, extent: &Extent) -> Vec<Task> {
    let left = range.start..first_from(records, range, extent.first);
    let right = first_above(records, range, extent.last)..range.end;
    let tasks = [Task::Put(left, slot.left_of(extent)), Task::Put(right, slot.right_of(extent))];
    tasks.into_iter().filter(|task| !task.range().is_empty()).collect()
}

/// The same for the narrowest filled slot around the first of the records: where that one goes, with all that goes there
/// with it, and the rest, to be located.
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
