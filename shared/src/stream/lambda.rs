//! Serving a handler of Kinesis batches: what stands between Lambda's runtime and [`Batch`].
//!
//! The runtime crate wants a payload that owns what it is made of, and reads it in a way that can name the member which is
//! wrong: for a full event, that takes longer than the archiver's work. So a layer beneath takes the event's bytes away
//! before, makes the batch of them, in their own memory, and leaves the runtime an empty event.

use crate::platform::errors::chain;
use crate::stream::batch::{Batch, EventError};
use bytes::Bytes;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::{Layer, Service};
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

/// What the runtime is left to read.
const EMPTY: &[u8] = b"null";
/// What Lambda is told that a failure was, where the event is none that a handler can take.
const BAD_EVENT: &str = "BadEvent";

/// Serves invocations by a Kinesis event source mapping, one at a time, until the environment is shut down. An event that
/// is none fails its invocation.
pub async fn serve<R>(handler: impl AsyncFn(Batch, Context) -> R) -> Result<(), Error>
where
    R: Serialize,
{
    let inbox = Inbox::default();
    let taken = inbox.clone();
    let (taken, handler) = (&taken, &handler);
    let service = service_fn(move |LambdaEvent { context, .. }: LambdaEvent<IgnoredAny>| async move {
        Ok::<_, Diagnostic>(handler(taken.take()?, context).await)
    });
    Runtime::new(service).layer(inbox).layer(TracingLayer::new()).run().await
}

/// The event of the invocation that is about to be handled.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Option<Result<Batch, EventError>>>>);

impl Inbox {
    fn fill(&self, event: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Batch::from_event(event));
    }

    fn take(&self) -> Result<Batch, Diagnostic> {
        let event = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let problem = match event {
            Some(Ok(batch)) => return Ok(batch),
            Some(Err(error)) => chain(&error),
            None => "no event came with the invocation".to_owned(),
        };
        Err(Diagnostic { error_type: BAD_EVENT.to_owned(), error_message: problem })
    }
}

impl<S> Layer<S> for Inbox {
    type Service = Reader<S>;

    fn layer(&self, inner: S) -> Reader<S> {
        Reader { inbox: self.clone(), inner }
    }
}

/// Reads each invocation's event before the runtime does.
struct Reader<S> {
    inbox: Inbox,
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for Reader<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        self.inbox.fill(std::mem::replace(&mut invocation.body, Bytes::from_static(EMPTY)));
        self.inner.call(invocation)
    }
}
