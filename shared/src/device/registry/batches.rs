//! Makes batch calls for many items, and repeats them for items that a call left undone.

use crate::platform::errors::{Remedy, RemoteError};
use futures::{StreamExt as _, stream};
use rand::RngExt as _;
use std::time::Duration;

/// The greatest number of calls at the same time.
const CONCURRENT_CALLS: usize = 8;
/// The greatest number of tries for each item.
const TRIES: u32 = 6;
/// The longest pause after the first try. It doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The outcome of one call.
pub(super) struct CallOutcome<I, O> {
    /// The call's result.
    pub(super) done: O,
    /// The items that the service had no capacity for.
    pub(super) undone: Vec<I>,
}

/// Items that were not done, and the first failure.
pub(super) struct BatchError<I> {
    pub(super) undone: Vec<I>,
    pub(super) source: RemoteError,
}

/// Calls `call` for all of `items`, at most `size` at a time, and again for items that a call left undone, with longer
/// and longer pauses. Returns the results of all calls. If a call fails, returns the items that may not be done and the
/// first failure.
pub(super) async fn call_all<I, O, F>(
    operation: &str,
    items: Vec<I>,
    size: usize,
    call: impl Fn(Vec<I>) -> F,
) -> Result<Vec<O>, BatchError<I>>
where
    I: Clone,
    F: Future<Output = Result<CallOutcome<I, O>, RemoteError>>,
{
    let batches: Vec<Vec<I>> = items.chunks(size).map(<[I]>::to_vec).collect();
    let mut results =
        stream::iter(batches).map(|batch| call_until_done(operation, batch, &call)).buffer_unordered(CONCURRENT_CALLS);
    let (mut done, mut first_error) = (Vec::new(), None::<BatchError<I>>);
    while let Some(result) = results.next().await {
        match (result, &mut first_error) {
            (Ok(outputs), _) => done.extend(outputs),
            (Err(error), Some(first)) => first.undone.extend(error.undone),
            (Err(error), None) => first_error = Some(error),
        }
    }
    first_error.map_or(Ok(done), Err)
}

async fn call_until_done<I, O, F>(
    operation: &str,
    mut batch: Vec<I>,
    call: &impl Fn(Vec<I>) -> F,
) -> Result<Vec<O>, BatchError<I>>
where
    I: Clone,
    F: Future<Output = Result<CallOutcome<I, O>, RemoteError>>,
{
    let mut outputs = Vec::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            // Full jitter, so that functions that were throttled at the same time do not retry at the same time.
            let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
            let pause = longest.mul_f64(rand::rng().random());
            tokio::time::sleep(pause).await;
        }
        match call(batch.clone()).await {
            Ok(outcome) => {
                outputs.push(outcome.done);
                batch = outcome.undone;
            }
            Err(source) => return Err(BatchError { undone: batch, source }),
        }
        if batch.is_empty() {
            return Ok(outputs);
        }
    }
    let problem = format!("the service had no capacity for {} items in {TRIES} tries", batch.len());
    Err(BatchError { undone: batch, source: RemoteError::new(operation, Remedy::SlowDown, problem) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn calls_are_repeated_for_items_that_are_left_undone() {
        let sizes = Mutex::new(Vec::new());
        let call = |mut batch: Vec<u32>| {
            sizes.lock().unwrap().push(batch.len());
            let undone = batch.split_off(batch.len().div_ceil(2));
            async move { Ok(CallOutcome { done: batch, undone }) }
        };
        let outputs = call_all("Test", (0..7).collect(), 4, call).await.ok().unwrap();
        let mut done = outputs.concat();
        done.sort_unstable();
        assert_eq!(done, (0..7).collect::<Vec<_>>());
        let mut sizes = sizes.into_inner().unwrap();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_failed_batch_does_not_affect_the_others() {
        let call = |batch: Vec<u32>| async move {
            if batch.contains(&3) {
                return Err(RemoteError::new("Test", Remedy::GiveUp, "no"));
            }
            Ok(CallOutcome { done: batch.len(), undone: Vec::new() })
        };
        let error = call_all("Test", (0..6).collect(), 2, call).await.err().unwrap();
        assert_eq!(error.undone, [2, 3]);
        assert_eq!(error.source.remedy, Remedy::GiveUp);
    }

    #[tokio::test]
    async fn a_service_that_never_has_capacity_is_an_error_with_the_remedy_to_slow_down() {
        let call = |batch: Vec<u32>| async move { Ok(CallOutcome { done: (), undone: batch }) };
        let error = call_all("Test", vec![1], 2, call).await.err().unwrap();
        assert_eq!(error.undone, [1]);
        assert_eq!(error.source.remedy, Remedy::SlowDown);
    }
}
