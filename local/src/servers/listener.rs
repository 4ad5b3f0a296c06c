//! A server that opens, closes and reopens its port. The service and its state stay the same throughout.

use super::port::{self, Port};
use super::running::Running;
use super::trouble::{self, Trouble};
use axum::Router;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep};

/// How long a closed port may still be held: a process that starts another one has copies of all its sockets for a
/// moment, until the other has become its own program.
const PORT_RELEASE_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Serves a listener's connections until the stop signal arrives.
type Serve = Arc<dyn Fn(TcpListener, oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

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
        let server = Self { port, serve: Arc::new(serve), running: Mutex::new(None) };
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
            *running = Some(self.run(listen(self.port.address().port()).await?)?);
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
        let (front, hidden) = (listen(self.port.address().port()).await?, Port::hold(0)?);
        let service = self.run(hidden.listen()?)?;
        let to = hidden.address();
        *running = Some(Running::once(self.port.address(), |stopped| {
            trouble::serve(front, to, trouble, service, stopped).boxed()
        }));
        Ok(())
    }

    /// Serves on the port of `socket` until the stop signal. If the service ends by itself, the port is opened again.
    fn run(&self, socket: TcpListener) -> anyhow::Result<Running> {
        let address = socket.local_addr()?;
        let (serve, mut socket) = (Arc::clone(&self.serve), Some(socket));
        Ok(Running::new(address, move |stopped| {
            let (serve, socket) = (Arc::clone(&serve), socket.take());
            async move {
                let socket = match socket {
                    Some(socket) => socket,
                    None => listen(address.port()).await?,
                };
                serve(socket, stopped).await
            }
            .boxed()
        }))
    }
}

/// Opens a port. Waits while a process that is being started still holds it.
async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let began = Instant::now();
    loop {
        match port::listen(port) {
            Err(_) if began.elapsed() < PORT_RELEASE_MAX => sleep(POLL).await,
            listener => return listener,
        }
    }
}

#[cfg(test)]
mod tests;
