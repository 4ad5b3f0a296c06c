//! A producer that puts records directly on the stream: messages in aggregates, as the Kinesis Producer Library does,
//! and plain records. It reads each answer item by item, and puts refused items again.

use super::Settled;
use crate::traffic::{Planned, Route};
use anyhow::Context as _;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use myaku::platform::clock::{Now, SystemClock};
use myaku::stream::kpl::Builder;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a message waits for others, to be aggregated with them; the default of the producer library.
const LINGER: Duration = Duration::from_millis(100);
/// The size of an aggregate: 50 KiB, the default of the producer library.
const AGGREGATE_BYTES: usize = 50 * 1024;
/// How many messages can wait for the stream before `put` waits.
const QUEUE: usize = 1024;
/// The most items of a call.
const CALL_ITEMS: usize = 400;
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The producer.
#[derive(Debug)]
pub struct Direct {
    queue: Sender<Queued>,
    task: JoinHandle<Settled>,
}

#[derive(Debug)]
struct Queued {
    number: usize,
    route: Route,
    key: String,
    data: Vec<u8>,
}

/// A record of the stream, and the messages in it.
#[derive(Debug)]
struct Item {
    numbers: Vec<usize>,
    key: String,
    data: Vec<u8>,
}

impl Direct {
    /// A producer on `stream`.
    pub fn open(config: &SdkConfig, stream: &str) -> Self {
        let (queue, waiting) = channel(QUEUE);
        Self { queue, task: tokio::spawn(run(Client::new(config), stream.to_owned(), waiting)) }
    }

    /// Adds a message to the queue.
    pub async fn put(&self, message: &Planned) -> anyhow::Result<()> {
        let queued = Queued {
            number: message.number,
            route: message.route,
            key: message.delivery_id(),
            data: message.record(SystemClock.now_ms()),
        };
        self.queue.send(queued).await.ok().context("the producer has stopped")
    }

    /// Puts the messages that wait, and returns the result of all messages.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<Settled> {
        drop(self.queue);
        tokio::time::timeout(patience, self.task)
            .await
            .context("the stream did not accept the producer's last records in time")?
            .context("the producer stopped")
    }
}

async fn run(client: Client, stream: String, mut waiting: Receiver<Queued>) -> Settled {
    let mut settled = Settled::default();
    while let Some(first) = waiting.recv().await {
        let due = Instant::now() + LINGER;
        let mut messages = vec![first];
        while messages.len() < CALL_ITEMS
            && let Ok(Some(message)) = tokio::time::timeout_at(due, waiting.recv()).await
        {
            messages.push(message);
        }
        put(&client, &stream, items(messages), &mut settled).await;
    }
    settled
}

/// Aggregates the messages; leaves plain records as they are.
fn items(messages: Vec<Queued>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut open = Builder::new();
    let mut numbers = Vec::new();
    let mut first_key = String::new();
    for message in messages {
        if message.route == Route::Record {
            items.push(Item { numbers: vec![message.number], key: message.key, data: message.data });
            continue;
        }
        if !open.is_empty() && !open.fits(&message.key, &message.data, AGGREGATE_BYTES) {
            let data = std::mem::replace(&mut open, Builder::new()).finish();
            items.push(Item { numbers: std::mem::take(&mut numbers), key: std::mem::take(&mut first_key), data });
        }
        if open.is_empty() {
            first_key.clone_from(&message.key);
        }
        open.push(&message.key, None, &message.data);
        numbers.push(message.number);
    }
    if !open.is_empty() {
        items.push(Item { numbers, key: first_key, data: open.finish() });
    }
    items
}

/// Puts all items, and refused ones again, until none is left or all attempts are used.
async fn put(client: &Client, stream: &str, mut items: Vec<Item>, settled: &mut Settled) {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        items = put_once(client, stream, items, settled).await;
        if items.is_empty() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    settled.failed.extend(items.into_iter().flat_map(|item| item.numbers));
}

/// Makes one call. Returns the items that the stream did not accept.
async fn put_once(client: &Client, stream: &str, items: Vec<Item>, settled: &mut Settled) -> Vec<Item> {
    let entries = items.iter().filter_map(|item| {
        PutRecordsRequestEntry::builder().partition_key(&item.key).data(Blob::new(item.data.clone())).build().ok()
    });
    let answer = match client.put_records().stream_name(stream).set_records(Some(entries.collect())).send().await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%error, "PutRecords failed and is repeated");
            return items;
        }
    };
    let mut refused = Vec::new();
    for (item, result) in items.into_iter().zip(answer.records()) {
        if result.error_code().is_some() {
            refused.push(item);
        } else {
            settled.acknowledged += item.numbers.len();
        }
    }
    refused
}
