//! Lua scripts, for what has to be decided and done in one step.

use super::{Connection, remote_error};
use crate::errors::RemoteError;
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
#[derive(Clone)]
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
    /// Runs all of `calls` of `script` in one round trip, and returns what each answered.
    ///
    /// A call may run twice when the connection breaks: the script must bear that.
    pub async fn run_script<T: FromRedisValue>(&self, script: &Script, calls: &[Call]) -> Result<Vec<T>, RemoteError> {
        let by_hash = calls.iter().map(|call| call.0.clone()).collect();
        let answers = match self.all("EVALSHA", by_hash).await {
            // A server that started a moment ago does not have it: send it along, this once.
            Err(error) if is_missing(&error) => {
                self.all("EVAL", calls.iter().map(|call| call.in_full(script)).collect()).await?
            }
            other => other?,
        };
        let answers = answers.into_iter().map(T::from_redis_value);
        answers.map(|answer| answer.map_err(|error| remote_error("EVALSHA", error.into()))).collect()
    }
}

fn is_missing(error: &RemoteError) -> bool {
    let error = error.source.downcast_ref::<RedisError>();
    error.is_some_and(|error| {
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) || error.code() == Some("NOSCRIPT")
    })
}
