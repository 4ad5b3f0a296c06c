//! Causes one fault in the stack, and ends it again.

use anyhow::Context as _;
use myaku_demo::disturb;
use myaku_local::servers::kinesis::Refusal;
use myaku_local::servers::{Server, Trouble};
use myaku_local::stack::Stack;
use std::fmt;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long it may take until an invocation runs: traffic is sent, but a store that it waits for may be failing.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a zombie may take to end: its calls have time-outs of their own.
const ZOMBIE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(1);

/// A fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// An environment of a function is killed, in the middle of an invocation.
    Kill(&'static str),
    /// An environment is paused for this long, whatever it does. If its time-out passes, it is killed.
    Pause(&'static str, Duration),
    /// An invocation times out and is tried again; the first one continues after this long.
    Zombie(&'static str, Duration),
    /// A store fails for this long.
    Store(Store, Illness, Duration),
    /// A stream refuses its writers for this long.
    Closed(&'static str, Refusal, Duration),
    /// A shard of a stream is split.
    Split(&'static str),
    /// Redis is down for this long, and comes back with all its data.
    RedisRestarts(Duration),
    /// Redis is paused for this long, and then processes all waiting commands.
    RedisPauses(Duration),
    /// Redis is killed, is down for this long, and comes back empty.
    RedisForgets(Duration),
    /// Redis is killed this long after a save, is down for this long, and comes back with what it had saved.
    RedisForgetsTheLast(Duration, Duration),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Store {
    S3,
    DynamoDb,
    Kinesis,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Illness {
    /// Connections are refused.
    Away,
    Trouble(Trouble),
}

impl Store {
    fn of(self, stack: &Stack) -> &Server {
        match self {
            Self::S3 => &stack.servers().s3,
            Self::DynamoDb => &stack.servers().dynamodb,
            Self::Kinesis => stack.servers().kinesis.server(),
        }
    }
}

/// Tries until `attempt` returns something.
async fn until<T>(attempt: impl AsyncFn() -> Option<T>) -> anyhow::Result<T> {
    let attempts = async {
        loop {
            match attempt().await {
                Some(found) => return found,
                None => sleep(POLL).await,
            }
        }
    };
    timeout(PATIENCE, attempts).await.context("no invocation of the function ran")
}

impl Fault {
    /// Causes the fault and waits until it is over. Returns what happened, in words.
    pub(super) async fn cause(&self, stack: &Stack) -> anyhow::Result<String> {
        let servers = stack.servers();
        match *self {
            Self::Kill(name) => {
                let function = stack.function(name)?;
                until(async || function.is_busy().then_some(())).await?;
                return Ok(disturb::kill(name, &function));
            }
            Self::Pause(name, pause) => {
                let function = stack.function(name)?;
                let paused = until(async || function.pause_one().await).await?;
                let pid = paused.pid();
                sleep(pause).await;
                let result = if paused.resume().await { "continued" } else { "was killed at its time-out" };
                return Ok(format!("process {pid} {result}"));
            }
            Self::Zombie(name, pause) => {
                let function = stack.function(name)?;
                let zombie = until(async || function.outlive_one().await).await?;
                let pid = zombie.pid();
                sleep(pause).await;
                let answer = timeout(ZOMBIE, zombie.finish()).await.context("the zombie did not end")?;
                let answer = answer.map(|answer| String::from_utf8_lossy(&answer).into_owned());
                return Ok(format!("process {pid} ended with {answer:?}"));
            }
            Self::Store(store, illness, length) => {
                let server = store.of(stack);
                match illness {
                    Illness::Away => server.stop().await,
                    Illness::Trouble(trouble) => server.trouble(trouble).await?,
                }
                sleep(length).await;
                server.stop().await;
                server.restart().await?;
            }
            Self::Closed(stream, refusal, length) => {
                let stream = stack.physical_id(stream)?;
                servers.kinesis.close(&stream, refusal);
                sleep(length).await;
                servers.kinesis.open(&stream);
            }
            Self::Split(stream) => {
                let client = aws_sdk_kinesis::Client::new(&stack.sdk_config());
                return disturb::split(&client, &stack.physical_id(stream)?).await;
            }
            Self::RedisRestarts(away) => {
                servers.redis.stop().await?;
                sleep(away).await;
                servers.redis.restart().await?;
            }
            Self::RedisPauses(pause) => {
                servers.redis.pause().await.context("cannot pause Redis")?;
                sleep(pause).await;
                servers.redis.resume().await.context("cannot resume Redis")?;
            }
            Self::RedisForgets(away) => {
                servers.redis.kill().await?;
                sleep(away).await;
                servers.redis.restart().await?;
            }
            Self::RedisForgetsTheLast(held, away) => {
                servers.redis.save().await?;
                sleep(held).await;
                servers.redis.kill().await?;
                sleep(away).await;
                servers.redis.restart().await?;
            }
        }
        Ok("over".to_owned())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(function) => write!(f, "{function} is killed"),
            Self::Pause(function, pause) => write!(f, "{function} is paused for {pause:?}"),
            Self::Zombie(function, pause) => write!(f, "{function} continues {pause:?} after its time-out"),
            Self::Store(store, Illness::Away, length) => write!(f, "{store:?} refuses connections for {length:?}"),
            Self::Store(store, Illness::Trouble(trouble), length) => {
                write!(f, "{store:?} fails for {length:?}: {trouble:?}")
            }
            Self::Closed(stream, refusal, length) => write!(f, "{stream} {refusal:?} its writers for {length:?}"),
            Self::Split(stream) => write!(f, "{stream} is split"),
            Self::RedisRestarts(away) => write!(f, "Redis is down for {away:?}"),
            Self::RedisPauses(pause) => write!(f, "Redis is paused for {pause:?}"),
            Self::RedisForgets(away) => write!(f, "Redis is killed, and is back empty after {away:?}"),
            Self::RedisForgetsTheLast(held, away) => {
                write!(f, "Redis is killed, and is back after {away:?} with what it held {held:?} before")
            }
        }
    }
}
