//! The connection to Redis or Valkey: one node or a cluster, plain or TLS, with a password or an IAM login.
//!
//! It connects on first use: a server that is down fails calls, which are retried, and never a function's start. A
//! connection that broke, or that was frozen together with its function, is replaced at the next call.

mod iam;
mod patience;
mod script;
mod settings;
mod sorted_set;

pub use patience::Patience;
pub use script::{Call, Script};
pub use settings::Settings;
pub use sorted_set::Member;

use crate::platform::clock::{Now, SystemClock};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use futures::stream::{self, StreamExt, TryStreamExt};
use iam::Login;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, Value,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Time limit for opening a connection, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for an answer. The client's default of 500 ms is too short for the first pipeline on a cold TLS
/// connection.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How many commands to a cluster are in flight at the same time.
const CLUSTER_CONCURRENCY: usize = 256;
/// Maximum age of a cluster's client with an IAM login. A token is valid for 15 minutes, and the client logs in with
/// its first token whenever it connects to another node. So the client is replaced before the token expires.
/// <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>
const IAM_CLUSTER_AGE_MS: i64 = 10 * 60 * 1_000;
/// Maximum age of a connection to a single node with an IAM login: the server ends such a connection after 12 hours.
const IAM_NODE_AGE_MS: i64 = 11 * 60 * 60 * 1_000;

/// A connection, cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    settings: Settings,
    login: Option<Login>,
    session: Mutex<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    route: Route,
    opened_ms: i64,
}

#[derive(Clone)]
enum Route {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Prepares a connection. It checks that the settings can be used, and sends nothing yet.
    #[allow(clippy::unused_async, reason = "all adapters connect in an async function; this one connects on first use")]
    pub async fn connect(settings: &Settings, config: &SdkConfig) -> Result<Self, RemoteError> {
        Client::open(settings.url.as_str()).map_err(|error| remote_error("connect to Redis", error))?;
        let login = settings.iam.clone().map(|iam| Login::new(iam, settings, config)).transpose()?;
        Ok(Self(Arc::new(Inner { settings: settings.clone(), login, session: Mutex::new(None) })))
    }

