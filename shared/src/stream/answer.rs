//! What a function answers to a batch: all done, or retry from here.
//!
//! Lambda reads the answer as `ReportBatchItemFailures`: everything before the lowest failed sequence number counts as
//! done, and the batch is delivered again from there. An answer names a Kinesis record; progress within an aggregate is
//! the business of the function's own state.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html>

use super::batch::{Batch, SequenceNumber};
use crate::platform::errors::chain;
use crate::platform::telemetry::{Metric, count};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use std::error::Error;

/// The answer to one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    retry_from: Option<SequenceNumber>,
}

impl Answer {
    /// All records of the batch are done.
    pub const DONE: Self = Self { retry_from: None };

    /// The records before the one at `record` are done. The others are to be delivered again, because of `error`, which
    /// is logged and counted here.
    pub fn retry_from_record(batch: &Batch, record: usize, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(
            stream = batch.stream,
            shard = batch.shard,
            record,
            records = batch.records.len(),
            error = chain(error),
            "the batch is to be delivered again from this record on"
        );
        count(Metric::Retries, 1);
        Self { retry_from: batch.records.get(record).map(|record| record.sequence) }
    }

    /// The record from which the batch is to be delivered again; `None` if all of it is done.
    pub const fn retry_from(&self) -> Option<SequenceNumber> {
        self.retry_from
    }
}

/// As Lambda reads it: `{"batchItemFailures":[{"itemIdentifier":"4959…"}]}`.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Failure(SequenceNumber);

        impl Serialize for Failure {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut item = serializer.serialize_struct("Failure", 1)?;
                item.serialize_field("itemIdentifier", &self.0.to_string())?;
                item.end()
            }
        }

        let failures: Vec<Failure> = self.retry_from.into_iter().map(Failure).collect();
        let mut answer = serializer.serialize_struct("Answer", 1)?;
        answer.serialize_field("batchItemFailures", &failures)?;
        answer.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::batch::StreamRecord;

    fn batch(records: u32) -> Batch {
        let record = |number: u32| StreamRecord {
            sequence: (100 + number).to_string().parse().unwrap(),
            partition_key: "k".into(),
            arrived_ms: 0,
            data: Vec::new().into(),
        };
        Batch { stream: "s".to_owned(), shard: "shard".to_owned(), records: (0..records).map(record).collect() }
    }

    fn json(answer: Answer) -> String {
        serde_json::to_string(&answer).unwrap()
    }

    #[test]
    fn an_answer_names_the_record_from_which_lambda_delivers_again() {
        let error = std::fmt::Error;
        let answer = Answer::retry_from_record(&batch(3), 1, &error);
        assert_eq!(json(answer), r#"{"batchItemFailures":[{"itemIdentifier":"101"}]}"#);
        assert_eq!(json(Answer::DONE), r#"{"batchItemFailures":[]}"#);
        assert_eq!(Answer::retry_from_record(&batch(0), 0, &error), Answer::DONE, "nothing can be delivered again");
    }
}
