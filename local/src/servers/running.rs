//! A task that serves connections until it gets the stop signal.

use super::supervision::{Restarts, end_of};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long open requests may take to end after the port is closed.
const DRAIN: Duration = Duration::from_secs(1);

/// A serving task. It ends at the stop signal, or when this value is dropped.
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Spawns what `serve` returns, and calls it again whenever that has ended by itself; `serve` gets the stop signal.
    /// `address` is for the log.
    pub(super) fn new(
        address: SocketAddr,
        mut serve: impl FnMut(oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut restarts = Restarts::new(address.to_string());
            loop {
                let (end, ended) = oneshot::channel();
                let mut serving = end_of(serve(ended)).boxed();
                let why = tokio::select! {
                    why = &mut serving => why,
                    _ = &mut stopped => {
                        // It may have ended meanwhile.
                        let _ = end.send(());
                        serving.await;
                        return;
                    }
                };
                tokio::select! { () = restarts.pause(&why) => {}, _ = &mut stopped => return }
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Spawns what `serve` returns; `serve` gets the stop signal. What has ended by itself stays so.
    pub(super) fn once(
        address: SocketAddr,
        serve: impl FnOnce(oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let serving = serve(stopped);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%address, error = format!("{error:#}"), "a server stopped serving");
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Closes the port, and gives open requests a moment to end.
    pub(super) async fn end(mut self) {
        // The task may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = tokio::time::timeout(DRAIN, &mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
