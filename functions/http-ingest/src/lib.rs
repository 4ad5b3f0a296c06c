//! Accepts messages over HTTP: apps and devices send one message or many, and the answer says which messages are
//! durable.
//!
//! Promise 3: 202 means that all messages are on the stream. Otherwise the answer names each item that may not be
//! there, and the client can safely send it again: an item's `messageId`, or the request's `Idempotency-Key` and the
//! item's index, identifies the message, and results count it once.

mod admission;
mod answer;
mod body;
mod config;

pub use answer::{Answer, DOCUMENT, Status};
pub use config::Config;

use admission::ItemDevice;
use answer::ItemResult;
use myaku::device::registry::{DynamoDb, MasterData, Registry};
use myaku::http::{Caller, CallerError, Claims, Request, Response, Right};
use myaku::ingest::command::{Command, Commands, DynamoDbCommands};
use myaku::ingest::delivery;
use myaku::ingest::message::Message;
use myaku::ingest::submission::Item;
use myaku::platform::aws;
use myaku::platform::clock::{MAX_MS, Now, SystemClock};
use myaku::platform::deadline::Deadline;
use myaku::platform::errors::{Remedy, chain};
use myaku::platform::telemetry::{Metric, count};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{self, Placement, Producer, PutRecords, SendError};
use std::time::Duration;

/// How long a refused record is tried again. A client waits for the answer, and can try again itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest wait for a pending command: the messages are accepted, and should not wait for it.
const COMMAND_PATIENCE: Duration = Duration::from_secs(1);

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The stream of messages.
    type Stream: PutRecords;
    /// Devices and profiles.
    type MasterData: MasterData;
    /// Commands that wait for devices.
    type Commands: Commands;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// The stream of messages.
    pub messages: Producer<P::Stream>,
    /// Devices, and their facilities.
    pub registry: Registry<P::MasterData, P::Clock>,
    /// Commands that wait for devices. If `None`, answers contain no commands.
    pub commands: Option<P::Commands>,
    /// Which claims of a token identify a caller, and what IAM's callers may do.
    pub claims: Claims,
    /// The wall clock.
    pub clock: P::Clock,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Stream = KinesisStream;
    type MasterData = DynamoDb;
    type Commands = DynamoDbCommands;
    type Clock = SystemClock;
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails requests, not the start.
pub async fn connect(config: Config) -> Context<Deployed> {
    let sdk = aws::config().await;
    let limits = producer::Limits { patience: PATIENCE, ..producer::Limits::default() };
    let master_data = DynamoDb::new(&sdk, &config.registry.table);
    Context {
        messages: Producer::new(KinesisStream::new(&sdk, &config.ingest_stream), Placement::Shards, limits),
        registry: Registry::new(master_data, SystemClock, config.registry.ttl),
        commands: config.commands_table.map(|table| DynamoDbCommands::new(&sdk, table)),
        claims: config.claims,
        clock: SystemClock,
    }
}

/// One invocation.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// Its id. The delivery ids of its messages begin with it.
    pub id: &'a str,
    /// When Lambda ends it, in milliseconds since the epoch.
    pub deadline_ms: i64,
}

/// Answers one request.
pub async fn handle<P: Ports>(context: &Context<P>, request: &Request, invocation: Invocation<'_>) -> Response {
    let answer = match (request.request_context.http.method.as_str(), request.path()) {
        ("POST", "/v1/messages") => accept_messages(context, request, invocation).await.unwrap_or_else(|answer| answer),
        ("GET", "/openapi.json") => Answer::document(),
        _ => Answer::error(Status::NotFound, "not found: the API has POST /v1/messages and GET /openapi.json"),
    };
    if (400..500).contains(&(answer.status as u16)) && !answer.status.is_worth_a_retry() {
        count(Metric::Rejected, 1);
    }
    answer.response()
}

