//! A server in trouble: it refuses, loses its answers, or is late. It stands before the real one and knows its protocol
//! only as far as it must, so that any server of HTTP can have it.

use super::listener::Running;
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
    /// It answers everything with 503, and does nothing.
    Unavailable,
    /// It does what it is asked, and then the connection breaks.
    AnswersLost,
    /// What it is asked reaches it so much later, also if whoever asked has gone by then.
    Late(Duration),
}

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// For a client to read its answer, and for a server to do what was asked last.
const GRACE: Duration = Duration::from_secs(1);
const CHUNK: usize = 64 * 1024;

/// Serves connections of `socket` from the one at `to`, which `service` runs, until told to stop. What is on its way
/// then still arrives.
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

/// Serves one connection; it takes no more requests when `ended` completes.
async fn connection(trouble: Trouble, client: TcpStream, server: TcpStream, mut ended: watch::Receiver<bool>) {
    let ended = async { drop(ended.wait_for(|ended| *ended).await) };
    match trouble {
        Trouble::Late(by) => late(client, server, by, ended).await,
        Trouble::Unavailable => tokio::select! { () = unavailable(client) => {}, () = ended => {} },
        Trouble::AnswersLost => tokio::select! { () = answers_lost(client, server) => {}, () = ended => {} },
    }
}

async fn unavailable(mut client: TcpStream) {
    let mut request = vec![0; CHUNK];
    if client.read(&mut request).await.is_ok_and(|read| read > 0) {
        let _ = client.write_all(UNAVAILABLE).await;
        let _ = client.shutdown().await;
        // The rest of the request, so that the answer is not lost with it.
        let _ = timeout(GRACE, copy(&mut client, &mut sink())).await;
    }
}

async fn answers_lost(mut client: TcpStream, mut server: TcpStream) {
    let (mut from_client, _) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        // It answers when it has done what it was asked.
        _ = from_server.read_u8() => {}
    }
}

async fn late(mut client: TcpStream, mut server: TcpStream, by: Duration, ended: impl Future<Output = ()>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (queue, mut waiting) = mpsc::unbounded_channel();
    let ask = async move {
        let mut chunk = vec![0; CHUNK];
        let mut ended = pin!(ended);
        loop {
            let read = tokio::select! { read = from_client.read(&mut chunk) => read, () = &mut ended => return };
            let Ok(read @ 1..) = read else { return };
            let _ = queue.send((Instant::now() + by, chunk[..read].to_vec()));
        }
    };
    let pass_on = async {
        while let Some((due, chunk)) = waiting.recv().await {
            sleep_until(due).await;
            if to_server.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let answer = async {
        // Read also when nobody waits for it: a server works only for clients that are there.
        if copy(&mut from_server, &mut to_client).await.is_err() {
            let _ = copy(&mut from_server, &mut sink()).await;
        }
    };
    let ask = async {
        tokio::join!(ask, pass_on);
        sleep(GRACE).await;
    };
    tokio::select! { () = ask => {}, () = answer => {} }
}

#[cfg(test)]
mod tests {
    use super::super::Server;
    use super::*;
    use axum::routing::post;
    use bytes::Bytes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A server that counts what it is asked.
    async fn counting() -> (Server, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let app = {
            let asked = Arc::clone(&asked);
            let count = async move |_: Bytes| (asked.fetch_add(1, Ordering::SeqCst) + 1).to_string();
            axum::Router::new().route("/", post(count))
        };
        (Server::app(0, app).await.unwrap(), asked)
    }

    async fn ask(server: &Server, limit: Duration) -> reqwest::Result<(u16, String)> {
        let client = reqwest::Client::builder().no_proxy().timeout(limit).build()?;
        let answer = client.post(server.endpoint()).body("x".repeat(3 * CHUNK)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_server_that_is_unavailable_says_so_and_does_nothing_until_it_is_back() {
        let (server, asked) = counting().await;
        server.trouble(Trouble::Unavailable).await.unwrap();
        assert_eq!(ask(&server, LONG).await.unwrap(), (503, String::new()));
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        server.stop().await;
        assert!(ask(&server, LONG).await.is_err());
        server.restart().await.unwrap();
        assert_eq!(ask(&server, LONG).await.unwrap(), (200, "1".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_is_lost_behind_its_effect() {
        let (server, asked) = counting().await;
        server.trouble(Trouble::AnswersLost).await.unwrap();
        assert!(ask(&server, LONG).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_is_late_arrives_also_when_its_client_and_the_trouble_are_gone() {
        let (server, asked) = counting().await;
        server.trouble(Trouble::Late(Duration::from_millis(400))).await.unwrap();
        assert!(ask(&server, Duration::from_millis(100)).await.unwrap_err().is_timeout());
        server.stop().await;
        server.restart().await.unwrap();
        let arrived = async {
            while asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, arrived).await.unwrap();
    }
}
