//! Runs functions as Lambda does: the real binary as child processes ("environments"), each with its own Runtime API on
//! the loopback address.
//!
//! An invocation that finds no idle environment starts one (a cold start). Later invocations use it again, and a new
//! one replaces it when it dies, as in Lambda. An invocation beyond `concurrency` is refused at once with
//! [`InvokeError::Throttled`]: Lambda's synchronous `Invoke`, which event source mappings use, answers 429 and leaves
//! the waiting to its caller.
//!
//! ```no_run
//! use myaku_local::function::asynchronous::Asynchronous;
//! use myaku_local::function::{Function, FunctionSpec};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let function = Function::start(FunctionSpec {
//!     name: "archiver".to_owned(),
//!     binary: "target/release/bootstrap".into(),
//!     environment: [("BUCKET".to_owned(), "lake".to_owned())].into(),
//!     timeout: Duration::from_secs(60),
//!     memory_mb: 256,
//!     concurrency: 1,
//!     log: "logs/archiver.log".into(),
//!     asynchronous: Asynchronous::default(),
//! })?;
//! let response = function.invoke(r#"{"Records":[]}"#.into()).await?;
//! # Ok(())
//! # }
//! ```

pub mod asynchronous;
mod environment;
mod frozen;
mod invoke;
mod runtime_api;
mod spec;
#[cfg(test)]
pub(crate) mod tests;

pub use frozen::{PausedEnvironment, Zombie};
pub use invoke::{InvokeError, Invoker, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
pub use spec::{FunctionSpec, StartError};

use asynchronous::{Event, Queue, QueueError};
use bytes::Bytes;
use environment::Environment;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How long an environment may take from its start to its first request for an invocation.
/// Lambda: "The Init phase is limited to 10 seconds".
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL when a function is stopped. Lambda's Shutdown phase lasts at most this long.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

impl Invoker for Function {
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send {
        Self::invoke(self, event)
    }
}

/// What a function has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Invocations that reached an environment, or whose environment failed to start.
    pub invocations: u64,
    /// Of these, those that returned no response.
    pub errors: u64,
    /// Of the errors, those whose environment ended by itself or was killed.
    pub crashes: u64,
    /// Of the errors, those that exceeded their deadline.
    pub timeouts: u64,
    /// Invocations refused at the concurrency limit. They do not count as invocations.
    pub throttles: u64,
    /// Environments started.
    pub cold_starts: u64,
    /// Total time of all invocations with their cold starts, in milliseconds.
    pub busy_ms: u64,
    /// The longest invocation, its cold start included, in milliseconds.
    pub duration_ms_max: u64,
}

/// A handle to a running function. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Function(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: FunctionSpec,
    permits: Arc<Semaphore>,
    pool: Mutex<Pool>,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Environments that wait for an invocation. The last one was used last, and is used next.
    idle: Vec<Arc<Environment>>,
    /// Environments that serve an invocation.
    busy: Vec<Arc<Environment>>,
    stopped: bool,
    stats: Stats,
}

