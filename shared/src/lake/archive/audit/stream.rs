//! Compares a shard's objects with the shard's own records, while the stream still has them.

use super::hour::{Place, Tree};
use super::{AuditedObject, Finding, Kind};
use crate::lake::archive::json::Canonical;
use crate::lake::archive::{Extent, Format, Hour, ObjectKey, ShardHour, line};
use crate::stream::batch::{Position, UserRecord};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io;

/// Compares the objects of one shard with its records, which it takes one by one in the order of the shard. It keeps a
/// hash for each hour, and no records.
///
/// A line of the lake depends on its record alone. So the stream's records, written as lines again, have the hash of
/// their object exactly if the object has the same records with the same bytes, keys and times, and no others.
pub struct Comparison<'a> {
    of: &'a ShardHour,
    format: Format,
    coverage: Coverage,
    hours: BTreeMap<Hour, HourComparison<'a>>,
    /// The position of the first record that was taken.
    began: Option<Position>,
    counts: ComparisonCounts,
    findings: Vec<Finding>,
}

/// The times of arrival for which the stream and the lake must be complete, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The stream still has every record that arrived at this time or later. Earlier records may have expired.
    pub since_ms: i64,
    /// The lake must have every record that arrived up to this time. Later ones may still wait for their batch to fill.
    pub archived_ms: i64,
}

/// What a comparison counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComparisonCounts {
    /// Records that were compared.
    pub records: u64,
    /// Of these, records that an object should cover and none does.
    pub missing: u64,
    /// Of these, records that no object covers, and that may still wait for their batch to fill.
    pub waiting: u64,
    /// Objects all of whose records were compared.
    pub objects: u64,
}

/// The objects of one hour in the order of their records, and the state of their comparison.
struct HourComparison<'a> {
    tree: Tree<'a>,
    objects: Vec<(&'a ObjectKey, &'a Extent)>,
    next: usize,
    sha256: Sha256,
    count: u64,
    gap: Option<Gap>,
}

/// A stretch of records that no object covers.
struct Gap {
    first: Position,
    last: Position,
    count: u64,
}

impl<'a> Comparison<'a> {
    /// A comparison for the shard that `of` names. `hours` has the objects of each hour, and `format` is their format.
    /// Records of other hours are ignored.
    pub fn new(
        of: &'a ShardHour,
        format: Format,
        coverage: Coverage,
        hours: impl IntoIterator<Item = (Hour, &'a [AuditedObject])>,
    ) -> Self {
        let hours = hours.into_iter().map(|(hour, objects)| (hour, HourComparison::new(objects))).collect();
        Self { of, format, coverage, hours, began: None, counts: ComparisonCounts::default(), findings: Vec::new() }
    }

    /// Takes the next record of the shard.
    ///
    /// # Errors
    /// The record could not be written to memory.
    pub fn take(&mut self, record: &UserRecord<'_>) -> io::Result<()> {
        self.began.get_or_insert(record.position());
        let hour = Hour::of(record.arrived_ms);
        let Some(comparison) = self.hours.get_mut(&hour) else { return Ok(()) };
        self.counts.records += 1;
        let position = record.position();
        while let Some(&(key, extent)) = comparison.objects.get(comparison.next) {
            if position <= extent.last {
                break;
            }
            // The object's last record is not in the stream.
            if self.coverage.has_all(hour, extent, self.began) {
                self.findings.push(not_in_stream(key, comparison.count));
            }
            comparison.next_object();
        }
        let object = comparison.objects.get(comparison.next).copied();
        let Some((key, extent)) = object.filter(|(_, extent)| extent.covers(position)) else {
            // `Place::Unknown` is not counted: an object that does not say what it covers may have the record.
            if !matches!(comparison.tree.place(position), Place::Free(_)) {
                return Ok(());
            }
            if record.arrived_ms > self.coverage.archived_ms {
                self.counts.waiting += 1;
            } else {
                self.counts.missing += 1;
                match &mut comparison.gap {
                    Some(gap) => (gap.last, gap.count) = (position, gap.count + 1),
                    gap => *gap = Some(Gap { first: position, last: position, count: 1 }),
                }
            }
            return Ok(());
        };
        self.findings.extend(comparison.close_gap(self.of, hour, self.format));
        let mut text = Vec::with_capacity(record.data.len() * 4 / 3 + 256);
        line::write(&mut text, record, &mut Canonical::default())?;
        comparison.sha256.update(&text);
        comparison.count += 1;
        if position == extent.last {
            if self.coverage.has_all(hour, extent, self.began) {
                self.counts.objects += 1;
                let sha256: [u8; 32] = comparison.sha256.clone().finalize().into();
                if comparison.count != extent.count {
                    let what = format!("it has {} records, but the stream has {}", extent.count, comparison.count);
                    self.findings.push(Finding::new(Kind::Altered, key, what));
                } else if sha256 != extent.sha256 {
                    let what = "its records have other bytes, partition keys or times of arrival in the stream";
                    self.findings.push(Finding::new(Kind::Altered, key, what));
                }
            }
            comparison.next_object();
        }
        Ok(())
    }

    /// Ends the comparison after the shard's last record. Records that an object has and that were not taken by now are
    /// not in the stream.
    pub fn finish(mut self) -> (ComparisonCounts, Vec<Finding>) {
        for (hour, comparison) in &mut self.hours {
            self.findings.extend(comparison.close_gap(self.of, *hour, self.format));
            for &(key, extent) in comparison.objects.iter().skip(comparison.next) {
                if self.coverage.has_all(*hour, extent, self.began) {
                    self.findings.push(not_in_stream(key, comparison.count));
                }
                comparison.count = 0;
            }
        }
        (self.counts, self.findings)
    }
}

impl Coverage {
    /// Whether no record of an object can have expired, so that the stream has all those that it ever had.
    fn has_all(&self, hour: Hour, extent: &Extent, began: Option<Position>) -> bool {
        hour.start_ms() >= self.since_ms || began.is_some_and(|began| began <= extent.first)
    }
}

impl<'a> HourComparison<'a> {
    fn new(objects: &'a [AuditedObject]) -> Self {
        let tree = Tree::new(objects);
        let mut objects: Vec<_> =
            objects.iter().filter_map(|object| Some((&object.key, object.extent.as_ref().ok()?))).collect();
        objects.sort_by_key(|(_, extent)| extent.first);
        let (sha256, count) = (Sha256::new(), 0);
        Self { tree, objects, next: 0, sha256, count, gap: None }
    }

    /// Goes on to the next object.
    fn next_object(&mut self) {
        self.next += 1;
        (self.sha256, self.count) = (Sha256::new(), 0);
    }

    /// Returns the finding of the gap that ends here, if there is one.
    fn close_gap(&mut self, of: &ShardHour, hour: Hour, format: Format) -> Option<Finding> {
        let gap = self.gap.take()?;
        let Place::Free(slot) = self.tree.place(gap.first) else { return None };
        let key = ObjectKey { of: ShardHour { hour, ..of.clone() }, slot, format };
        let what = match gap.count {
            1 => format!("the stream has the record {:?}, which no object has", gap.first),
            count => {
                format!("the stream has {count} records from {:?} to {:?}, which no object has", gap.first, gap.last)
            }
        };
        Some(Finding::new(Kind::Missing, key, what))
    }
}

fn not_in_stream(key: &ObjectKey, found: u64) -> Finding {
    let what = match found {
        0 => "the stream has none of its records".to_owned(),
        found => format!("the stream has {found} of its records, but not the last one"),
    };
    Finding::new(Kind::Altered, key, what)
}
