//! Restarts, and the troubles that a server can be put into.

use super::*;
use axum::routing::post;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::timeout;

/// Longer than any wait of these tests, on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the troubled server reads at a time.
const BODY_BYTES: usize = 192 << 10;

/// A server that counts its requests.
async fn counting() -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let app = {
        let requests = Arc::clone(&requests);
        let count = async move |_: Bytes| (requests.fetch_add(1, Ordering::SeqCst) + 1).to_string();
        Router::new().route("/", post(count))
    };
    (Server::app(0, app).await.unwrap(), requests)
}

async fn request(server: &Server, limit: Duration) -> reqwest::Result<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().timeout(limit).build()?;
    let response = client.post(server.endpoint()).body("x".repeat(BODY_BYTES)).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

#[tokio::test]
async fn a_restart_waits_until_a_process_that_is_being_started_releases_the_port() {
    let server = Server::app(0, Router::new()).await.unwrap();
    server.stop().await;
    let held = server.port.listen().unwrap();
    let (restarted, ()) = tokio::join!(server.restart(), async {
        sleep(POLL * 3).await;
        drop(held);
    });
    restarted.unwrap();
}

#[tokio::test]
async fn a_service_that_fails_or_panics_is_started_again_on_its_port() {
    let starts = Arc::new(AtomicUsize::new(0));
    let server = {
        let starts = Arc::clone(&starts);
        Server::start(0, move |socket, stopped| {
            let start = starts.fetch_add(1, Ordering::SeqCst);
            async move {
                match start {
                    0 => anyhow::bail!("a failure"),
                    1 => panic!("a panic"),
                    _ => {}
                }
                let app = Router::new().route("/", post(async || "served"));
                Ok(axum::serve(socket, app).with_graceful_shutdown(async move { drop(stopped.await) }).await?)
            }
            .boxed()
        })
        .await
        .unwrap()
    };
    while request(&server, PATIENCE).await.is_err() {
        sleep(POLL).await;
    }
    assert_eq!(starts.load(Ordering::SeqCst), 3);
    server.stop().await;
    assert!(request(&server, PATIENCE).await.is_err(), "a stopped server stays so");
}

#[tokio::test]
async fn an_unavailable_server_answers_503_and_does_nothing_until_it_is_restarted() {
    let (server, requests) = counting().await;
    server.trouble(Trouble::Unavailable).await.unwrap();
    assert_eq!(request(&server, PATIENCE).await.unwrap(), (503, String::new()));
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    server.stop().await;
    assert!(request(&server, PATIENCE).await.is_err());
    server.restart().await.unwrap();
    assert_eq!(request(&server, PATIENCE).await.unwrap(), (200, "1".to_owned()));
}

#[tokio::test]
async fn an_answer_is_lost_after_the_request_took_effect() {
    let (server, requests) = counting().await;
    server.trouble(Trouble::AnswersLost).await.unwrap();
    assert!(request(&server, PATIENCE).await.is_err());
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_late_request_arrives_even_after_its_client_and_the_trouble_are_gone() {
    let (server, requests) = counting().await;
    server.trouble(Trouble::Late(Duration::from_millis(400))).await.unwrap();
    assert!(request(&server, Duration::from_millis(100)).await.unwrap_err().is_timeout());
    server.stop().await;
    server.restart().await.unwrap();
    let arrived = async {
        while requests.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
}
