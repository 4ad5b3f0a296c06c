//! The port to the heads. A head hints at where a shard's part of the lake ends, so that a batch usually takes one put.

#[cfg(any(test, feature = "testing"))]
pub(super) mod conformance;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDbHeads;
pub use memory::MemoryHeads;

use super::{Hour, ParseKeyError};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use std::fmt;
use std::future::Future;
use std::str::FromStr;

/// Where the last hour of a shard ends, as far as is known: the last record of an object in an open-ended slot. Later
/// records of that hour go into the open-ended slot after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// The hour of arrival.
    pub hour: Hour,
    /// The last record of an object in an open-ended slot of that hour.
    pub last: Position,
}

/// `dt=YYYY-MM-DD/hh=HH/<position>`. These texts sort as the heads do.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hour, self.last)
    }
}

impl FromStr for Head {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseKeyError(text.to_owned());
        let (hour, last) = text.rsplit_once('/').ok_or_else(bad)?;
        Ok(Self { hour: hour.parse()?, last: last.parse().map_err(|_| bad())? })
    }
}

/// Hints of where the lake ends for each shard. A head that is lost or old costs reads of the lake and nothing else.
pub trait Heads: Send + Sync {
    /// The head of a shard, if one is known.
    fn get(&self, stream: &str, shard: &str) -> impl Future<Output = Result<Option<Head>, RemoteError>> + Send;

    /// Moves the head of a shard forward to `head`. A head that is already there, or further, stays.
    fn advance(&self, stream: &str, shard: &str, head: Head) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

impl<H: Heads> Heads for &H {
    fn get(&self, stream: &str, shard: &str) -> impl Future<Output = Result<Option<Head>, RemoteError>> + Send {
        (**self).get(stream, shard)
    }

    fn advance(&self, stream: &str, shard: &str, head: Head) -> impl Future<Output = Result<(), RemoteError>> + Send {
        (**self).advance(stream, shard, head)
    }
}

/// The shards of a stream that have a head, in the order of their ids, each with its head, or with what is wrong with it in
/// words.
pub type AllHeads = Vec<(String, Result<Head, String>)>;

/// The port to all heads of a stream, for operators and audits.
pub trait HeadsKeeper: Send + Sync {
    /// The heads of `stream`.
    fn all(&self, stream: &str) -> impl Future<Output = Result<AllHeads, RemoteError>> + Send;

    /// Replaces the head of a shard, whatever it is; `None` deletes it. A head that an archiver moves meanwhile may be
    /// moved back, which is harmless, because heads are hints.
    fn replace(
        &self,
        stream: &str,
        shard: &str,
        head: Option<Head>,
    ) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head((ms, sequence, sub): (i64, u128, u32)) -> Head {
        let last = Position { sequence: sequence.to_string().parse().unwrap(), sub };
        Head { hour: Hour::of(ms), last }
    }

    #[test]
    fn a_head_is_a_text_of_fixed_width() {
        insta::assert_snapshot!(head((1_795_218_892_020, 7, 3)), @"dt=2026-11-20/hh=23/00000000000000000000000000000000000000000000000000000007.0000000003");
    }

    proptest! {
        #[test]
        fn heads_round_trip_and_sort_as_their_texts_do(
            a in (0..253_402_300_799_999_i64, any::<u128>(), any::<u32>()),
            b in (0..253_402_300_799_999_i64, any::<u128>(), any::<u32>()),
        ) {
            let (a, b) = (head(a), head(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(a.to_string().parse::<Head>().unwrap(), a);
        }
    }
}
