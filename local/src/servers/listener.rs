//! A server that opens, closes and reopens its port. The service and its state stay the same throughout.

use super::port::Port;
use super::running::Running;
use super::trouble::{self, Trouble};
use axum::Router;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep};

/// How long a closed port may still be held: a process that starts another one has copies of all its sockets for a
/// moment, until the other has become its own program.
const PORT_RELEASE_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Serves a listener's connections until the stop signal arrives.
type Serve = Box<dyn Fn(TcpListener, oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// One service on one port of the loopback address. It ends when dropped.
pub struct Server {
    port: Port,
    serve: Serve,
    running: Mutex<Option<Running>>,
}

impl Server {
    /// Opens `port` (0 for a free one) and serves on it.
    pub(super) async fn start(
        port: u16,
        serve: impl Fn(TcpListener, oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let port = Port::hold(port)?;
        let server = Self { port, serve: Box::new(serve), running: Mutex::new(None) };
        server.restart().await?;
        Ok(server)
    }

    /// Serves an application on `port` (0 for a free one).
    pub(crate) async fn app(port: u16, app: Router) -> anyhow::Result<Self> {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        Self::start(port, move |socket, stopped| {
            let app = app.clone();
            async move {
                let stopped = async move { drop(stopped.await) };
                Ok(axum::serve(socket, app).with_graceful_shutdown(stopped).await?)
            }
            .boxed()
        })
        .await
    }

    /// The base URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Closes the port: open requests end, and new connections are refused.
    pub async fn stop(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.end().await;
        }
    }

    /// Opens the same port again after a [`stop`](Self::stop). The service still has its state.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.run(self.listen().await?));
        }
        Ok(())
    }

    /// Breaks all connections, and serves new ones with `trouble` until the server is [stopped](Self::stop) and
    /// restarted.
    pub async fn trouble(&self, trouble: Trouble) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.end().await;
        }
        let (front, hidden) = (self.listen().await?, Port::hold(0)?);
        let service = self.run(hidden.listen()?);
        let to = hidden.address();
        *running = Some(Running::new(self.port.address(), |stopped| {
            trouble::serve(front, to, trouble, service, stopped).boxed()
        }));
        Ok(())
    }

    /// Opens the port. Waits while a process that is being started still holds it.
    async fn listen(&self) -> anyhow::Result<TcpListener> {
        let began = Instant::now();
        loop {
            match self.port.listen() {
                Err(_) if began.elapsed() < PORT_RELEASE_MAX => sleep(POLL).await,
                listener => return listener,
            }
        }
    }

    fn run(&self, socket: TcpListener) -> Running {
        Running::new(self.port.address(), |stopped| (self.serve)(socket, stopped))
    }
}

#[cfg(test)]
mod tests;
