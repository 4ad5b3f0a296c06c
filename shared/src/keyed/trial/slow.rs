//! Stores that let others act before and after each call.

use crate::alert::{Findings, FoundOn, MemoryReporter};
use crate::keyed::State;
use crate::keyed::progress::memory::MemoryProgress;
use crate::keyed::progress::{Progress, ProgressStore};
use crate::keyed::states::memory::MemoryStates;
use crate::keyed::states::{Committed, LoadedSlot, SlotCommit, SlotDevices, States};
use crate::platform::errors::RemoteError;
use crate::results::memory::MemoryResults;
use crate::results::{Mark, Outcome, Results, Row};
use std::sync::Arc;
use std::task::Poll;

/// A store that answers at the second poll, so that others can act before a call and after it.
pub(super) struct Slow<P>(pub(super) Arc<P>);

impl<P> Slow<P> {
    async fn call<T>(&self, call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        pause().await;
        let answer = call.await;
        pause().await;
        answer
    }
}

/// Is ready at the second poll.
fn pause() -> impl Future<Output = ()> {
    let mut is_first = true;
    std::future::poll_fn(move |task| {
        if std::mem::take(&mut is_first) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
}

impl ProgressStore for Slow<MemoryProgress> {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        self.call(self.0.read(function, stream)).await
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        self.call(self.0.change(function, stream, before, after)).await
    }
}

impl Findings for Slow<MemoryReporter> {
    async fn report(&self, found: Vec<FoundOn>) -> Result<(), RemoteError> {
        self.call(self.0.report(found)).await
    }
}

impl<S: State> States for Slow<MemoryStates<S>> {
    type State = S;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<S>>, RemoteError> {
        self.call(self.0.load(stream, slots)).await
    }

    async fn commit(&self, stream: &str, commits: &[SlotCommit<'_, S>]) -> Result<Vec<Committed>, RemoteError> {
        self.call(self.0.commit(stream, commits)).await
    }
}

impl<O: Outcome> Results<O> for Slow<MemoryResults<O>> {
    async fn latest_mark(&self, device_id: &str) -> Result<Option<Mark>, RemoteError> {
        self.call(self.0.latest_mark(device_id)).await
    }

    async fn write(&self, rows: &[Row<O>]) -> Result<(), RemoteError> {
        self.call(self.0.write(rows)).await
    }
}
