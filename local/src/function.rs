//! Functions as Lambda runs them: the real binary as child processes ("environments"), each against a Runtime API of
//! its own on loopback.
//!
//! An environment is started when an invocation finds none idle (a cold start), is used again afterwards, and is
//! replaced when it dies, as Lambda does. An invocation beyond `concurrency` is refused at once with
//! [`InvokeError::Throttled`]: Lambda's synchronous `Invoke`, which event source mappings use, answers 429 and leaves
//! the waiting to its caller.

pub mod asynchronous;
mod environment;
mod frozen;
mod runtime_api;
#[cfg(test)]
pub(crate) mod tests;

pub use frozen::{Paused, Zombie};

use crate::account::{ACCOUNT, REGION};
use asynchronous::{Asynchronous, Event, Queue, Refused};
use bytes::Bytes;
use environment::Environment;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The largest payload of a synchronous invocation, in bytes.
/// Lambda's quota is "6 MB each for request and response"; its error message names this number.
pub const REQUEST_BYTES_MAX: usize = 6_291_456;
/// The largest response, in bytes, as `Function.ResponseSizeTooLarge` names it.
pub const RESPONSE_BYTES_MAX: usize = 6_291_556;
/// How long an environment may take from its start to its first call for an invocation.
/// Lambda: "The Init phase is limited to 10 seconds".
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL when a function is stopped; Lambda's Shutdown phase lasts at most this long.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// A function that can be invoked: the port of those who only invoke.
pub trait Invoker: Send + Sync {
    /// Invokes synchronously, with an event's JSON.
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send;
}

impl Invoker for Function {
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send {
        Self::invoke(self, event)
    }
}

/// What a function is, as its template says.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// The name, which becomes `AWS_LAMBDA_FUNCTION_NAME`.
    pub name: String,
    /// The executable that speaks the Runtime API: a `bootstrap`.
    pub binary: PathBuf,
    /// Environment variables. The child gets these and Lambda's own, and nothing of the parent's environment.
    pub environment: BTreeMap<String, String>,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Megabytes of memory, which the child is told and which nothing enforces.
    pub memory_mb: u32,
    /// The most environments at one time.
    pub concurrency: usize,
    /// The file to which environments append their output.
    pub log: PathBuf,
    /// What becomes of asynchronous invocations.
    pub asynchronous: Asynchronous,
}

/// A function that cannot be started as specified.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no executable.
    #[error("function {name} has no binary at {binary}: build it first")]
    NoBinary {
        /// The function.
        name: String,
        /// Where it should be.
        binary: PathBuf,
    },
    /// It could never run.
    #[error("function {0} has a concurrency of 0")]
    NoConcurrency(String),
    /// The log file cannot be written.
    #[error("function {name} cannot write its log {log}")]
    Log {
        /// The function.
        name: String,
        /// The file.
        log: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why an invocation brought no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function answered with an error.
    #[error("the function failed: {error_type}: {message}")]
    FunctionError {
        /// The error's type, as the runtime reported it.
        error_type: String,
        /// Its message.
        message: String,
    },
    /// The deadline passed; the environment was killed.
    #[error("the invocation timed out")]
    TimedOut,
    /// The environment's process ended during the invocation, with this status.
    #[error("the environment ended during the invocation: {0}")]
    Crashed(String),
    /// No environment could be brought up.
    #[error("the environment failed to start: {0}")]
    InitFailed(String),
    /// As many invocations as the function's concurrency are running: try again later.
    #[error("the function is at its concurrency limit")]
    Throttled,
    /// The request is larger than [`REQUEST_BYTES_MAX`].
    #[error("the request of {bytes} bytes is over the limit of {REQUEST_BYTES_MAX}")]
    PayloadTooLarge {
        /// The request's size.
        bytes: usize,
    },
    /// The function was stopped.
    #[error("the function is stopped")]
    Stopped,
}

