//! Reads from a function's response what happened to its batch.

use bytes::Bytes;
use myaku::stream::batch::SequenceNumber;
use serde_json::Value;

/// What happened to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All records are processed.
    Success,
    /// The records before this index are processed. Those from this index on must be delivered again.
    FailedFrom(usize),
    /// No record counts as processed, for this reason.
    Failure(String),
}

/// Reads a response to a batch whose records have these sequence numbers, in order.
///
/// If `report` is false, every response is a success, because the function did not fail.
pub(super) fn verdict(response: &[u8], sequences: &[SequenceNumber], report: bool) -> Verdict {
    if !report {
        return Verdict::Success;
    }
    let Some(failures) = member(response, "batchItemFailures") else { return Verdict::Success };
    let failures = match failures {
        Value::Null => return Verdict::Success,
        Value::Array(failures) => failures,
        other => return Verdict::Failure(format!("batchItemFailures is not a list: {other}")),
    };
    let mut lowest = None;
    for failure in &failures {
        let Some(identifier) = failure.get("itemIdentifier").and_then(Value::as_str) else {
            return Verdict::Failure("a batch item failure has no itemIdentifier".to_owned());
        };
        let index = identifier.parse().ok().and_then(|sequence| sequences.binary_search(&sequence).ok());
        let Some(index) = index else {
            return Verdict::Failure(format!("itemIdentifier {identifier:?} is not a sequence number of the batch"));
        };
        lowest = Some(lowest.map_or(index, |lowest: usize| lowest.min(index)));
    }
    lowest.map_or(Verdict::Success, Verdict::FailedFrom)
}

/// The state in the response of a tumbling window, as JSON.
pub(super) fn state(response: &[u8]) -> Option<Bytes> {
    member(response, "state").filter(|state| !state.is_null()).map(|state| Bytes::from(state.to_string()))
}

fn member(response: &[u8], name: &str) -> Option<Value> {
    match serde_json::from_slice(response) {
        Ok(Value::Object(mut members)) => members.remove(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(response: &str) -> Verdict {
        let sequences: Vec<_> = ["9", "10", "11"].iter().map(|number| number.parse().unwrap()).collect();
        verdict(response.as_bytes(), &sequences, true)
    }

    /// "Lambda treats a batch as a complete success if you return any of the following: An empty `batchItemFailure`
    /// list; A null `batchItemFailure` list; An empty `EventResponse`; A null `EventResponse`".
    #[test]
    fn a_response_without_failures_is_a_complete_success() {
        for response in [r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, "{}", "null", "", "\"done\""] {
            assert_eq!(of(response), Verdict::Success, "{response}");
        }
    }

    /// "Lambda treats a batch as a complete failure if you return any of the following: An empty string
    /// `itemIdentifier`; A null `itemIdentifier`; An `itemIdentifier` with a bad key name".
    #[test]
    fn an_identifier_of_no_record_in_the_batch_is_a_complete_failure() {
        for failure in
            [r#"{"itemIdentifier":""}"#, r#"{"itemIdentifier":null}"#, r#"{"id":"10"}"#, r#"{"itemIdentifier":"12"}"#]
        {
            let response = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"11"}},{failure}]}}"#);
            assert!(matches!(of(&response), Verdict::Failure(_)), "{response}");
        }
        assert!(matches!(of(r#"{"batchItemFailures":"10"}"#), Verdict::Failure(_)));
    }

    /// "If the `batchItemFailures` array contains multiple items, Lambda uses the record with the lowest sequence
    /// number as the checkpoint."
    #[test]
    fn the_lowest_sequence_number_is_the_checkpoint_compared_as_a_number() {
        let response = r#"{"batchItemFailures":[{"itemIdentifier":"11"},{"itemIdentifier":"10"}]}"#;
        assert_eq!(of(response), Verdict::FailedFrom(1));
        let response = r#"{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"}]}"#;
        assert_eq!(of(response), Verdict::FailedFrom(0));
    }

    /// "To allow for partial successes while processing batches from a stream, turn on `ReportBatchItemFailures`."
    #[test]
    fn a_report_of_failures_is_ignored_unless_the_mapping_enables_reports() {
        let response = br#"{"batchItemFailures":[{"itemIdentifier":"10"}]}"#;
        assert_eq!(verdict(response, &["10".parse().unwrap()], false), Verdict::Success);
    }
}
