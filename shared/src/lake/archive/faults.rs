//! Injects faults into tests: a wrapper around a port whose calls fail as a closure decides.

use super::{Head, Heads, Lake, Metadata, Put, Stored};
use crate::platform::errors::{Remedy, RemoteError};

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The call fails and has no effect.
    Refused,
    /// The call has its effect and its answer is lost.
    AnswerLost,
}

/// A port whose calls fail as `faults` decides. `faults` gets the name of each call (`put_if_absent`) and its subject:
/// a key or a shard. Each call yields before and after its effect, so that other invocations can run in between, or
/// this one can end there.
#[derive(Clone, Debug)]
pub struct Faulty<P, F> {
    port: P,
    faults: F,
}

impl<P: Sync, F: Fn(&str, &str) -> Fault + Sync> Faulty<P, F> {
    /// Wraps `port`.
    pub const fn new(port: P, faults: F) -> Self {
        Self { port, faults }
    }

    async fn call<T: Send>(
        &self,
        name: &str,
        subject: &str,
        call: impl Future<Output = Result<T, RemoteError>> + Send,
    ) -> Result<T, RemoteError> {
        let failed = |what: &str| Err(RemoteError::new(format!("{name} {subject}"), Remedy::Retry, what));
        tokio::task::yield_now().await;
        let fault = (self.faults)(name, subject);
        if fault == Fault::Refused {
            return failed("injected: refused");
        }
        let answer = call.await;
        tokio::task::yield_now().await;
        if fault == Fault::AnswerLost { failed("injected: answer lost") } else { answer }
    }
}

impl<L: Lake, F: Fn(&str, &str) -> Fault + Send + Sync> Lake for Faulty<L, F> {
    async fn put_if_absent(&self, key: &str, object: &Stored) -> Result<Put, RemoteError> {
        self.call("put_if_absent", key, self.port.put_if_absent(key, object)).await
    }

    async fn metadata(&self, key: &str) -> Result<Option<Metadata>, RemoteError> {
        self.call("metadata", key, self.port.metadata(key)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        self.call("get", key, self.port.get(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RemoteError> {
        self.call("list", prefix, self.port.list(prefix)).await
    }
}

impl<H: Heads, F: Fn(&str, &str) -> Fault + Send + Sync> Heads for Faulty<H, F> {
    async fn get(&self, stream: &str, shard: &str) -> Result<Option<Head>, RemoteError> {
        self.call("get_head", shard, self.port.get(stream, shard)).await
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) -> Result<(), RemoteError> {
        self.call("advance", shard, self.port.advance(stream, shard, head)).await
    }
}
