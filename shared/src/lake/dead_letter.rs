//! Stores records that could not be processed, with their bytes and a reason, so that no record is dropped silently.
//!
//! A letter's key is made of its reason and its record's position in the stream, never of when or by which invocation
//! it was written. So a batch that is delivered again writes the same objects again, and letters can be listed by
//! reason and time.
//!
//! One user record has one letter, with its bytes once and a list of what failed in it. [`Letters`] collects the letters
//! of a batch and bounds them for each stream record, so that no record can cost more than a few times its own bytes.
//!
//! ```
//! use myaku::lake::dead_letter::{DeadLetter, Reason};
//! use myaku::stream::batch::Position;
//!
//! let letter = DeadLetter {
//!     stream: "ingest".to_owned(),
//!     shard: "shardId-000000000000".to_owned(),
//!     position: Position { sequence: "7".parse().unwrap(), sub: 0 },
//!     is_whole: false,
//!     partition_key: "bed-17".to_owned(),
//!     arrived_ms: 1_795_218_892_020,
//!     device_id: Some("bed-17".to_owned()),
//!     reason: Reason::UnknownDevice,
//!     detail: "no device bed-17".to_owned(),
//!     failures: Vec::new(),
//!     unlisted: 0,
//!     data: br#"{"hr":71}"#.to_vec(),
//! };
//! assert!(letter.key().starts_with("dead-letters/reason=unknown-device/stream=ingest/dt=2026-11-20/hh=23/"));
//! assert_eq!(DeadLetter::from_json(&letter.to_json()).unwrap(), letter);
//! ```

mod aside;
mod key;
mod letters;
mod memory;
#[cfg(feature = "s3")]
mod s3;
mod wire;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

#[cfg(all(feature = "s3", feature = "dynamodb"))]
pub use aside::{DeployedGuard, GuardSettings};
pub use key::LetterKey;
pub use letters::Letters;
pub use memory::MemoryDeadLetters;
#[cfg(feature = "s3")]
pub use s3::S3DeadLetters;
pub use wire::ParseLetterError;

use crate::lake::archive::Hour;
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::batch::Position;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The prefix of the letters' keys.
pub const PREFIX: &str = "dead-letters/";
/// Concurrent puts of one invocation. S3 answers in about 20 ms, so this is well over a thousand letters a second, with
/// few enough connections for a small function.
const CONCURRENT_PUTS: usize = 32;

/// The most failures that one letter lists. The record's bytes show the others.
pub const FAILURES_MAX: usize = 100;
/// The longest detail in words, in bytes. What is longer is cut.
const DETAIL_MAX: usize = 1_024;

/// Why a record, or one value of it, could not be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The record is not a `Message`, and the registry has no source of its name.
    NotAMessage,
    /// The registry does not have the device.
    UnknownDevice,
    /// The registry's entry for the device is not valid.
    InvalidDevice,
    /// It came through a facility where the device is not registered.
    WrongFacility,
    /// The device names a profile that the registry does not have.
    UnknownProfile,
    /// The device's profile contradicts itself.
    InvalidProfile,
    /// The payload is not in the format that the profile names.
    Undecodable,
    /// A field that the profile requires is missing.
    MissingField,
    /// A field should be a finite number, and is not one.
    NotANumber,
    /// The value is outside the profile's range.
    OutOfRange,
    /// The time is further off than the error of any clock.
    TimeBeyondBelief,
    /// The message came later than the profile allows, and the profile rejects such messages.
    Late,
    /// The record, or a field of it, is larger than allowed.
    TooLarge,
    /// Invocations that handled the record did not end: they ran out of memory or time, or aborted. It was set aside
    /// unread.
    Crashed,
}

impl Reason {
    /// Every reason, in the order of this type.
    pub const ALL: [Self; 14] = [
        Self::NotAMessage,
        Self::UnknownDevice,
        Self::InvalidDevice,
        Self::WrongFacility,
        Self::UnknownProfile,
        Self::InvalidProfile,
        Self::Undecodable,
        Self::MissingField,
        Self::NotANumber,
        Self::OutOfRange,
        Self::TimeBeyondBelief,
        Self::Late,
        Self::TooLarge,
        Self::Crashed,
    ];

    /// The name in keys, letters and logs: `unknown-device`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAMessage => "not-a-message",
            Self::UnknownDevice => "unknown-device",
            Self::InvalidDevice => "invalid-device",
            Self::WrongFacility => "wrong-facility",
            Self::UnknownProfile => "unknown-profile",
            Self::InvalidProfile => "invalid-profile",
            Self::Undecodable => "undecodable",
            Self::MissingField => "missing-field",
            Self::NotANumber => "not-a-number",
            Self::OutOfRange => "out-of-range",
            Self::TimeBeyondBelief => "time-beyond-belief",
            Self::Late => "late",
            Self::TooLarge => "too-large",
            Self::Crashed => "crashed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record cannot be processed: the reason of its dead letter, and the same in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason.
    pub reason: Reason,
    /// The same in words. It never shows a payload.
    pub detail: String,
}

