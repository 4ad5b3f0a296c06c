//! A server in trouble: it refuses requests, loses its answers, or is late.
//!
//! It is a proxy in front of the real server. It knows as little of the protocol as possible, so that any HTTP server
//! can be put into trouble.

use super::running::Running;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answers every request with 503, and does nothing.
    Unavailable,
    /// It does what a request asks, and then the connection breaks.
    AnswersLost,
    /// Each request reaches it after this delay, even if the client has gone by then.
    Late(Duration),
}

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// How long a client may take to read its answer, and the server to perform its last request.
const GRACE: Duration = Duration::from_secs(1);
const CHUNK_BYTES: usize = 64 * 1024;

/// Forwards connections of `socket` to the server at `to`, which `service` runs, until the stop signal arrives.
/// Requests that are on their way by then still reach the server.
pub(super) async fn serve(
    socket: TcpListener,
    to: SocketAddr,
    trouble: Trouble,
    service: Running,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let ended = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = socket.accept() => accepted?.0,
            _ = &mut stopped => break,
        };
        let server = TcpStream::connect(to).await?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        connections.spawn(connection(trouble, client, server, ended.subscribe()));
    }
    ended.send_replace(true);
    tokio::spawn(async move {
        while connections.join_next().await.is_some() {}
        service.end().await;
    });
    Ok(())
}

/// Forwards one connection. It accepts no more requests after `ended` completes.
async fn connection(trouble: Trouble, client: TcpStream, server: TcpStream, mut ended: watch::Receiver<bool>) {
    let ended = async { drop(ended.wait_for(|ended| *ended).await) };
    match trouble {
        Trouble::Late(by) => late(client, server, by, ended).await,
        Trouble::Unavailable => tokio::select! { () = unavailable(client) => {}, () = ended => {} },
        Trouble::AnswersLost => tokio::select! { () = answers_lost(client, server) => {}, () = ended => {} },
    }
}

async fn unavailable(mut client: TcpStream) {
    let mut request = vec![0; CHUNK_BYTES];
    if client.read(&mut request).await.is_ok_and(|read| read > 0) {
        let _ = client.write_all(UNAVAILABLE).await;
        let _ = client.shutdown().await;
        // Read the rest of the request: a connection that is closed with unread bytes loses the answer.
        let _ = timeout(GRACE, copy(&mut client, &mut sink())).await;
    }
}

async fn answers_lost(mut client: TcpStream, mut server: TcpStream) {
    let (mut from_client, _) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        // The server answers after it has done what was asked.
        _ = from_server.read_u8() => {}
    }
}

async fn late(mut client: TcpStream, mut server: TcpStream, by: Duration, ended: impl Future<Output = ()>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (queue, mut queued) = mpsc::unbounded_channel();
    let receive = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut ended = pin!(ended);
        loop {
            let read = tokio::select! { read = from_client.read(&mut chunk) => read, () = &mut ended => return };
            let Ok(read @ 1..) = read else { return };
            let _ = queue.send((Instant::now() + by, chunk[..read].to_vec()));
        }
    };
    let forward = async {
        while let Some((due, chunk)) = queued.recv().await {
            sleep_until(due).await;
            if to_server.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let answer = async {
        // Read the answer even if the client has gone: a server stops working for a client that does not read.
        if copy(&mut from_server, &mut to_client).await.is_err() {
            let _ = copy(&mut from_server, &mut sink()).await;
        }
    };
    let ask = async {
        tokio::join!(receive, forward);
        sleep(GRACE).await;
    };
    tokio::select! { () = ask => {}, () = answer => {} }
}
