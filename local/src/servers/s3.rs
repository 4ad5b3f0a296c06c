//! S3: buckets as directories whose files can be looked at.
//!
//! `If-None-Match` and `If-Match` are decided under one lock, together with the object's metadata: what the lake's
//! promise rests on must hold for two writers at the same instant as well. Checksums of transfers are not checked
//! (it is loopback), and neither bucket policies nor multipart uploads exist here.

mod service;
mod store;

use super::listener::Listener;
use anyhow::Context as _;
use futures::FutureExt as _;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// An S3 server of this process; it ends when dropped.
pub struct S3 {
    listener: Listener,
}

/// Starts a server on `port`, or on a free one for 0. An object's bytes are the file `<directory>/<bucket>/<key>`;
/// what else is known of it lives in memory, and lives through a [`stop`](S3::stop).
pub async fn start(port: u16, directory: &Path) -> anyhow::Result<S3> {
    let store = store::Store::open(directory)
        .with_context(|| format!("the directory for buckets, {}, cannot be used", directory.display()))?;
    let mut builder = S3ServiceBuilder::new(service::Service(Arc::new(store)));
    builder.set_auth(service::AnyKey);
    let service = builder.build();
    let listener =
        Listener::start(port, move |socket, stopped| serve(socket, service.clone(), stopped).boxed()).await?;
    Ok(S3 { listener })
}

async fn serve(socket: TcpListener, service: S3Service, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = socket.accept() => accepted?.0,
            _ = &mut stopped => break,
        };
        // Small answers must not wait for the client's acknowledgements.
        stream.set_nodelay(true)?;
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an S3 connection broke");
            }
        });
    }
    drop(socket);
    graceful.shutdown().await;
    Ok(())
}

impl S3 {
    /// The base URL; buckets are addressed by path.
    pub fn endpoint(&self) -> String {
        self.listener.endpoint()
    }

    /// Refuses connections from now on; objects stay.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Serves again, on the same port, what was there.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.listener.restart().await
    }
}