impl Problem {
    /// With a detail that is not too long to be stored with every record.
    fn cut(mut self) -> Self {
        self.detail.truncate(self.detail.floor_char_boundary(DETAIL_MAX));
        self
    }
}

/// One thing that failed in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The user record, by its index in the aggregate, in the letter of a whole stream record.
    pub sub: Option<u32>,
    /// The value, by its index in the message. For several values, the first of them.
    pub index: Option<u32>,
    /// The value's metric.
    pub metric: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// One record that could not be processed, or not completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stream that the record is in.
    pub stream: String,
    /// The shard that the record is in.
    pub shard: String,
    /// The record's position in the shard.
    pub position: Position,
    /// Whether `data` is the whole stream record. Then the letter is about its user records from `position` on.
    pub is_whole: bool,
    /// The record's own partition key.
    pub partition_key: String,
    /// When the record arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// The device, if the record was parsed far enough to name it.
    pub device_id: Option<String>,
    /// Why the record could not be processed. If single values failed, the reason of the first of them.
    pub reason: Reason,
    /// The reason in words: the field and the problem, never a payload.
    pub detail: String,
    /// What failed, if not the record as such: at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// How many more things failed than `failures` lists.
    pub unlisted: usize,
    /// The record's exact bytes, so that it can be sent again.
    pub data: Vec<u8>,
}

impl DeadLetter {
    /// The object's key:
    /// `dead-letters/reason=<reason>/stream=<stream>/dt=YYYY-MM-DD/hh=HH/<shard>/<position>.json`, with the time of
    /// arrival in UTC.
    pub fn key(&self) -> String {
        let key = LetterKey {
            reason: self.reason,
            stream: self.stream.clone(),
            hour: Hour::of(self.arrived_ms),
            shard: self.shard.clone(),
            position: self.position,
            index: None,
        };
        key.to_string()
    }
}

/// The port that writes letters. A letter that is written twice is stored once.
pub trait DeadLetterStore: Send + Sync {
    /// Writes one letter. After `Ok` it is durable.
    fn put(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// The port that reads letters: for operators, for sending them again, and for tests.
pub trait DeadLetterReader: Send + Sync {
    /// The keys of all letters of `reason`, or of all reasons, in the order of their texts.
    fn keys(&self, reason: Option<Reason>) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;

    /// The letter at `key`. An object that is not a letter is an error with [`Remedy::GiveUp`].
    fn get(&self, key: &str) -> impl Future<Output = Result<DeadLetter, RemoteError>> + Send;
}

/// The prefix of the keys of letters of `reason`, or of all reasons.
fn prefix(reason: Option<Reason>) -> String {
    reason.map_or_else(|| PREFIX.to_owned(), |reason| format!("{PREFIX}reason={reason}/"))
}

/// Letters that may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("{} dead letters could not be written", unwritten.len())]
pub struct UnwrittenLetters {
    /// Their indices, ascending.
    pub unwritten: Vec<usize>,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// Writes `letters`, a bounded number at a time, until all are written, one fails, or `stop` resolves.
///
/// After a failure no further put begins, because the batch will be delivered again. The error names all letters whose
/// put had not succeeded by then.
pub async fn put_all(
    store: &impl DeadLetterStore,
    letters: &[DeadLetter],
    stop: impl Future<Output = ()>,
) -> Result<(), UnwrittenLetters> {
    let mut written = vec![false; letters.len()];
    let mut failure = None;
    {
        // Iterate over indices: with a closure over references, the compiler cannot prove that the future is `Send`.
        let mut puts = stream::iter(0..letters.len())
            .map(|index| async move { (index, store.put(&letters[index]).await) })
            .buffer_unordered(CONCURRENT_PUTS);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                put = puts.next() => match put {
                    None => break,
                    Some((index, Ok(()))) => written[index] = true,
                    Some((_, Err(error))) => {
                        failure = Some(error);
                        break;
                    }
                },
                () = &mut stop => {
                    failure = Some(RemoteError::new("PutObject", Remedy::Retry, "out of time"));
                    break;
                }
            }
        }
    }
    match failure {
        None => Ok(()),
        Some(source) => {
            let unwritten = written.iter().enumerate().filter(|(_, written)| !**written).map(|(index, _)| index);
            Err(UnwrittenLetters { unwritten: unwritten.collect(), source })
        }
    }
}

#[cfg(test)]
mod tests;
