//! A shard's objects against the shard's own records, while the stream still holds them.

use super::hour::{Place, Tree};
use super::{Finding, Kind, Seen};
use crate::lake::archive::json::Canonical;
use crate::lake::archive::{Extent, Format, Hour, ObjectKey, ShardHour, line};
use crate::stream::batch::{Position, UserRecord};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io;

/// Compares the objects of one shard with its records as they come by, in the order of the shard. It keeps a hash for each
/// hour and no record.
///
/// A line of the lake follows from its record alone. So the stream's records, written as lines again, have the hash of
/// their object if that has the same records with the same bytes, keys and times, and no others.
pub struct Comparison<'a> {
    of: &'a ShardHour,
    format: Format,
    span: Held,
    hours: BTreeMap<Hour, HourComparison<'a>>,
    /// The first record that came by.
    began: Option<Position>,
    compared: Compared,
    findings: Vec<Finding>,
}

/// What the stream and the lake must both have, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The stream has forgotten nothing that arrived at this time or later. Of what came before, it has what comes by.
    pub since_ms: i64,
    /// What arrived up to this time must be in the lake: the archiver waits for a batch to fill before it writes it.
    pub archived_ms: i64,
}

/// What a comparison came to, beside its findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Records that came by.
    pub records: u64,
    /// Of these, records that no object covers and one should.
    pub missing: u64,
    /// Objects whose records all came by.
    pub objects: u64,
}

/// The objects of one hour, in the order of their records, and how far the comparison has come.
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
    /// A comparison of the shard that `of` names, whose hours have these objects, of this format. An hour that is not among them was not
    /// looked at: its records are passed over.
    pub fn new(
        of: &'a ShardHour,
        format: Format,
        span: Held,
        hours: impl IntoIterator<Item = (Hour, &'a [Seen])>,
    ) -> Self {
        let hours = hours.into_iter().map(|(hour, seen)| (hour, HourComparison::new(seen))).collect();
        Self { of, format, span, hours, began: None, compared: Compared::default(), findings: Vec::new() }
    }

    /// Takes the next record of the shard.
    ///
    /// # Errors
    /// The record could not be written to memory.
    pub fn take(&mut self, record: &UserRecord<'_>) -> io::Result<()> {
        self.began.get_or_insert(record.position());
        let hour = Hour::of(record.arrived_ms);
        let Some(comparison) = self.hours.get_mut(&hour) else { return Ok(()) };
        self.compared.records += 1;
        let position = record.position();
        while let Some(&(key, extent)) = comparison.objects.get(comparison.next) {
            if position <= extent.last {
                break;
            }
            // Its last record did not come by.
            if self.span.has(hour, extent, self.began) {
                self.findings.push(not_of_the_stream(key, comparison.count));
            }
            comparison.forget_object();
        }
        let object = comparison.objects.get(comparison.next).copied();
        let Some((key, extent)) = object.filter(|(_, extent)| extent.covers(position)) else {
            // Below an object that does not say what it covers, nobody knows.
            if record.arrived_ms <= self.span.archived_ms && matches!(comparison.tree.place(position), Place::Free(_)) {
                self.compared.missing += 1;
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
            if self.span.has(hour, extent, self.began) {
                self.compared.objects += 1;
                let sha256: [u8; 32] = comparison.sha256.clone().finalize().into();
                if comparison.count != extent.count {
                    let what = format!("it has {} records, and the stream has {}", extent.count, comparison.count);
                    self.findings.push(Finding::new(Kind::Altered, key, what));
                } else if sha256 != extent.sha256 {
                    let what = "the stream has other bytes, partition keys or times of arrival for its records";
                    self.findings.push(Finding::new(Kind::Altered, key, what));
                }
            }
            comparison.forget_object();
        }
        Ok(())
    }

    /// After the last record that the shard has: objects whose records have not come by by now are not of the stream.
    pub fn finish(mut self) -> (Compared, Vec<Finding>) {
        for (hour, comparison) in &mut self.hours {
            self.findings.extend(comparison.close_gap(self.of, *hour, self.format));
            for &(key, extent) in comparison.objects.iter().skip(comparison.next) {
                if self.span.has(*hour, extent, self.began) {
                    self.findings.push(not_of_the_stream(key, comparison.count));
                }
                comparison.count = 0;
            }
        }
        (self.compared, self.findings)
    }
}

impl Held {
    /// Whether the stream has all of an object's records, if they were ever there.
    fn has(&self, hour: Hour, extent: &Extent, began: Option<Position>) -> bool {
        hour.start_ms() >= self.since_ms || began.is_some_and(|began| began <= extent.first)
    }
}

impl<'a> HourComparison<'a> {
    fn new(seen: &'a [Seen]) -> Self {
        let mut objects: Vec<_> =
            seen.iter().filter_map(|seen| Some((&seen.key, seen.extent.as_ref().ok()?))).collect();
        objects.sort_by_key(|(_, extent)| extent.first);
        let (sha256, count) = (Sha256::new(), 0);
        Self { tree: Tree::new(seen), objects, next: 0, sha256, count, gap: None }
    }

    /// Goes on to the next object.
    fn forget_object(&mut self) {
        self.next += 1;
        (self.sha256, self.count) = (Sha256::new(), 0);
    }

    /// Tells the gap that ends here.
    fn close_gap(&mut self, of: &ShardHour, hour: Hour, format: Format) -> Option<Finding> {
        let gap = self.gap.take()?;
        let Place::Free(slot) = self.tree.place(gap.first) else { return None };
        let key = ObjectKey { of: ShardHour { hour, ..of.clone() }, slot, format };
        let what = match gap.count {
            1 => format!("the stream has the record {:?}, which is in no object", gap.first),
            count => {
                format!("the stream has {count} records from {:?} to {:?} that are in no object", gap.first, gap.last)
            }
        };
        Some(Finding::new(Kind::Missing, key, what))
    }
}

fn not_of_the_stream(key: &ObjectKey, found: u64) -> Finding {
    let what = match found {
        0 => "the stream has none of its records".to_owned(),
        found => format!("the stream has {found} of its records, and not the last one"),
    };
    Finding::new(Kind::Altered, key, what)
}
