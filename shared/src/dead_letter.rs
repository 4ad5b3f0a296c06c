//! What could not be processed, kept with its reason.

use serde::{Deserialize, Serialize};

/// Why a record, or one value of it, could not be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The record is no `Message`, and no setting says that the lake is all it wants.
    NotAMessage,
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
