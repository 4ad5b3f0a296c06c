//! Whether a lake is whole: what was seen of it goes in, what is wrong with it comes out, by key and in words. Pure.
//!
//! Four things are held against one another, each of which alone can be damaged unseen:
//!
//! - the **slots** of a shard's hour, which are a search tree: every object but the first stands in a slot that the extents
//!   of others have left ([`judge_hour`]);
//! - the **objects** themselves, whose bytes have the hash, number and ends that their metadata say ([`Seen::of`]);
//! - the **shards** as Kinesis tells them: none has a record from before its beginning or behind its end
//!   ([`Lineage::judge`]), and the **heads**, each of which was once the end of an object, and objects are for ever
//!   ([`judge_head`]);
//! - the **stream**, as long as it holds the records: written as lines again, they have each object's hash, and those
//!   that no object covers are missing ([`Comparison`]).
//!
//! What nothing follows leaves no trace in the slots when it is deleted: where the stream has forgotten the records too,
//! only a head can tell.

mod hour;
mod seen;
mod shard;
mod stream;

pub use hour::judge as judge_hour;
pub use seen::Seen;
pub use shard::{Lineage, Span, judge_head};
pub use stream::{Compared, Comparison, Held};

use serde::Serialize;
use std::fmt;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something that should be there is not. The key is that of the slot where it belongs.
    Missing,
    /// The object's bytes or metadata are not those that were put there.
    Damaged,
    /// The object stands where none belongs: no other has left that slot, or its shard was not there then.
    Misplaced,
    /// The object covers records that another one covers.
    Overlapping,
    /// The object is none of the archiver.
    Foreign,
    /// The object has other records than the stream.
    Altered,
    /// The head is no object's end.
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
    /// The key that it is about: of an object, of a slot without one, or `head <shard>`.
    pub key: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The same in words.
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
