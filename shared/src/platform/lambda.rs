//! The start of a function in Lambda, and how it serves its invocations.
//!
//! Every `main.rs` is the same five steps: log and metrics, settings, connections, and then one invocation at a time, with a
//! line of metrics after each.

use super::env::Env;
use super::logging;
use super::telemetry::Telemetry;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A function that has started: it logs and counts.
#[derive(Clone, Copy)]
pub struct Function {
    telemetry: Telemetry,
}

impl Function {
    /// Starts the function called `name`. Call it once, at the start of the process.
    pub fn start(name: &'static str) -> Result<Self, Error> {
        logging::init();
        Ok(Self { telemetry: Telemetry::init(name)? })
    }

    /// The process's environment.
    pub fn env(self) -> Env<impl Fn(&str) -> Option<String>> {
        Env::new(|name: &str| std::env::var(name).ok())
    }

    /// Serves invocations by events of the type `E`, one at a time, until Lambda shuts the environment down.
    pub async fn serve<E, R>(self, handler: impl AsyncFn(LambdaEvent<E>) -> Result<R, Error>) -> Result<(), Error>
    where
        E: DeserializeOwned,
        R: Serialize,
    {
        let handler = &handler;
        let service = service_fn(move |event| async move { self.measured(handler(event)).await });
        lambda_runtime::run(service).await
    }

    /// Does the work of one invocation, and writes its metrics.
    pub(crate) fn measured<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        // Boxed before anything awaits it, because the SDKs' futures nest deeper than the compiler follows.
        let work = Box::pin(work);
        async move {
            let done = work.await;
            self.telemetry.flush();
            done
        }
    }
}
