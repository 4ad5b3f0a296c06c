//! Lua scripts, which decide and act in one atomic step.

use super::{Connection, remote_error};
use crate::platform::errors::RemoteError;
use redis::{Arg, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};

/// A Lua script.
pub struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    /// A script whose code is `code`.
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }
}

/// One call of a [`Script`], in the form that is sent.
pub struct Call(Cmd);

impl Call {
    /// A call with `keys` as its `KEYS`. In a cluster they must share a slot: give them the same hash tag.
    pub fn new<K: AsRef<str>>(script: &Script, keys: &[K]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&script.hash).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        Self(command)
    }

    /// Adds an argument to its `ARGV`.
    pub fn argument(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        self.0.arg(argument.as_ref());
        self
    }

    /// The same call with the script's code, for a server that does not know the script yet.
    fn in_full(&self, script: &Script) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(script.code);
        for argument in self.0.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}

impl Connection {
    /// Runs a call of `script` and returns its answer.
    ///
    /// If the connection breaks, the call may run twice: the script must be safe to repeat.
    pub async fn run_script<T: FromRedisValue>(&self, script: &Script, call: &Call) -> Result<T, RemoteError> {
        let answer = match self.one("EVALSHA", &call.0).await {
            // A server that has just started does not know the script: send the code this once.
            Err(error) if is_missing(&error) => self.one("EVAL", &call.in_full(script)).await?,
            other => other?,
        };
        T::from_redis_value(answer).map_err(|error| remote_error("EVALSHA", error.into()))
    }
}

fn is_missing(error: &RemoteError) -> bool {
    let error = error.source.downcast_ref::<RedisError>();
    error.is_some_and(|error| {
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) || error.code() == Some("NOSCRIPT")
    })
}
