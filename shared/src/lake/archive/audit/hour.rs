//! One hour of one shard: its slots as the search tree that they are.

use super::{Finding, Kind, Seen};
use crate::lake::archive::{ObjectKey, Slot};
use crate::stream::batch::Position;
use std::collections::{BTreeMap, BTreeSet};

/// The slots of a shard's hour, with the objects in them.
pub(super) struct Tree<'a>(BTreeMap<Slot, &'a Seen>);

/// Where a position belongs.
pub(super) enum Place<'a> {
    /// Into this slot, which has no object.
    Free(Slot),
    /// Into this object, whose extent covers it.
    Covered(&'a Seen),
    /// Nobody knows: an object on the way does not say what it covers.
    Unknown,
}

impl<'a> Tree<'a> {
    pub(super) fn new(seen: &'a [Seen]) -> Self {
        Self(seen.iter().map(|seen| (seen.key.slot, seen)).collect())
    }

    /// Goes down from the first slot, as the archiver does.
    pub(super) fn place(&self, position: Position) -> Place<'a> {
        let mut slot = Slot::FIRST;
        while let Some(seen) = self.0.get(&slot) {
            let Ok(extent) = &seen.extent else { return Place::Unknown };
            slot = if position < extent.first {
                slot.left_of(extent)
            } else if position > extent.last {
                slot.right_of(extent)
            } else {
                return Place::Covered(seen);
            };
        }
        Place::Free(slot)
    }

    /// The slots that can be come to from the first one.
    fn reached(&self) -> BTreeSet<Slot> {
        let mut reached = BTreeSet::new();
        let mut slots = vec![Slot::FIRST];
        while let Some(slot) = slots.pop() {
            let Some(seen) = self.0.get(&slot) else { continue };
            reached.insert(slot);
            if let Ok(extent) = &seen.extent {
                slots.extend([slot.left_of(extent), slot.right_of(extent)]);
            }
        }
        reached
    }
}

/// Judges the objects of one shard's hour.
///
/// An object that cannot be come to follows one that is not there: that one is told by the key of its slot, which is the
/// free one where the search for the object ends.
pub fn judge(seen: &[Seen]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in seen {
        if let Some(problem) = object.extent.as_ref().err().or(object.problem.as_ref()) {
            findings.push(Finding::new(Kind::Damaged, &object.key, problem.clone()));
        }
    }
    let tree = Tree::new(seen);
    let reached = tree.reached();
    let mut orphans = BTreeMap::<Slot, Vec<&Seen>>::new();
    for object in seen.iter().filter(|object| !reached.contains(&object.key.slot)) {
        let Ok(extent) = &object.extent else {
            findings.extend(anchor_problem(object, seen).map(|what| Finding::new(Kind::Misplaced, &object.key, what)));
            continue;
        };
        match tree.place(extent.first) {
            Place::Free(slot) => orphans.entry(slot).or_default().push(object),
            Place::Covered(other) => {
                let what = format!("it begins within the records of {}", other.key);
                findings.push(Finding::new(Kind::Overlapping, &object.key, what));
            }
            Place::Unknown => {}
        }
    }
    for (slot, orphans) in orphans {
        let key = ObjectKey { slot, ..orphans[0].key.clone() };
        let what = match &orphans[..] {
            [only] => format!("no object is in this slot, and {} follows one", only.key),
            more => format!("no object is in this slot, and {} follow one, {} first", more.len(), more[0].key),
        };
        findings.push(Finding::new(Kind::Missing, key, what));
        let problems = orphans.iter().filter_map(|object| {
            let what = anchor_problem(object, seen)?;
            Some(Finding::new(Kind::Misplaced, &object.key, what))
        });
        findings.extend(problems);
    }
    findings.extend(overlaps(seen, &reached));
    // That an object begins within another one says that they overlap.
    let mut known = BTreeSet::new();
    findings.retain(|finding| known.insert((finding.kind, finding.key.clone())));
    findings
}

/// What an object's slot names and no object has.
fn anchor_problem(object: &Seen, seen: &[Seen]) -> Option<String> {
    let Slot { after, before } = object.key.slot;
    let extents = || seen.iter().filter_map(|seen| seen.extent.as_ref().ok());
    if after != Position::ZERO && !extents().any(|extent| extent.last == after) {
        return Some(format!("it follows {after:?}, and no object of its hour ends there"));
    }
    let before = before.filter(|before| !extents().any(|extent| extent.first == *before))?;
    Some(format!("it stands before {before:?}, and no object of its hour begins there"))
}

/// Objects that begin before the one ahead of them has ended.
fn overlaps(seen: &[Seen], reached: &BTreeSet<Slot>) -> Vec<Finding> {
    let mut extents: Vec<_> = seen.iter().filter_map(|seen| Some((seen.extent.as_ref().ok()?, &seen.key))).collect();
    extents.sort_by_key(|(extent, _)| (extent.first, extent.last));
    let mut furthest: Option<(Position, &ObjectKey)> = None;
    let mut findings = Vec::new();
    for (extent, key) in extents {
        if let Some((_, other)) = furthest.filter(|(last, _)| extent.first <= *last) {
            // Those that can be come to never overlap: it is the other one that should not be there.
            let (key, other) = if reached.contains(&key.slot) { (other, key) } else { (key, other) };
            findings.push(Finding::new(Kind::Overlapping, key, format!("it covers records that {other} covers")));
        }
        if furthest.is_none_or(|(last, _)| last < extent.last) {
            furthest = Some((extent.last, key));
        }
    }
    findings
}
