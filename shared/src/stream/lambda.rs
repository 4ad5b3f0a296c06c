//! Serves a handler of Kinesis batches in Lambda.
//!
//! The runtime crate parses an invocation's payload into a value that owns all its parts, and it tracks the path of
//! each member for its error messages. For a full event, that takes longer than the archiver's work. So a layer in
//! front of the parser takes the event's bytes, makes the [`Batch`] in their own memory, and leaves `null` for the
//! runtime to parse.
//!
//! The batch waits in a mailbox while the runtime parses `null`, because the runtime gives a handler only what it has
//! parsed from the payload: a layer cannot pass it any other value. One slot is enough, since an environment handles
//! one invocation at a time.

use crate::platform::clock::Now;
use crate::platform::errors::chain;
use crate::platform::lambda::Function;
use crate::stream::answer::Answer;
use crate::stream::batch::{Batch, EventError};
use crate::stream::guard::notes::Notes;
use crate::stream::guard::{Guard, Invocation, SetAside};
use bytes::Bytes;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::{Layer, Service};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde::de::IgnoredAny;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

/// What the runtime parses instead of the event.
const NULL_PAYLOAD: &[u8] = b"null";
/// The error type that Lambda gets for an event that is not a valid batch.
const BAD_EVENT: &str = "BadEvent";

/// Serves invocations of `function` by a Kinesis event source mapping, one at a time, until Lambda shuts the environment
/// down. `handler` gets a batch, and the time by which it must have answered, in milliseconds since the epoch. `guard` sets
/// a record aside that ends its invocations. An event that is not a valid batch fails its invocation.
pub async fn serve<N: Notes, A: SetAside, C: Now>(
    function: Function,
    guard: Guard<N, A, C>,
    handler: impl AsyncFn(&Batch, i64) -> Answer,
) -> Result<(), Error> {
    let mailbox = Mailbox::default();
    let layer = mailbox.clone();
    let (mailbox, guard, handler) = (&mailbox, &guard, &handler);
    let service = service_fn(move |LambdaEvent { context, .. }: LambdaEvent<IgnoredAny>| async move {
        let batch = mailbox.take()?;
        let invocation = Invocation { id: &context.request_id, deadline_ms: context.deadline as i64 };
        let work = guard.handle(&batch, invocation, |deadline_ms| handler(&batch, deadline_ms));
        Ok::<_, Diagnostic>(function.measured(work).await)
    });
    Runtime::new(service).layer(layer).layer(TracingLayer::new()).run().await
}

/// The batch of the invocation that is about to be handled.
#[derive(Clone, Default)]
struct Mailbox(Arc<Mutex<Option<Result<Batch, EventError>>>>);

impl Mailbox {
    fn put(&self, event: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Batch::from_event(event));
    }

    fn take(&self) -> Result<Batch, Diagnostic> {
        let event = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let problem = match event {
            Some(Ok(batch)) => return Ok(batch),
            Some(Err(error)) => chain(&error),
            None => "the invocation has no event".to_owned(),
        };
        Err(Diagnostic { error_type: BAD_EVENT.to_owned(), error_message: problem })
    }
}

impl<S> Layer<S> for Mailbox {
    type Service = EventReader<S>;

    fn layer(&self, inner: S) -> EventReader<S> {
        EventReader { mailbox: self.clone(), inner }
    }
}

/// Reads each invocation's event before the runtime does.
struct EventReader<S> {
    mailbox: Mailbox,
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for EventReader<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        self.mailbox.put(std::mem::replace(&mut invocation.body, Bytes::from_static(NULL_PAYLOAD)));
        self.inner.call(invocation)
    }
}
