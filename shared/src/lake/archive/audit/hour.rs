//! Audits one hour of one shard. Its slots are a search tree, in which every object must be reachable.

use super::{AuditedObject, Finding, Kind};
use crate::lake::archive::{ObjectKey, Slot};
use crate::stream::batch::Position;
use std::collections::{BTreeMap, BTreeSet};

/// The slots of a shard's hour, with the objects in them.
pub(super) struct Tree<'a>(BTreeMap<Slot, &'a AuditedObject>);

/// Where a position belongs in the tree.
pub(super) enum Place<'a> {
    /// In this slot, which has no object.
    Free(Slot),
    /// In this object, whose extent covers it.
    Covered(&'a AuditedObject),
    /// Unknown, because an object on the way does not say what it covers.
    Unknown,
}

impl<'a> Tree<'a> {
    pub(super) fn new(objects: &'a [AuditedObject]) -> Self {
        Self(objects.iter().map(|object| (object.key.slot, object)).collect())
    }

    /// Finds the place of `position`, from the first slot down, as the archiver does.
    pub(super) fn place(&self, position: Position) -> Place<'a> {
        let mut slot = Slot::FIRST;
        while let Some(object) = self.0.get(&slot) {
            let Ok(extent) = &object.extent else { return Place::Unknown };
            slot = if position < extent.first {
                slot.left_of(extent)
            } else if position > extent.last {
                slot.right_of(extent)
            } else {
                return Place::Covered(object);
            };
        }
        Place::Free(slot)
    }

    /// The slots that are reachable from the first one.
    fn reachable(&self) -> BTreeSet<Slot> {
        let mut reachable = BTreeSet::new();
        let mut slots = vec![Slot::FIRST];
        while let Some(slot) = slots.pop() {
            let Some(object) = self.0.get(&slot) else { continue };
            reachable.insert(slot);
            if let Ok(extent) = &object.extent {
                slots.extend([slot.left_of(extent), slot.right_of(extent)]);
            }
        }
        reachable
    }
}

/// Judges the objects of one shard's hour.
///
/// An object that is not reachable follows one that is missing. The missing object is reported by the key of its slot:
/// the free slot where the search for the unreachable object ends.
pub fn judge(objects: &[AuditedObject]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in objects {
        if let Some(problem) = object.extent.as_ref().err().or(object.problem.as_ref()) {
            findings.push(Finding::new(Kind::Damaged, &object.key, problem.clone()));
        }
    }
    let tree = Tree::new(objects);
    let reachable = tree.reachable();
    let mut orphans = BTreeMap::<Slot, Vec<&AuditedObject>>::new();
    for object in objects.iter().filter(|object| !reachable.contains(&object.key.slot)) {
        let Ok(extent) = &object.extent else {
            findings
                .extend(anchor_problem(object, objects).map(|what| Finding::new(Kind::Misplaced, &object.key, what)));
            continue;
        };
        match tree.place(extent.first) {
            Place::Free(slot) => orphans.entry(slot).or_default().push(object),
            Place::Covered(other) => {
                let what = format!("it begins inside the records of {}", other.key);
                findings.push(Finding::new(Kind::Overlapping, &object.key, what));
            }
            Place::Unknown => {}
        }
    }
    for (slot, orphans) in orphans {
        let key = ObjectKey { slot, ..orphans[0].key.clone() };
        let what = match &orphans[..] {
            [only] => format!("no object is in this slot, but {} follows it", only.key),
            more => format!("no object is in this slot, but {} objects follow it, first {}", more.len(), more[0].key),
        };
        findings.push(Finding::new(Kind::Missing, key, what));
        let problems = orphans.iter().filter_map(|object| {
            let what = anchor_problem(object, objects)?;
            Some(Finding::new(Kind::Misplaced, &object.key, what))
        });
        findings.extend(problems);
    }
    findings.extend(overlaps(objects, &reachable));
    // One finding of each kind is enough for an object.
    let mut known = BTreeSet::new();
    findings.retain(|finding| known.insert((finding.kind, finding.key.clone())));
    findings
}

/// Finds an end of the object's slot that is not an end of any object.
fn anchor_problem(object: &AuditedObject, objects: &[AuditedObject]) -> Option<String> {
    let Slot { after, before } = object.key.slot;
    let extents = || objects.iter().filter_map(|object| object.extent.as_ref().ok());
    if after != Position::ZERO && !extents().any(|extent| extent.last == after) {
        return Some(format!("it follows {after:?}, but no object of its hour ends there"));
    }
    let before = before.filter(|before| !extents().any(|extent| extent.first == *before))?;
    Some(format!("it comes before {before:?}, but no object of its hour begins there"))
}

/// Finds objects that begin before the end of an earlier one.
fn overlaps(objects: &[AuditedObject], reachable: &BTreeSet<Slot>) -> Vec<Finding> {
    let mut extents: Vec<_> =
        objects.iter().filter_map(|object| Some((object.extent.as_ref().ok()?, &object.key))).collect();
    extents.sort_by_key(|(extent, _)| (extent.first, extent.last));
    let mut furthest: Option<(Position, &ObjectKey)> = None;
    let mut findings = Vec::new();
    for (extent, key) in extents {
        if let Some((_, other)) = furthest.filter(|(last, _)| extent.first <= *last) {
            // Reachable objects never overlap, so the other object is the wrong one.
            let (key, other) = if reachable.contains(&key.slot) { (other, key) } else { (key, other) };
            findings.push(Finding::new(Kind::Overlapping, key, format!("it covers records that {other} covers, too")));
        }
        if furthest.is_none_or(|(last, _)| last < extent.last) {
            furthest = Some((extent.last, key));
        }
    }
    findings
}
