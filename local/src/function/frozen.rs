//! Environments that stand still for a while, as Lambda's do when their machine is short of time.
//!
//! One that stands still beyond its time-out is killed, as Lambda does. But what it had begun may go on behind the time-out
//! all the same: a frozen machine's clock stands still too, and a call that is under way reaches its service. Such an
//! invocation is a [`Zombie`]: for its caller it has timed out and is tried again, and later it goes on.

use super::environment::Environment;
use super::{Function, InvokeError};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::oneshot;

/// An environment that stands still.
#[derive(Debug)]
pub struct Paused(Arc<Environment>);

impl Paused {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Lets it go on. Whether it was still there to do so: its time-out may have passed meanwhile.
    pub async fn resume(self) -> bool {
        self.0.resume().await;
        self.0.is_alive()
    }
}

/// An environment that stands still in the middle of an invocation that counts as timed out. Dropping it kills it.
#[derive(Debug)]
pub struct Zombie {
    environment: Arc<Environment>,
    answered: oneshot::Receiver<Result<Bytes, InvokeError>>,
}

impl Zombie {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.environment.pid()
    }

    /// Lets it go on to the end of its invocation, and then ends it. What it answered, which nobody else hears.
    pub async fn finish(self) -> Result<Bytes, InvokeError> {
        self.environment.resume().await;
        self.environment.answer_late(self.answered).await
    }
}

impl Function {
    /// Stops an environment where it is, a busy one if there is any.
    pub async fn pause_one(&self) -> Option<Paused> {
        let environment = {
            let pool = self.0.pool();
            pool.busy.last().or(pool.idle.last()).cloned()?
        };
        environment.pause().await;
        Some(Paused(environment))
    }

    /// Stops an environment in the middle of an invocation, which counts as timed out from now on, while the environment
    /// keeps it. `None` if no invocation is under way.
    pub async fn outlive_one(&self) -> Option<Zombie> {
        loop {
            let environment = {
                let pool = self.0.pool();
                pool.busy.iter().rfind(|busy| busy.is_ready() && !busy.outlives()).cloned()?
            };
            if let Some(answered) = environment.outlive().await {
                return Some(Zombie { environment, answered });
            }
        }
    }
}
