//! The connection to Redis or Valkey: one node or a cluster, plain or TLS, by password or by IAM login.
//!
//! It connects at its first use, so that a server that is down fails calls, which are retried, and no start. A
//! connection that broke, or was frozen with its function, is replaced at the next call.

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

/// To open a connection, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer. The client's own 500 ms is too short for a cold TLS connection's first pipeline.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Commands to a cluster that are under way at the same time.
const CLUSTER_CONCURRENCY: usize = 256;
/// An IAM token is valid for 15 minutes, and a cluster's client logs in again, with the token it was made with, whenever
/// it meets another node: so it is made anew before. <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>
const IAM_CLUSTER_AGE_MS: i64 = 10 * 60 * 1_000;
/// The server ends a connection with IAM login after 12 hours; a single node's is replaced before.
const IAM_NODE_AGE_MS: i64 = 11 * 60 * 60 * 1_000;

/// A connection, cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    settings: Settings,
    login: Option<Login>,
    live: Mutex<Option<Live>>,
}

#[derive(Clone)]
struct Live {
    route: Route,
    opened_ms: i64,
}

#[derive(Clone)]
enum Route {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// A connection by `settings`. Nothing is sent yet: what is checked is that the settings can be used.
    #[allow(clippy::unused_async, reason = "adapters are connected alike; this one is lazy")]
    pub async fn connect(settings: &Settings, config: &SdkConfig) -> Result<Self, RemoteError> {
        Client::open(settings.url.as_str()).map_err(|error| remote_error("connect to Redis", error))?;
        let login = settings.iam.clone().map(|iam| Login::new(iam, settings, config)).transpose()?;
        Ok(Self(Arc::new(Inner { settings: settings.clone(), login, live: Mutex::new(None) })))
    }

    /// The values of `keys`, in their order; `None` where there is none.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        command.arg(keys);
        let values = self.one("MGET", &command).await?;
        Vec::from_redis_value(values).map_err(|error| remote_error("MGET", error.into()))
    }

    /// Sets each key to its value, to be forgotten after `ttl`.
    pub async fn set_many(&self, entries: &[(String, Vec<u8>)], ttl: Duration) -> Result<(), RemoteError> {
        let commands = entries.iter().map(|(key, value)| {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("PX").arg(ttl.as_millis().max(1) as u64);
            command
        });
        self.all("SET", commands.collect()).await.map(drop)
    }

    /// Deletes `keys`; one that isn't there is no error.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), RemoteError> {
        let commands = keys.iter().map(|key| {
            let mut command = redis::cmd("DEL");
            command.arg(key);
            command
        });
        self.all("DEL", commands.collect()).await.map(drop)
    }

    /// Whether the server is a cluster, or answers as one: then a command's keys must share a slot.
    pub fn is_cluster(&self) -> bool {
        self.0.settings.cluster
    }

    /// Asks whether the server is there.
    pub async fn ping(&self) -> Result<(), RemoteError> {
        let ping = redis::cmd("PING");
        self.all("PING", vec![ping]).await.map(drop)
    }

    /// Sends one command, which in a cluster has keys of one slot or can be split by them.
    async fn one(&self, operation: &'static str, command: &Cmd) -> Result<Value, RemoteError> {
        self.run(operation, |mut route| async move { route.command(command).await }).await
    }

    /// Sends all `commands` at once; the first that fails is the error of all.
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

    /// Runs `work` on the connection, and once more on a new one if the one at hand turned out to be broken.
    async fn run<T, F>(&self, operation: &'static str, work: impl Fn(Route) -> F) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let (live, fresh) = self.live(None).await?;
        let broken = match work(live.route).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !must_be_replaced(&broken) {
            return Err(remote_error(operation, broken));
        }
        // Only a connection from before can have broken while nobody looked; a time-out is not tried twice, so that a
        // server that is down costs one time-out.
        if fresh || broken.is_timeout() {
            self.forget(live.opened_ms).await;
            return Err(remote_error(operation, broken));
        }
        let (live, _) = self.live(Some(live.opened_ms)).await?;
        let result = work(live.route).await;
        if result.as_ref().is_err_and(must_be_replaced) {
            self.forget(live.opened_ms).await;
        }
        result.map_err(|error| remote_error(operation, error))
    }

    /// The connection, and whether it was opened just now. One opened at `broken_ms` is replaced.
    async fn live(&self, broken_ms: Option<i64>) -> Result<(Live, bool), RemoteError> {
        let now_ms = SystemClock.now_ms();
        let mut slot = self.0.live.lock().await;
        if let Some(live) = slot.as_ref() {
            let too_old = self.0.login.is_some() && now_ms - live.opened_ms > self.age_limit_ms();
            if broken_ms != Some(live.opened_ms) && !too_old {
                return Ok((live.clone(), false));
            }
        }
        *slot = None;
        let route = self.open(now_ms).await?;
        let live = Live { route, opened_ms: now_ms };
        *slot = Some(live.clone());
        Ok((live, true))
    }

    fn age_limit_ms(&self) -> i64 {
        if self.0.settings.cluster { IAM_CLUSTER_AGE_MS } else { IAM_NODE_AGE_MS }
    }

    async fn forget(&self, opened_ms: i64) {
        let mut slot = self.0.live.lock().await;
        if slot.as_ref().is_some_and(|live| live.opened_ms == opened_ms) {
            *slot = None;
        }
    }

    async fn open(&self, now_ms: i64) -> Result<Route, RemoteError> {
        // `rediss://` panics without a process-wide provider; that another has installed one already is as good.
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
        // Name resolution and a cluster's first questions are beside the client's own limits.
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
        // A server's error comes as a value here.
        answer.extract_error()
    }

    /// One pipeline to a node. A cluster's pipeline is for one slot, so there the commands go side by side: the client
    /// writes those of a node together.
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

/// Whether the connection is of no use any more, or may not be: a half-open one times out, and one whose token was
/// refused needs a new one.
fn must_be_replaced(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.is_io_error()
        || matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::ClusterConnectionNotFound)
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// What to do about an error: a server that is away or busy comes back; a wrong login or command stays wrong.
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
