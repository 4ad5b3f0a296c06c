//! Lua scripts, for what has to be decided and done in one step.

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

/// One call of a [`Script`], as it goes on the wire.
pub struct Call(Cmd);

impl Call {
    /// A call with `keys`, its `KEYS`. A cluster demands that they are of one slot, which is what hash tags are for.
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

    /// The same with the script's code, for a server that does not have it yet.
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
    /// Runs a call of `script`, and returns what it answered.
    ///
    /// It may run twice when the connection breaks: the script must bear that.
    pub async fn run_script<T: FromRedisValue>(&self, script: &Script, call: &Call) -> Result<T, RemoteError> {
        let answer = match self.one("EVALSHA", &call.0).await {
            // A server that started a moment ago does not have it: send it along, this once.
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
