//! Each rule beside the sentence of Lambda's documentation that makes it:
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>. Time is paused and turns by itself.

use super::*;
use myaku::platform::clock::Now as _;
use myaku::platform::errors::RemoteError;
use std::sync::Mutex;

const START_MS: i64 = 1_573_755_363_825;

/// A function that answers as it is told, in order, and notes when it was asked, in seconds.
struct Script {
    clock: TokioClock,
    answers: Mutex<Vec<Result<Bytes, InvokeError>>>,
    asked_s: Mutex<Vec<i64>>,
}

impl Script {
    fn new(clock: TokioClock, answers: impl IntoIterator<Item = Result<Bytes, InvokeError>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self { clock, answers: Mutex::new(answers), asked_s: Mutex::default() }
    }
}

impl Invoker for Script {
    async fn invoke(&self, _: Bytes) -> Result<Bytes, InvokeError> {
        self.asked_s.lock().unwrap().push((self.clock.now_ms() - START_MS) / 1_000);
        self.answers.lock().unwrap().pop().unwrap_or(Err(InvokeError::Throttled))
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<FailedInvocation>>);

impl OnFailure for Kept {
    async fn send(&self, failed: &FailedInvocation) -> Result<(), RemoteError> {
        self.0.lock().unwrap().push(failed.clone());
        Ok(())
    }
}

fn failure() -> InvokeError {
    InvokeError::FunctionError { error_type: "Error".to_owned(), message: "as asked".to_owned() }
}

/// When the function was asked, in seconds from the start, and what was given up.
async fn run(
    settings: Settings,
    answers: impl IntoIterator<Item = Result<Bytes, InvokeError>>,
) -> (Vec<i64>, Vec<FailedInvocation>) {
    let clock = TokioClock::starting_at(START_MS);
    let script = Script::new(clock, answers);
    let kept = Kept::default();
    let event = Event {
        id: Uuid::nil(),
        function_arn: "arn:aws:lambda:us-east-2:123456789012:function:my-function".into(),
        payload: Bytes::from_static(br#"{"ORDER_IDS":["9e07af03"]}"#),
    };
    let turns = Semaphore::new(1);
    deliver(&event, settings, &turns, &script, &kept, &clock, Uuid::max).await;
    (script.asked_s.into_inner().unwrap(), kept.0.into_inner().unwrap())
}

/// "If the function returns an error, Lambda attempts to run it two more times, with a one-minute wait between
/// the first two attempts, and two minutes between the second and third attempts. Function errors include errors
/// returned by the function's code and errors returned by the function's runtime, such as timeouts."
#[tokio::test(start_paused = true)]
async fn an_error_is_tried_again_after_one_minute_and_after_two_and_then_given_up() {
    let errors = [failure(), InvokeError::TimedOut, failure()];
    let (asked_s, kept) = run(Settings::default(), errors.map(Err)).await;
    assert_eq!(asked_s, [0, 60, 180]);
    assert_eq!(kept.len(), 1);
    let (asked_s, kept) = run(Settings::default(), [Err(failure()), Ok(Bytes::new())]).await;
    assert_eq!((asked_s, kept.len()), (vec![0, 60], 0));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_wants_no_retries_is_tried_once() {
    let settings = Settings { retries_max: 0, ..Settings::default() };
    let (asked_s, kept) = run(settings, [Err(failure())]).await;
    assert_eq!((asked_s, kept.len()), (vec![0], 1));
}

/// "For throttling errors (429) and system errors (500-series), Lambda returns the event to the queue and attempts to run
/// the function again for up to 6 hours. The retry interval increases exponentially from 1 second after the
/// first attempt to a maximum of 5 minutes."
#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_again_with_growing_waits_and_costs_no_retry() {
    let refused = std::iter::repeat_n(Err(InvokeError::Throttled), 12);
    let (asked_s, kept) = run(Settings::default(), refused.chain([Ok(Bytes::new())])).await;
    let waits: Vec<i64> = asked_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert!(kept.is_empty());
    let (asked_s, kept) = run(Settings::default(), []).await;
    assert!(asked_s.last() < Some(&21_600) && kept[0].body.contains("EventAgeExceeded"), "{kept:?}");
}

/// "Maximum age of event – The maximum amount of time Lambda retains an event in the asynchronous event queue".
#[tokio::test(start_paused = true)]
async fn an_event_that_waits_too_long_is_given_up_before_its_retries_are() {
    let settings = Settings { event_age_max: Duration::from_secs(90), ..Settings::default() };
    let (asked_s, kept) = run(settings, [Err(failure()), Err(failure()), Ok(Bytes::new())]).await;
    assert_eq!(asked_s, [0, 60]);
    assert!(kept[0].body.contains(r#""condition":"EventAgeExceeded""#), "{kept:?}");
    // The time of giving up: 90 seconds after the start.
    assert!(kept[0].body.contains("2019-11-14T18:17:33.825Z"), "{kept:?}");
}

/// "The S3 object containing the invocation record uses the following naming convention:
/// aws/lambda/async/<function-name>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<Random UUID>".
#[tokio::test(start_paused = true)]
async fn what_was_given_up_has_the_documented_key_and_fields() {
    let (_, kept) = run(Settings::default(), [(); 3].map(|()| Err(failure()))).await;
    assert_eq!(
        kept[0].key,
        "aws/lambda/async/my-function/2019/11/14/2019-11-14T18.19.03-ffffffff-ffff-ffff-ffff-ffffffffffff"
    );
    insta::assert_snapshot!(kept[0].body,
        @r#"{"requestContext":{"approximateInvokeCount":3,"condition":"RetriesExhausted","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","requestId":"00000000-0000-0000-0000-000000000000"},"requestPayload":{"ORDER_IDS":["9e07af03"]},"responseContext":{"executedVersion":"$LATEST","functionError":"Unhandled","statusCode":200},"responsePayload":{"errorMessage":"as asked","errorType":"Error"},"timestamp":"2019-11-14T18:19:03.825Z","version":"1.0"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_of_an_event_that_never_reached_the_function_has_no_response() {
    let (_, kept) = run(Settings::default(), []).await;
    let record: serde_json::Value = serde_json::from_str(&kept[0].body).unwrap();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none(), "{record}");
}

#[test]
fn settings_beyond_lambdas_bounds_are_told() {
    assert_eq!(Settings::new(None, None), Ok(Settings::default()));
    let error = Settings::new(Some(3), None).unwrap_err().to_string();
    assert_eq!(error, "EventInvokeConfig: MaximumRetryAttempts is 3: it must be from 0 to 2");
    assert!(Settings::new(None, Some(59)).is_err());
    assert!(Settings::new(None, Some(21_601)).is_err());
}