/// Puts the messages of a request on the stream. An error is an answer as well: nothing was accepted, or it is unknown
/// what was.
async fn accept_messages<P: Ports>(
    context: &Context<P>,
    request: &Request,
    invocation: Invocation<'_>,
) -> Result<Answer, Answer> {
    let caller = context.claims.caller(request.request_context.authorizer.as_ref()).map_err(|error| {
        let status = match error {
            CallerError::Unauthenticated => Status::Unauthorized,
            _ => Status::Forbidden,
        };
        Answer::error(status, error.to_string())
    })?;
    let items = body::parse_items(request)?;
    let now_ms = context.clock.now_ms();
    let put = async {
        let devices = admission::admit(&caller, &items, &context.registry).await?;
        let received = request.request_context.time_epoch.filter(|ms| (0..=MAX_MS).contains(ms)).unwrap_or(now_ms);
        let is_registered = devices.iter().all(|device| device.is_registered);
        let messages = assemble(items, devices, &caller, received, invocation.id);
        Ok((put_messages(&context.messages, &messages).await, is_registered))
    };
    let (answer, is_registered) =
        Deadline::at(invocation.deadline_ms).limit(&context.clock, put).await.unwrap_or_else(|| {
            count(Metric::Unavailable, 1);
            Err(Answer::error(Status::ServiceUnavailable, Status::ServiceUnavailable.problem()))
        })?;
    Ok(match (&caller.right, &context.commands) {
        // A command is shown or removed only after the registry has confirmed the device's facility.
        (Right::Device { device_id, .. }, Some(commands)) if is_registered => {
            let acknowledged = request.header("acknowledge-command");
            let pending = pending_command(commands, device_id, acknowledged, context.clock.now_ms());
            match tokio::time::timeout(COMMAND_PATIENCE, pending).await.ok().flatten() {
                Some(command) => answer.with_pending(command),
                None => answer,
            }
        }
        _ => answer,
    })
}

/// Makes the messages of a request from its items and their devices. Pure.
fn assemble(
    items: Vec<Item>,
    devices: Vec<ItemDevice>,
    caller: &Caller,
    received_at: i64,
    invocation: &str,
) -> Vec<Message> {
    let sender = caller.sender().to_wire();
    let message = |(item, device): (Item, ItemDevice)| Message {
        delivery_id: format!("{invocation}-{}", item.index),
        device_id: device.device_id,
        facility: device.facility,
        kind: item.kind,
        client_id: None,
        received_at,
        payload: item.payload,
        message_id: item.message_id,
        sender: Some(sender.clone()),
    };
    items.into_iter().zip(devices).map(message).collect()
}

async fn put_messages<P: PutRecords>(stream: &Producer<P>, messages: &[Message]) -> Answer {
    let sent = stream.send(&delivery::items(messages)).await;
    let failed = sent.as_ref().err().map_or(&[][..], |error| error.failed.as_slice());
    count(Metric::Records, messages.len() - failed.len());
    let put = (0..messages.len()).filter(|index| failed.binary_search(index).is_err());
    count(Metric::Bytes, put.map(|index| messages[index].payload.len()).sum());
    match sent {
        Ok(()) => Answer::accepted(messages.len()),
        Err(error) => send_failure(messages, &error),
    }
}

/// The answer if some messages may not be on the stream.
fn send_failure(messages: &[Message], error: &SendError) -> Answer {
    let (status, metric) = match error.source.remedy {
        Remedy::SlowDown => (Status::TooManyRequests, Metric::Throttled),
        Remedy::Retry => (Status::ServiceUnavailable, Metric::Unavailable),
        Remedy::GiveUp => (Status::InternalServerError, Metric::Unavailable),
    };
    count(metric, error.failed.len());
    tracing::error!(error = chain(error), messages = messages.len(), "cannot put all messages on the stream");
    if error.failed.len() == messages.len() {
        return Answer::error(status, status.problem());
    }
    let result = |(index, message): (usize, &Message)| {
        let failed = error.failed.binary_search(&index).is_ok();
        ItemResult {
            index,
            status: if failed { status as u16 } else { Status::Accepted as u16 },
            message_id: message.message_id.clone(),
            error: failed.then(|| status.problem()),
        }
    };
    Answer::partial(messages.iter().enumerate().map(result).collect())
}

/// Reads the command that waits for a device, after removing the one that the device acknowledges. A failure does not
/// change the status: the messages are on the stream, and the next answer can contain the command.
async fn pending_command<C: Commands>(
    commands: &C,
    device_id: &str,
    acknowledged: Option<&str>,
    now_ms: i64,
) -> Option<Command> {
    let pending = async {
        if let Some(id) = acknowledged.filter(|id| !id.is_empty()) {
            commands.remove(device_id, id).await?;
        }
        commands.pending(device_id).await
    };
    match pending.await {
        Ok(command) => command.filter(|command| command.waits(now_ms)),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "cannot read or remove the pending command; the next answer can contain it"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
