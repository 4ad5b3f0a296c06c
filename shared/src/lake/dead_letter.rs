//! What could not be processed: kept with its bytes and a reason, so that nothing is dropped in silence.
//!
//! A letter's key is made of its reason and its record's place in the stream, never of when or by whom it was
//! written: a redelivered batch writes the same objects again, and letters can be listed by reason and time.

mod key;
mod memory;
#[cfg(feature = "s3")]
mod s3;
mod wire;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

pub use key::LetterKey;
pub use memory::MemoryDeadLetters;
#[cfg(feature = "s3")]
pub use s3::S3DeadLetters;
pub use wire::NotALetter;

use crate::lake::archive::Hour;
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::batch::{Batch, Position, UserRecord};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where letters stand in their bucket.
pub const PREFIX: &str = "dead-letters/";
/// Puts of one invocation that are under way at a time: S3 answers in some 20 ms, so this is well over a thousand
/// letters a second, and few enough connections for a small function.
const CONCURRENT_PUTS: usize = 32;

/// Why a record, or one value of it, could not be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The record is no `Message`, and the registry has no source of its name.
    NotAMessage,
    /// The registry has no such device.
    UnknownDevice,
    /// The registry's entry of the device cannot be used.
    InvalidDevice,
    /// The device names a profile that the registry does not have.
    UnknownProfile,
    /// The device's profile contradicts itself.
    InvalidProfile,
    /// The payload is not in the format that the profile names.
    Undecodable,
    /// A field that the profile requires is not there.
    MissingField,
    /// A field should be a finite number and is not.
    NotANumber,
    /// The value lies outside the profile's range.
    OutOfRange,
    /// The time lies further off than any clock's error.
    TimeBeyondBelief,
    /// Larger than a record or a field may be.
    TooLarge,
}

impl Reason {
    /// Every reason, in the order of this type.
    pub const ALL: [Self; 11] = [
        Self::NotAMessage,
        Self::UnknownDevice,
        Self::InvalidDevice,
        Self::UnknownProfile,
        Self::InvalidProfile,
        Self::Undecodable,
        Self::MissingField,
        Self::NotANumber,
        Self::OutOfRange,
        Self::TimeBeyondBelief,
        Self::TooLarge,
    ];

    /// The name in keys, letters and logs: `unknown-device`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAMessage => "not-a-message",
            Self::UnknownDevice => "unknown-device",
            Self::InvalidDevice => "invalid-device",
            Self::UnknownProfile => "unknown-profile",
            Self::InvalidProfile => "invalid-profile",
            Self::Undecodable => "undecodable",
            Self::MissingField => "missing-field",
            Self::NotANumber => "not-a-number",
            Self::OutOfRange => "out-of-range",
            Self::TimeBeyondBelief => "time-beyond-belief",
            Self::TooLarge => "too-large",
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

/// One record that could not be processed, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stream that the record is in.
    pub stream: String,
    /// The shard that the record is in.
    pub shard: String,
    /// The record's place in the shard.
    pub position: Position,
    /// Which failure of the record this is, where several of its values can fail: 0 for the first. `None` where the
    /// record failed as a whole.
    pub index: Option<u32>,
    /// The record's own partition key.
    pub partition_key: String,
    /// When the record arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// The device, where the record got far enough to name one.
    pub device_id: Option<String>,
    /// Why it is here.
    pub reason: Reason,
    /// The same in words: the field, the problem. Never a payload.
    pub detail: String,
    /// The record's bytes, exactly, so that it can be sent again.
    pub data: Vec<u8>,
}

impl DeadLetter {
    /// The letter of a user record of `batch`. `index` counts the failures of one record, where several values can fail.
    pub fn of_record(
        batch: &Batch,
        source: &UserRecord<'_>,
        device_id: Option<&str>,
        index: Option<u32>,
        Problem { reason, detail }: Problem,
    ) -> Self {
        Self {
            stream: batch.stream.clone(),
            shard: batch.shard.clone(),
            position: source.position(),
            index,
            partition_key: source.partition_key.to_owned(),
            arrived_ms: source.arrived_ms,
            device_id: device_id.map(str::to_owned),
            reason,
            detail,
            data: source.data.to_vec(),
        }
    }

    /// The object's key:
    /// `dead-letters/reason=<reason>/stream=<stream>/dt=YYYY-MM-DD/hh=HH/<shard>/<position>[-<index>].json`, with the
    /// time of arrival in UTC.
    pub fn key(&self) -> String {
        let key = LetterKey {
            reason: self.reason,
            stream: self.stream.clone(),
            hour: Hour::of(self.arrived_ms),
            shard: self.shard.clone(),
            position: self.position,
            index: self.index,
        };
        key.to_string()
    }
}

/// The port for writing letters. The same letter again leaves one.
pub trait DeadLetterStore: Send + Sync {
    /// Writes one letter; after `Ok` it is durable.
    fn put(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// The port for reading letters back: for people, for sending them again, and for tests.
pub trait DeadLetterReader: Send + Sync {
    /// The keys of all letters of `reason`, or of all reasons, in the order of their text.
    fn keys(&self, reason: Option<Reason>) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;

    /// The letter at `key`. An object that is no letter is an error to give up on.
    fn get(&self, key: &str) -> impl Future<Output = Result<DeadLetter, RemoteError>> + Send;
}

/// Where the letters of `reason`, or of all reasons, stand.
fn prefix(reason: Option<Reason>) -> String {
    reason.map_or_else(|| PREFIX.to_owned(), |reason| format!("{PREFIX}reason={reason}/"))
}

/// Letters that may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("{} dead letters could not be written", unwritten.len())]
pub struct Unwritten {
    /// Their indices, ascending.
    pub unwritten: Vec<usize>,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// Writes `letters`, a bounded number at a time, until all are written, one fails, or `stop` resolves.
///
/// After a failure no further put begins, since its record will be delivered again anyway: the letters whose put had
/// not succeeded are all told.
pub async fn put_all(
    store: &impl DeadLetterStore,
    letters: &[DeadLetter],
    stop: impl Future<Output = ()>,
) -> Result<(), Unwritten> {
    let mut written = vec![false; letters.len()];
    let mut failure = None;
    {
        // By index: a closure over references makes a future that nobody can prove to be `Send`.
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
            Err(Unwritten { unwritten: unwritten.collect(), source })
        }
    }
}

#[cfg(test)]
mod tests;
