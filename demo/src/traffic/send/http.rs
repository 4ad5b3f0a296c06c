//! Clients that send over HTTPS at least once: a request whose answer is not 202 is sent again, whole and under the
//! same key.

use anyhow::Context as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// How long one answer may take; the API itself answers within 30 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most attempts of one request, the first included.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An item to be sent.
#[derive(Debug)]
pub struct Request {
    /// Which message it is.
    pub number: usize,
    /// The item, as the API accepts it.
    pub item: Value,
    /// Since when it is due.
    pub due: Instant,
}

/// The outcome of one attempt to send a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The API accepted all of it.
    Accepted,
    /// It is sent again, for this reason.
    Retried(String),
    /// It is given up, for this reason.
    GivenUp(String),
}

/// The callback for the outcome of requests.
pub type OnOutcome = Arc<dyn Fn(&[Request], &RequestOutcome) + Send + Sync>;

/// A pool of clients of the API.
pub struct Http {
    queue: Sender<Request>,
    workers: Vec<JoinHandle<()>>,
}

/// Where the API is, and how requests are sent to it.
#[derive(Clone)]
pub struct Api {
    /// The URL of `POST /v1/messages`.
    pub url: String,
    /// A bearer token.
    pub token: Option<String>,
    /// The most items of a request: items that wait are sent together.
    pub items: usize,
    /// One of this many answers is discarded, as if it were lost on its way back, so that the client sends again. 0:
    /// none.
    pub lose_every: usize,
}

impl Http {
    /// Opens `clients` clients of `api`. At most `waiting` items can wait for them.
    pub fn open(api: &Api, clients: usize, waiting: usize, on_outcome: &OnOutcome) -> anyhow::Result<Self> {
        // A server on this machine is reached directly, even if the environment names a proxy.
        let client = Client::builder().timeout(ANSWER_TIMEOUT).pool_max_idle_per_host(clients);
        let client = if api.url.starts_with("http://127.0.0.1") { client.no_proxy() } else { client };
        let client = client.build().context("cannot create an HTTP client")?;
        let (queue, items) = channel(waiting.max(1));
        let items = Arc::new(tokio::sync::Mutex::new(items));
        let answers = Arc::new(Mutex::new(0));
        let workers = (0..clients.max(1)).map(|_| {
            let worker = Worker {
                client: client.clone(),
                api: api.clone(),
                on_outcome: Arc::clone(on_outcome),
                answers: Arc::clone(&answers),
            };
            tokio::spawn(worker.run(Arc::clone(&items)))
        });
        Ok(Self { queue, workers: workers.collect() })
    }

    /// Adds an item to the queue; returns it if the queue is full.
    pub fn try_send(&self, request: Request) -> Result<(), Request> {
        self.queue.try_send(request).map_err(TrySendError::into_inner)
    }

    /// Adds an item to the queue; waits while the queue is full.
    pub async fn send(&self, request: Request) -> anyhow::Result<()> {
        self.queue.send(request).await.ok().context("the HTTP clients have stopped")
    }

    /// Waits until everything is accepted or given up, for at most `patience`.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<()> {
        drop(self.queue);
        let all = futures::future::join_all(self.workers);
        let ended =
            tokio::time::timeout(patience, all).await.context("the HTTP API did not answer all requests in time")?;
        ended.into_iter().collect::<Result<(), _>>().context("an HTTP client stopped")
    }
}

struct Worker {
    client: Client,
    api: Api,
    on_outcome: OnOutcome,
    /// The number of answers that all workers have received.
    answers: Arc<Mutex<usize>>,
}

impl Worker {
    async fn run(self, items: Arc<tokio::sync::Mutex<Receiver<Request>>>) {
        loop {
            let requests = {
                let mut items = items.lock().await;
                let Some(first) = items.recv().await else { return };
                let mut requests = vec![first];
                while requests.len() < self.api.items
                    && let Ok(next) = items.try_recv()
                {
                    requests.push(next);
                }
                requests
            };
            self.send(&requests).await;
        }
    }

    async fn send(&self, requests: &[Request]) {
        let key = Uuid::new_v4().to_string();
        let body: Vec<&Value> = requests.iter().map(|request| &request.item).collect();
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let (outcome, wait) = self.send_once(&key, body.clone()).await;
            let outcome = match outcome {
                RequestOutcome::Retried(why) if attempt == ATTEMPTS => RequestOutcome::GivenUp(why),
                outcome => outcome,
            };
            (self.on_outcome)(requests, &outcome);
            if !matches!(outcome, RequestOutcome::Retried(_)) {
                return;
            }
            tokio::time::sleep(wait.unwrap_or(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send_once(&self, key: &str, body: Vec<u8>) -> (RequestOutcome, Option<Duration>) {
        let mut request = self.client.post(&self.api.url).header("Idempotency-Key", key).body(body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.api.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return (RequestOutcome::Retried("no answer in time".to_owned()), None),
            Err(_) => return (RequestOutcome::Retried("no connection".to_owned()), None),
        };
        let (outcome, wait) = interpret(&answer);
        // Read the whole answer, so that the connection can be used again.
        let _ = answer.bytes().await;
        if self.is_lost() {
            (RequestOutcome::Retried("answer lost on purpose".to_owned()), None)
        } else {
            (outcome, wait)
        }
    }

    /// Whether to discard this answer.
    fn is_lost(&self) -> bool {
        if self.api.lose_every == 0 {
            return false;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers += 1;
        answers.is_multiple_of(self.api.lose_every)
    }
}

/// The outcome that an answer means, and how long it asks to wait.
fn interpret(answer: &Response) -> (RequestOutcome, Option<Duration>) {
    let status = answer.status();
    let why = format!("HTTP {}", status.as_u16());
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let outcome = match status {
        StatusCode::ACCEPTED => RequestOutcome::Accepted,
        // Some items are not on the stream. Sending all of them again under the same key is safe.
        StatusCode::MULTI_STATUS | StatusCode::TOO_MANY_REQUESTS => RequestOutcome::Retried(why),
        status if status.is_server_error() => RequestOutcome::Retried(why),
        _ => RequestOutcome::GivenUp(why),
    };
    (outcome, after.map(Duration::from_secs))
}
