//! Pauses environments for a while, as happens in Lambda when a machine has too little CPU time.
//!
//! An environment that is paused beyond its time-out is killed, as in Lambda. But its work may continue after the
//! time-out: a frozen machine's clock is frozen too, and a call that is under way still reaches its service. Such an
//! invocation is a [`Zombie`]: its caller sees a time-out and tries again, and later the invocation continues.

use super::Function;
use super::environment::{AnswerReceiver, Environment};
use super::invoke::InvokeError;
use bytes::Bytes;
use std::sync::Arc;

/// A paused environment.
#[derive(Debug)]
pub struct PausedEnvironment(Arc<Environment>);

impl PausedEnvironment {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Resumes the environment. Returns false if it is no longer alive, because its time-out passed meanwhile.
    pub async fn resume(self) -> bool {
        self.0.resume().await;
        self.0.is_alive()
    }
}

/// An environment that is paused in an invocation that counts as timed out. Dropping this kills the process.
#[derive(Debug)]
pub struct Zombie {
    environment: Arc<Environment>,
    answer: AnswerReceiver,
}

impl Zombie {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.environment.pid()
    }

    /// Resumes the environment until its invocation ends, and then kills it. Returns the late answer, which the
    /// invocation's caller never sees.
    pub async fn finish(self) -> Result<Bytes, InvokeError> {
        self.environment.resume().await;
        self.environment.late_answer(self.answer).await
    }
}

impl Function {
    /// Pauses one environment, a busy one if there is any. `None` if there is no environment.
    pub async fn pause_one(&self) -> Option<PausedEnvironment> {
        let environment = {
            let pool = self.0.pool();
            pool.busy.last().or(pool.idle.last()).cloned()?
        };
        environment.pause().await;
        Some(PausedEnvironment(environment))
    }

    /// Pauses one environment in the middle of an invocation. The invocation counts as timed out from now on, but the
    /// environment still holds it. `None` if no invocation is under way.
    pub async fn outlive_one(&self) -> Option<Zombie> {
        loop {
            let environment = {
                let pool = self.0.pool();
                pool.busy.iter().rfind(|busy| busy.is_ready() && !busy.outlives()).cloned()?
            };
            if let Some(answer) = environment.outlive().await {
                return Some(Zombie { environment, answer });
            }
        }
    }
}