impl Function {
    /// Starts a function. The first invocation starts its first environment.
    pub fn start(spec: FunctionSpec) -> Result<Self, StartError> {
        if !spec.binary.is_file() {
            return Err(StartError::NoBinary { name: spec.name, binary: spec.binary });
        }
        if spec.concurrency == 0 {
            return Err(StartError::NoConcurrency(spec.name));
        }
        if let Err(source) = environment::open_log(&spec.log) {
            return Err(StartError::Log { name: spec.name, log: spec.log, source });
        }
        let permits = Arc::new(Semaphore::new(spec.concurrency));
        let queue = Queue::new(spec.concurrency, spec.asynchronous.clone());
        Ok(Self(Arc::new(Inner { spec, permits, pool: Mutex::default(), queue })))
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// The function's ARN.
    pub fn arn(&self) -> String {
        self.0.spec.arn()
    }

    /// The specification that the function was started with.
    pub fn spec(&self) -> &FunctionSpec {
        &self.0.spec
    }

    /// Invokes the function synchronously. As in Lambda, the invocation runs to its end even if its caller goes away.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        if payload.len() > REQUEST_BYTES_MAX {
            return Err(InvokeError::PayloadTooLarge { bytes: payload.len() });
        }
        let permit = Arc::clone(&self.0.permits).try_acquire_owned();
        let permit = {
            let mut pool = self.0.pool();
            if pool.stopped {
                return Err(InvokeError::Stopped);
            }
            permit.map_err(|_| {
                pool.stats.throttles += 1;
                InvokeError::Throttled
            })?
        };
        let inner = Arc::clone(&self.0);
        let run = tokio::spawn(async move { inner.run(payload, permit).await });
        run.await.unwrap_or_else(|error| Err(InvokeError::Crashed(error.to_string())))
    }

    /// Invokes the function asynchronously: queues the event and tries it in the background, as the settings say.
    /// Returns the event's id. If the event is discarded, its invocation record has the same id.
    pub fn invoke_async(&self, payload: Bytes) -> Result<Uuid, QueueError> {
        let event = Event { id: Uuid::new_v4(), function_arn: self.arn().into(), payload };
        self.0.queue.push(event, self.clone())
    }

    /// Asynchronous invocations that have neither succeeded nor been discarded.
    pub fn asynchronous_pending(&self) -> usize {
        self.0.queue.pending()
    }

    /// Waits until every asynchronous invocation has succeeded or been discarded.
    pub async fn asynchronous_done(&self) {
        self.0.queue.until_empty().await;
    }

    /// Whether the function serves an invocation now.
    pub fn is_busy(&self) -> bool {
        !self.0.pool().busy.is_empty()
    }

    /// Kills one environment with SIGKILL, a busy one if there is any. Returns its process id.
    pub fn kill_one(&self) -> Option<u32> {
        let mut pool = self.0.pool();
        let environment = pool.busy.last().cloned().or_else(|| pool.idle.pop())?;
        environment.kill();
        Some(environment.pid())
    }

    /// Ends all environments: SIGTERM, then SIGKILL after two seconds. Returns when all processes have ended.
    pub async fn stop(&self) {
        self.0.queue.stop();
        let environments: Vec<_> = {
            let mut pool = self.0.pool();
            pool.stopped = true;
            let idle = std::mem::take(&mut pool.idle);
            pool.busy.iter().cloned().chain(idle).collect()
        };
        futures::future::join_all(environments.iter().map(|environment| environment.stop(SHUTDOWN_TIMEOUT))).await;
    }

    /// What the function has done so far.
    pub fn stats(&self) -> Stats {
        self.0.pool().stats
    }
}

impl Inner {
    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        // A panic cannot leave the pool half changed: no critical section panics.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, payload: Bytes, permit: OwnedSemaphorePermit) -> Result<Bytes, InvokeError> {
        let began = Instant::now();
        let result = self.run_in_environment(payload).await;
        let elapsed_ms = began.elapsed().as_millis() as u64;
        let mut pool = self.pool();
        let stats = &mut pool.stats;
        stats.invocations += 1;
        stats.busy_ms += elapsed_ms;
        stats.duration_ms_max = stats.duration_ms_max.max(elapsed_ms);
        if let Err(error) = &result {
            stats.errors += 1;
            match error {
                InvokeError::Crashed(_) => stats.crashes += 1,
                InvokeError::TimedOut => stats.timeouts += 1,
                _ => {}
            }
            tracing::warn!(function = self.spec.name, duration_ms = elapsed_ms, %error, "invocation failed");
        }
        drop(pool);
        drop(permit);
        result
    }

    async fn run_in_environment(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let environment = match self.take_idle()? {
            Some(environment) => environment,
            None => self.cold_start().await?,
        };
        let result = environment.invoke(payload, self.spec.timeout).await;
        let mut pool = self.pool();
        pool.busy.retain(|busy| !Arc::ptr_eq(busy, &environment));
        // An environment can be used again after a function error, but not after a crash or a time-out.
        let is_usable = environment.is_alive() && !environment.outlives();
        if matches!(result, Ok(_) | Err(InvokeError::FunctionError { .. })) && !pool.stopped && is_usable {
            pool.idle.push(environment);
        }
        result
    }

    fn take_idle(&self) -> Result<Option<Arc<Environment>>, InvokeError> {
        let mut pool = self.pool();
        if pool.stopped {
            return Err(InvokeError::Stopped);
        }
        while let Some(environment) = pool.idle.pop() {
            if environment.is_alive() {
                pool.busy.push(Arc::clone(&environment));
                return Ok(Some(environment));
            }
        }
        Ok(None)
    }

    async fn cold_start(&self) -> Result<Arc<Environment>, InvokeError> {
        let environment = Environment::start(&self.spec).await.map(Arc::new);
        let environment = environment.map_err(|error| InvokeError::InitFailed(error.to_string()))?;
        {
            let mut pool = self.pool();
            if pool.stopped {
                return Err(InvokeError::Stopped);
            }
            pool.stats.cold_starts += 1;
            // Added before it is ready, so that `stop` and `kill_one` reach it during its init.
            pool.busy.push(Arc::clone(&environment));
        }
        let ready = environment.until_ready(INIT_TIMEOUT).await;
        if ready.is_err() {
            self.pool().busy.retain(|busy| !Arc::ptr_eq(busy, &environment));
        }
        ready.map(|()| environment)
    }
}
