//! Calls that take so many items at a time and may leave some of them undone.

use crate::platform::errors::{Remedy, RemoteError};
use futures::{StreamExt as _, stream};
use rand::RngExt as _;
use std::time::Duration;

/// Calls under way at the same time.
const CONCURRENT_CALLS: usize = 8;
/// Tries of what a call left undone.
const TRIES: u32 = 6;
/// The longest pause behind the first try; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What one call did.
pub(super) struct Outcome<I, O> {
    /// What it gave.
    pub(super) done: O,
    /// The items that are still to do: the service had no capacity for them.
    pub(super) undone: Vec<I>,
}

/// Items that were not done, and why.
pub(super) struct Stopped<I> {
    pub(super) undone: Vec<I>,
    pub(super) source: RemoteError,
}

/// Calls `call` for all of `items`, at most `size` of them at a time, and again for what a call left undone, later each
/// time. What the calls gave, or, if any failed, all that is not known to be done with the first failure.
pub(super) async fn call_all<I, O, F>(
    operation: &str,
    items: Vec<I>,
    size: usize,
    call: impl Fn(Vec<I>) -> F,
) -> Result<Vec<O>, Stopped<I>>
where
    I: Clone,
    F: Future<Output = Result<Outcome<I, O>, RemoteError>>,
{
    let batches: Vec<Vec<I>> = items.chunks(size).map(<[I]>::to_vec).collect();
    let mut results =
        stream::iter(batches).map(|batch| until_done(operation, batch, &call)).buffer_unordered(CONCURRENT_CALLS);
    let (mut done, mut stopped) = (Vec::new(), None::<Stopped<I>>);
    while let Some(result) = results.next().await {
        match (result, &mut stopped) {
            (Ok(outputs), _) => done.extend(outputs),
            (Err(failed), Some(stopped)) => stopped.undone.extend(failed.undone),
            (Err(failed), None) => stopped = Some(failed),
        }
    }
    stopped.map_or(Ok(done), Err)
}

async fn until_done<I, O, F>(
    operation: &str,
    mut batch: Vec<I>,
    call: &impl Fn(Vec<I>) -> F,
) -> Result<Vec<O>, Stopped<I>>
where
    I: Clone,
    F: Future<Output = Result<Outcome<I, O>, RemoteError>>,
{
    let mut outputs = Vec::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            // Full jitter, so that functions that were refused together do not come back together.
            let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
            let pause = longest.mul_f64(rand::rng().random());
            tokio::time::sleep(pause).await;
        }
        match call(batch.clone()).await {
            Ok(outcome) => {
                outputs.push(outcome.done);
                batch = outcome.undone;
            }
            Err(source) => return Err(Stopped { undone: batch, source }),
        }
        if batch.is_empty() {
            return Ok(outputs);
        }
    }
    let left = format!("{} items are left over after {TRIES} tries", batch.len());
    Err(Stopped { undone: batch, source: RemoteError::new(operation, Remedy::SlowDown, left) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn what_a_call_leaves_undone_is_called_again_until_it_is_done() {
        let sizes = Mutex::new(Vec::new());
        let call = |mut batch: Vec<u32>| {
            sizes.lock().unwrap().push(batch.len());
            let undone = batch.split_off(batch.len().div_ceil(2));
            async move { Ok(Outcome { done: batch, undone }) }
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
    async fn a_failed_batch_takes_no_other_with_it() {
        let call = |batch: Vec<u32>| async move {
            if batch.contains(&3) {
                return Err(RemoteError::new("Test", Remedy::GiveUp, "no"));
            }
            Ok(Outcome { done: batch.len(), undone: Vec::new() })
        };
        let stopped = call_all("Test", (0..6).collect(), 2, call).await.err().unwrap();
        assert_eq!(stopped.undone, [2, 3]);
        assert_eq!(stopped.source.remedy, Remedy::GiveUp);
    }

    #[tokio::test]
    async fn a_service_that_never_has_capacity_is_given_up_with_a_remedy() {
        let call = |batch: Vec<u32>| async move { Ok(Outcome { done: (), undone: batch }) };
        let stopped = call_all("Test", vec![1], 2, call).await.err().unwrap();
        assert_eq!(stopped.undone, [1]);
        assert_eq!(stopped.source.remedy, Remedy::SlowDown);
    }
}
