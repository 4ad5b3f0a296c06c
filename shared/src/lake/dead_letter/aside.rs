//! Sets records aside, unread, as dead letters.

use super::{DeadLetter, DeadLetterStore, Reason};
use crate::platform::errors::{Remedy, RemoteError};
use crate::stream::batch::{Batch, Position};
use crate::stream::guard::SetAside;

impl<S: DeadLetterStore> SetAside for S {
    async fn set_aside(&self, batch: &Batch, detail: String) -> Result<(), RemoteError> {
        let [record] = batch.records.as_slice() else {
            return Err(RemoteError::new("set a record aside", Remedy::GiveUp, "the batch has not just one record"));
        };
        let position = Position { sequence: record.sequence, sub: 0 };
        self.put(&DeadLetter::of_stream_record(batch, 0, position, Reason::Crashed, detail)).await
    }
}

#[cfg(all(feature = "s3", feature = "dynamodb"))]
mod deployed {
    use super::super::S3DeadLetters;
    use crate::platform::clock::SystemClock;
    use crate::platform::env::{Env, EnvError};
    use crate::stream::guard::Guard;
    use crate::stream::guard::notes::dynamodb::DynamoDbNotes;
    use aws_config::SdkConfig;

    /// The guard of a deployed function.
    pub type DeployedGuard = Guard<DynamoDbNotes, S3DeadLetters, SystemClock>;

    /// The settings of a guard.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GuardSettings {
        /// `NOTES_TABLE`: the table of the notes of suspects.
        pub notes_table: String,
        /// `DEAD_LETTER_BUCKET`: the bucket where records are set aside.
        pub dead_letter_bucket: String,
    }

    impl GuardSettings {
        /// Reads the settings; the error names the variable.
        pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
            Ok(Self {
                notes_table: env.required("NOTES_TABLE", "the name of the table of notes")?,
                dead_letter_bucket: env.required("DEAD_LETTER_BUCKET", "the name of the bucket of dead letters")?,
            })
        }

        /// The guard of the function called `function`. Nothing is requested yet.
        pub fn guard(&self, function: &'static str, sdk: &SdkConfig) -> DeployedGuard {
            let notes = DynamoDbNotes::new(sdk, &self.notes_table);
            Guard::new(function, notes, S3DeadLetters::new(sdk, &self.dead_letter_bucket), SystemClock)
        }
    }
}

#[cfg(all(feature = "s3", feature = "dynamodb"))]
pub use deployed::{DeployedGuard, GuardSettings};
