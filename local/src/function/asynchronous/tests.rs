//! Tests each rule, with the sentence of Lambda's documentation that states it:
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>. Tokio's clock is paused and
//! advances by itself.

use super::*;
use bytes::Bytes;
use myaku::platform::clock::Now as _;
use myaku::platform::errors::RemoteError;
use std::sync::Mutex;

const START_MS: i64 = 1_573_755_363_825;

/// A function that returns the given answers in order, and records when it was invoked, in seconds after the start.
struct Script {
    clock: TokioClock,
    answers: Mutex<Vec<Result<Bytes, InvokeError>>>,
    invoked_s: Mutex<Vec<i64>>,
}

impl Script {
    fn new(clock: TokioClock, answers: impl IntoIterator<Item = Result<Bytes, InvokeError>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self { clock, answers: Mutex::new(answers), invoked_s: Mutex::default() }
    }
}

impl Invoker for Script {
    async fn invoke(&self, _: Bytes) -> Result<Bytes, InvokeError> {
        self.invoked_s.lock().unwrap().push((self.clock.now_ms() - START_MS) / 1_000);
        self.answers.lock().unwrap().pop().unwrap_or(Err(InvokeError::Throttled))
    }
}

#[derive(Default)]
struct MemoryDestination(Mutex<Vec<FailedInvocation>>);

impl OnFailure for MemoryDestination {
    async fn send(&self, failed: &FailedInvocation) -> Result<(), RemoteError> {
        self.0.lock().unwrap().push(failed.clone());
        Ok(())
    }
}

fn failure() -> InvokeError {
    InvokeError::FunctionError { error_type: "Error".to_owned(), message: "requested by the test".to_owned() }
}

/// Delivers one event. Returns when the function was invoked, in seconds after the start, and what was discarded.
async fn run(
    settings: Settings,
    answers: impl IntoIterator<Item = Result<Bytes, InvokeError>>,
) -> (Vec<i64>, Vec<FailedInvocation>) {
    let clock = TokioClock::starting_at(START_MS);
    let script = Script::new(clock, answers);
    let discarded = MemoryDestination::default();
    let event = Event {
        id: Uuid::nil(),
        function_arn: "arn:aws:lambda:us-east-2:123456789012:function:my-function".into(),
        payload: Bytes::from_static(br#"{"ORDER_IDS":["9e07af03"]}"#),
    };
    let permits = Semaphore::new(1);
    deliver(&event, settings, &permits, &script, &discarded, &clock, Uuid::max).await;
    (script.invoked_s.into_inner().unwrap(), discarded.0.into_inner().unwrap())
}

/// "If the function returns an error, Lambda attempts to run it two more times, with a one-minute wait between
/// the first two attempts, and two minutes between the second and third attempts. Function errors include errors
/// returned by the function's code and errors returned by the function's runtime, such as timeouts."
#[tokio::test(start_paused = true)]
async fn an_error_is_retried_after_one_minute_and_after_two_and_then_the_event_is_discarded() {
    let errors = [failure(), InvokeError::TimedOut, failure()];
    let (invoked_s, discarded) = run(Settings::default(), errors.map(Err)).await;
    assert_eq!(invoked_s, [0, 60, 180]);
    assert_eq!(discarded.len(), 1);
    let (invoked_s, discarded) = run(Settings::default(), [Err(failure()), Ok(Bytes::new())]).await;
    assert_eq!((invoked_s, discarded.len()), (vec![0, 60], 0));
}

#[tokio::test(start_paused = true)]
async fn without_retries_a_function_is_invoked_once() {
    let settings = Settings { retries_max: 0, ..Settings::default() };
    let (invoked_s, discarded) = run(settings, [Err(failure())]).await;
    assert_eq!((invoked_s, discarded.len()), (vec![0], 1));
}

/// "For throttling errors (429) and system errors (500-series), Lambda returns the event to the queue and attempts to
/// run the function again for up to 6 hours. The retry interval increases exponentially from 1 second after the first
/// attempt to a maximum of 5 minutes."
#[tokio::test(start_paused = true)]
async fn a_refused_event_is_tried_again_with_growing_waits_and_uses_no_retry() {
    let refused = std::iter::repeat_n(Err(InvokeError::Throttled), 12);
    let (invoked_s, discarded) = run(Settings::default(), refused.chain([Ok(Bytes::new())])).await;
    let waits: Vec<i64> = invoked_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert!(discarded.is_empty());
    let (invoked_s, discarded) = run(Settings::default(), []).await;
    assert!(invoked_s.last() < Some(&21_600) && discarded[0].body.contains("EventAgeExceeded"), "{discarded:?}");
}

/// "Maximum age of event – The maximum amount of time Lambda retains an event in the asynchronous event queue".
#[tokio::test(start_paused = true)]
async fn an_event_that_reaches_its_maximum_age_is_discarded_before_its_retries_are_used_up() {
    let settings = Settings { event_age_max: Duration::from_secs(90), ..Settings::default() };
    let (invoked_s, discarded) = run(settings, [Err(failure()), Err(failure()), Ok(Bytes::new())]).await;
    assert_eq!(invoked_s, [0, 60]);
    assert!(discarded[0].body.contains(r#""condition":"EventAgeExceeded""#), "{discarded:?}");
    // It was discarded 90 seconds after the start.
    assert!(discarded[0].body.contains("2019-11-14T18:17:33.825Z"), "{discarded:?}");
}

/// "The S3 object containing the invocation record uses the following naming convention:
/// aws/lambda/async/<function-name>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<Random UUID>".
#[tokio::test(start_paused = true)]
async fn the_record_of_a_discarded_event_has_the_documented_key_and_fields() {
    let (_, discarded) = run(Settings::default(), [(); 3].map(|()| Err(failure()))).await;
    assert_eq!(
        discarded[0].key,
        "aws/lambda/async/my-function/2019/11/14/2019-11-14T18.19.03-ffffffff-ffff-ffff-ffff-ffffffffffff"
    );
    insta::assert_snapshot!(discarded[0].body,
        @r#"{"requestContext":{"approximateInvokeCount":3,"condition":"RetriesExhausted","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","requestId":"00000000-0000-0000-0000-000000000000"},"requestPayload":{"ORDER_IDS":["9e07af03"]},"responseContext":{"executedVersion":"$LATEST","functionError":"Unhandled","statusCode":200},"responsePayload":{"errorMessage":"requested by the test","errorType":"Error"},"timestamp":"2019-11-14T18:19:03.825Z","version":"1.0"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn the_record_of_an_event_that_never_reached_the_function_has_no_response() {
    let (_, discarded) = run(Settings::default(), []).await;
    let record: serde_json::Value = serde_json::from_str(&discarded[0].body).unwrap();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none(), "{record}");
}

#[test]
fn settings_outside_lambdas_bounds_are_refused_with_their_names() {
    assert_eq!(Settings::new(None, None), Ok(Settings::default()));
    let error = Settings::new(Some(3), None).unwrap_err().to_string();
    assert_eq!(error, "EventInvokeConfig: MaximumRetryAttempts is 3: it must be from 0 to 2");
    assert!(Settings::new(None, Some(59)).is_err());
    assert!(Settings::new(None, Some(21_601)).is_err());
}