    /// The values of `keys`, in their order; `None` for a key without a value.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        command.arg(keys);
        let values = self.one("MGET", &command).await?;
        Vec::from_redis_value(values).map_err(|error| remote_error("MGET", error.into()))
    }

    /// Sets each key to its value. It expires after `ttl`.
    pub async fn set_many(&self, entries: &[(String, Vec<u8>)], ttl: Duration) -> Result<(), RemoteError> {
        let commands = entries.iter().map(|(key, value)| {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("PX").arg(ttl.as_millis().max(1) as u64);
            command
        });
        self.all("SET", commands.collect()).await.map(drop)
    }

    /// Deletes `keys`. A key that does not exist is not an error.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), RemoteError> {
        let commands = keys.iter().map(|key| {
            let mut command = redis::cmd("DEL");
            command.arg(key);
            command
        });
        self.all("DEL", commands.collect()).await.map(drop)
    }

    /// Whether the server is a cluster, or answers like one. Then the keys of a command must share a slot.
    pub fn is_cluster(&self) -> bool {
        self.0.settings.cluster
    }

    /// Checks that the server answers.
    pub async fn ping(&self) -> Result<(), RemoteError> {
        let ping = redis::cmd("PING");
        self.all("PING", vec![ping]).await.map(drop)
    }

    /// Sends one command. In a cluster, its keys share a slot, or the client can split the command by its keys.
    async fn one(&self, operation: &'static str, command: &Cmd) -> Result<Value, RemoteError> {
        self.run(operation, |mut route| async move { route.command(command).await }).await
    }

    /// Sends all `commands` at once. If one fails, returns the first error.
    async fn all(&self, operation: &'static str, commands: Vec<Cmd>) -> Result<Vec<Value>, RemoteError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        self.run(operation, |route| route.all(&pipeline)).await
    }

    /// Runs `work` on the connection. If the connection is broken, opens a new one and runs `work` once more.
    async fn run<T, F>(&self, operation: &'static str, work: impl Fn(Route) -> F) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let (session, is_new) = self.session(None).await?;
        let broken = match work(session.route).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !must_be_replaced(&broken) {
            return Err(remote_error(operation, broken));
        }
        // Only an older connection can have broken unnoticed. A time-out is not retried, so that a server that is down
        // costs one time-out.
        if is_new || broken.is_timeout() {
            self.forget(session.opened_ms).await;
            return Err(remote_error(operation, broken));
        }
        let (session, _) = self.session(Some(session.opened_ms)).await?;
        let result = work(session.route).await;
        if result.as_ref().is_err_and(must_be_replaced) {
            self.forget(session.opened_ms).await;
        }
        result.map_err(|error| remote_error(operation, error))
    }

    /// The open connection, and whether this call opened it. One that was opened at `broken_ms` is replaced.
    async fn session(&self, broken_ms: Option<i64>) -> Result<(Session, bool), RemoteError> {
        let now_ms = SystemClock.now_ms();
        let mut slot = self.0.session.lock().await;
        if let Some(session) = slot.as_ref() {
            let too_old = self.0.login.is_some() && now_ms - session.opened_ms > self.age_limit_ms();
            if broken_ms != Some(session.opened_ms) && !too_old {
                return Ok((session.clone(), false));
            }
        }
        *slot = None;
        let route = self.open(now_ms).await?;
        let session = Session { route, opened_ms: now_ms };
        *slot = Some(session.clone());
        Ok((session, true))
    }

    fn age_limit_ms(&self) -> i64 {
        if self.0.settings.cluster { IAM_CLUSTER_AGE_MS } else { IAM_NODE_AGE_MS }
    }

    async fn forget(&self, opened_ms: i64) {
        let mut slot = self.0.session.lock().await;
        if slot.as_ref().is_some_and(|session| session.opened_ms == opened_ms) {
            *slot = None;
        }
    }

    async fn open(&self, now_ms: i64) -> Result<Route, RemoteError> {
        // `rediss://` panics without a process-wide provider. An error means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let failed = |error| remote_error("connect to Redis", error);
        let inner = &*self.0;
        let token = match &inner.login {
            Some(login) => Some(login.token(now_ms).await?),
            None => None,
        };
        let client = Client::open(inner.settings.url.as_str()).map_err(failed)?;
        let mut info = client.get_connection_info().clone();
        if let (Some(login), Some(token)) = (&inner.login, &token) {
            info = info
                .clone()
                .set_redis_settings(info.redis_settings().clone().set_username(login.user()).set_password(token));
        }
        let opened = async {
            if inner.settings.cluster {
                let client = ClusterClient::builder([info])
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .retries(1)
                    .build()?;
                Ok(Route::Cluster(client.get_async_connection().await?))
            } else {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                let client = Client::open(info)?;
                Ok(Route::Node(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
        };
        // The client's own time limits do not cover name resolution and the first requests to a cluster.
        match tokio::time::timeout(CONNECT_TIMEOUT * 2, opened).await {
            Ok(result) => result.map_err(failed),
            Err(elapsed) => Err(RemoteError::new("connect to Redis", Remedy::Retry, elapsed)),
        }
    }
}

impl Route {
    async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::Node(node) => node.req_packed_command(command).await?,
            Self::Cluster(cluster) => cluster.req_packed_command(command).await?,
        };
        // The client returns a server's error as a value.
        answer.extract_error()
    }

    /// Sends a node one pipeline. A cluster's pipeline covers one slot only, so a cluster gets the commands
    /// concurrently: the client writes those for one node together.
    async fn all(self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Node(mut node) => commands.query_async(&mut node).await,
            Self::Cluster(cluster) => {
                stream::iter(commands.cmd_iter().cloned().collect::<Vec<_>>())
                    .map(|command| {
                        let mut route = Self::Cluster(cluster.clone());
                        async move { route.command(&command).await }
                    })
                    .buffered(CLUSTER_CONCURRENCY)
                    .try_collect()
                    .await
            }
        }
    }
}

/// Whether the connection is unusable, or may be: a half-open connection times out, and one whose token was refused
/// needs another token.
fn must_be_replaced(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.is_io_error()
        || matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::ClusterConnectionNotFound)
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// What to do about an error: a server that is down or busy recovers; a wrong login or command stays wrong.
fn remote_error(operation: &str, error: RedisError) -> RemoteError {
    let remedy = match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot) => Remedy::GiveUp,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading | ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown,
        ) => Remedy::SlowDown,
        _ => match error.code() {
            Some("OOM" | "BUSY" | "LOADING") => Remedy::SlowDown,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE") => Remedy::GiveUp,
            _ => Remedy::Retry,
        },
    };
    RemoteError::new(operation, remedy, error)
}

#[cfg(test)]
mod tests;