/// What a function has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Invocations that reached an environment, or failed to get one up.
    pub invocations: u64,
    /// Of these, those that brought no response.
    pub errors: u64,
    /// Of the errors, those whose environment ended by itself or was killed.
    pub crashes: u64,
    /// Of the errors, those that passed their deadline.
    pub timeouts: u64,
    /// Invocations refused at the concurrency limit; not counted as invocations.
    pub throttles: u64,
    /// Environments started.
    pub cold_starts: u64,
    /// Time in invocations, cold starts included, in milliseconds.
    pub busy_ms: u64,
    /// The longest invocation, its cold start included, in milliseconds.
    pub duration_ms_max: u64,
}

/// A running function: a handle that is cheap to clone.
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
    /// Environments that wait for an invocation, the last used at the end: the next to be used.
    idle: Vec<Arc<Environment>>,
    /// Environments in an invocation.
    busy: Vec<Arc<Environment>>,
    stopped: bool,
    stats: Stats,
}

impl Function {
    /// Makes a function ready. No environment is started before the first invocation.
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
        let queue = Queue::new(spec.concurrency);
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

    /// What the function was started with.
    pub fn spec(&self) -> &FunctionSpec {
        &self.0.spec
    }

    /// Invokes the function synchronously. As in Lambda, an invocation whose caller goes away runs to its end.
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

    /// Invokes the function asynchronously: the event is queued, and tried in the background as its settings say.
    /// The answer is the event's id, which its record has if it is given up.
    pub fn invoke_async(&self, payload: Bytes) -> Result<Uuid, Refused> {
        let event = Event { id: Uuid::new_v4(), function_arn: self.arn().into(), payload };
        self.0.queue.take(event, self.clone())
    }

    /// Asynchronous invocations that are neither done nor given up.
    pub fn asynchronous_pending(&self) -> usize {
        self.0.queue.pending()
    }

    /// Waits until every asynchronous invocation is done or given up.
    pub async fn asynchronous_done(&self) {
        self.0.queue.done().await;
    }

    /// Whether an invocation is under way.
    pub fn is_busy(&self) -> bool {
        !self.0.pool().busy.is_empty()
    }

    /// Kills an environment with SIGKILL, a busy one if there is any, and says which process that was.
    pub fn kill_one(&self) -> Option<u32> {
        let mut pool = self.0.pool();
        let environment = pool.busy.last().cloned().or_else(|| pool.idle.pop())?;
        environment.kill();
        Some(environment.pid())
    }

    /// Ends all environments: SIGTERM, then SIGKILL after two seconds. Returns when no process is left.
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

impl FunctionSpec {
    /// The function's ARN, in the region that its environment names.
    fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.region(), self.name)
    }

    fn region(&self) -> &str {
        self.environment.get("AWS_REGION").map_or(REGION, String::as_str)
    }
}

impl Inner {
    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        // Nothing in a critical section leaves the pool half changed.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, payload: Bytes, permit: OwnedSemaphorePermit) -> Result<Bytes, InvokeError> {
        let began = Instant::now();
        let result = self.run_in_an_environment(payload).await;
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

    async fn run_in_an_environment(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let environment = match self.take_idle()? {
            Some(environment) => environment,
            None => self.cold_start().await?,
        };
        let result = environment.invoke(payload, self.spec.timeout).await;
        let mut pool = self.pool();
        pool.busy.retain(|busy| !Arc::ptr_eq(busy, &environment));
        // A function error leaves its environment usable; a crash or a time-out does not.
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
            // Known from here on, so that `stop` and `kill_one` reach it during its init.
            pool.busy.push(Arc::clone(&environment));
        }
        let ready = environment.ready(INIT_TIMEOUT).await;
        if ready.is_err() {
            self.pool().busy.retain(|busy| !Arc::ptr_eq(busy, &environment));
        }
        ready.map(|()| environment)
    }
}
