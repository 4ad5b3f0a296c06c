//! Decides whether a lake is complete and undamaged. The input is what the caller read; the output is findings, by key
//! and in words. Pure.
//!
//! Damage to any one of these can go unnoticed alone, so the audit compares them with one another:
//!
//! - The **slots** of a shard's hour are a search tree: every object but the first is in a slot that the extents of
//!   other objects leave ([`judge_hour`]).
//! - The **objects** have bytes whose hash, number of records, first and last record are those of their metadata
//!   ([`AuditedObject::of`]).
//! - The **shards**, as Kinesis lists them, have no records from before their beginning or after their end
//!   ([`Lineage::judge`]).
//! - The **keys** of the whole stream are those of objects, and no two objects have the same bytes ([`judge_keys`]).
//! - The **heads** were each the end of an object once, and objects are never deleted ([`judge_head`]).
//! - The **stream** has the records for its retention period. Written as lines again, they have the hash of their
//!   object. A record that no object covers is missing ([`Comparison`]).
//!
//! If an object is deleted that no other object follows, the slots do not show it. Once the stream has dropped the
//! records too, only a head can show it.

mod hour;
mod keys;
mod object;
mod shard;
mod stream;

pub use hour::judge as judge_hour;
pub use keys::{Known, judge_keys, unwritten, wrong_format};
pub use object::AuditedObject;
pub use shard::{Lineage, Span, judge_head};
pub use stream::{Comparison, ComparisonCounts, Coverage};

use serde::Serialize;
use std::fmt;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An object should be there and is not. The key is that of the slot where it belongs.
    Missing,
    /// The object's bytes or metadata are not those that were put there.
    Damaged,
    /// The object is in a wrong place: its slot is not one that other objects leave, or its shard did not exist then.
    Misplaced,
    /// The object covers records that another object covers, too.
    Overlapping,
    /// The object was not put by the archiver.
    Foreign,
    /// The object has other records than the stream.
    Altered,
    /// The head is not the end of an object.
    Head,
}

impl Kind {
    /// The name in JSON and tables: `misplaced`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Misplaced => "misplaced",
            Self::Overlapping => "overlapping",
            Self::Foreign => "foreign",
            Self::Altered => "altered",
            Self::Head => "head",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// Its subject: the key of an object, the key of a slot without an object, or `head <shard>`.
    pub key: String,
    /// Its kind.
    pub kind: Kind,
    /// What is wrong, in words.
    pub what: String,
}

impl Finding {
    /// A finding about `key`.
    pub fn new(kind: Kind, key: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { key: key.to_string(), kind, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.name(), self.key, self.what)
    }
}

#[cfg(test)]
mod tests;
