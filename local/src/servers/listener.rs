//! A port that can be opened, closed and opened again around one service, whose state outlives the closing.

use super::port::Port;
use super::trouble::{self, Trouble};
use axum::Router;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long requests under way may take to end once the port is closed.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a port may still be open behind its closing: whoever starts a process holds all sockets twice for a moment, until
/// the process has become another program.
const CLOSING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Serves connections of a listener until told to stop.
type Serve = Box<dyn Fn(TcpListener, oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// One service on one port of the loopback address; it ends when dropped.
pub struct Server {
    port: Port,
    serve: Serve,
    running: Mutex<Option<Running>>,
}

/// Something that serves, until it is told to end or dropped.
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Runs what `serve` makes of the sign to stop. `address` is for the log.
    fn new(
        address: SocketAddr,
        serve: impl FnOnce(oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let serving = serve(stopped);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%address, error = format!("{error:#}"), "a server ended");
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Closes the port, and gives requests under way some time to end.
    pub(super) async fn end(mut self) {
        // It may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = tokio::time::timeout(DRAIN, &mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Opens `port`, or a free one for 0, and serves on it.
    pub(super) async fn start(
        port: u16,
        serve: impl Fn(TcpListener, oneshot::Receiver<()>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let port = Port::hold(port)?;
        let server = Self { port, serve: Box::new(serve), running: Mutex::new(None) };
        server.restart().await?;
        Ok(server)
    }

    /// Serves an application on `port`, or on a free one for 0.
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

    /// Closes the port: requests under way end, new connections are refused.
    pub async fn stop(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.end().await;
        }
    }

    /// Opens the same port again after a [`stop`](Self::stop), with the same state behind it.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.run(self.listen().await?));
        }
        Ok(())
    }

    /// Breaks all connections, and serves new ones with `trouble`, until it is [stopped](Self::stop) and restarted.
    pub async fn trouble(&self, trouble: Trouble) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.end().await;
        }
        let (front, behind) = (self.listen().await?, Port::hold(0)?);
        let service = self.run(behind.listen()?);
        let to = behind.address();
        *running = Some(Running::new(self.port.address(), |stopped| {
            trouble::serve(front, to, trouble, service, stopped).boxed()
        }));
        Ok(())
    }

    /// Opens the port, as soon as it is closed everywhere.
    async fn listen(&self) -> anyhow::Result<TcpListener> {
        let asked = Instant::now();
        loop {
            match self.port.listen() {
                Err(_) if asked.elapsed() < CLOSING => sleep(POLL).await,
                opened => return opened,
            }
        }
    }

    fn run(&self, socket: TcpListener) -> Running {
        Running::new(self.port.address(), |stopped| (self.serve)(socket, stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_a_process_to_be_still_holds_is_opened_when_it_lets_go() {
        let server = Server::app(0, Router::new()).await.unwrap();
        server.stop().await;
        let held = server.port.listen().unwrap();
        let (restarted, ()) = tokio::join!(server.restart(), async {
            sleep(POLL * 3).await;
            drop(held);
        });
        restarted.unwrap();
    }
}
