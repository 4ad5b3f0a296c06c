//! One thing that goes wrong, and comes right again.

use anyhow::Context as _;
use myaku_demo::disturb;
use myaku_local::servers::kinesis::Refusal;
use myaku_local::servers::{Server, Trouble};
use myaku_local::stack::Stack;
use std::fmt;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// For an invocation to be under way: there is traffic, and what it waits for is ill for a while.
const PATIENCE: Duration = Duration::from_mins(2);
/// For a zombie to end: its calls have time-outs of their own.
const ZOMBIE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(1);

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// An environment of a function is killed, in the middle of an invocation.
    Kill(&'static str),
    /// An environment stands still for so long, whatever it is doing. Beyond its time-out it is killed.
    Pause(&'static str, Duration),
    /// An invocation times out, is tried again, and goes on so much later.
    Zombie(&'static str, Duration),
    /// A store is ill for so long.
    Store(Store, Illness, Duration),
    /// A stream refuses its writers for so long.
    Closed(&'static str, Refusal, Duration),
    /// A shard of a stream is split.
    Split(&'static str),
    /// Redis is away for so long, and comes back with all that it held.
    RedisRestarts(Duration),
    /// Redis stands still for so long, and then does all that it was asked.
    RedisPauses(Duration),
    /// Redis is killed, is away for so long, and comes back empty.
    RedisForgets(Duration),
    /// Redis is killed so long after it has saved, is away for so long, and comes back with what it had saved.
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

/// Tries until there is something to take hold of.
async fn until<T>(attempt: impl AsyncFn() -> Option<T>) -> anyhow::Result<T> {
    let attempts = async {
        loop {
            match attempt().await {
                Some(held) => return held,
                None => sleep(POLL).await,
            }
        }
    };
    timeout(PATIENCE, attempts).await.context("the function is never at work")
}

impl Fault {
    /// Lets it happen, and waits until it is over. What came of it, in words.
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
                let fate = if paused.resume().await { "goes on" } else { "was killed at its time-out" };
                return Ok(format!("process {pid} {fate}"));
            }
            Self::Zombie(name, pause) => {
                let function = stack.function(name)?;
                let zombie = until(async || function.outlive_one().await).await?;
                let pid = zombie.pid();
                sleep(pause).await;
                let answer = timeout(ZOMBIE, zombie.finish()).await.context("the zombie does not end")?;
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
                servers.redis.pause().await.context("Redis is not there")?;
                sleep(pause).await;
                servers.redis.resume().await.context("Redis is gone")?;
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
            Self::Pause(function, pause) => write!(f, "{function} stands still for {pause:?}"),
            Self::Zombie(function, pause) => write!(f, "{function} goes on {pause:?} behind its time-out"),
            Self::Store(store, Illness::Away, length) => write!(f, "{store:?} refuses connections for {length:?}"),
            Self::Store(store, Illness::Trouble(trouble), length) => {
                write!(f, "{store:?} is in trouble for {length:?}: {trouble:?}")
            }
            Self::Closed(stream, refusal, length) => write!(f, "{stream} {refusal:?} its writers for {length:?}"),
            Self::Split(stream) => write!(f, "{stream} is split"),
            Self::RedisRestarts(away) => write!(f, "Redis is away for {away:?}"),
            Self::RedisPauses(pause) => write!(f, "Redis stands still for {pause:?}"),
            Self::RedisForgets(away) => write!(f, "Redis is killed, and is back empty after {away:?}"),
            Self::RedisForgetsTheLast(held, away) => {
                write!(f, "Redis is killed, and is back after {away:?} with what it held {held:?} before")
            }
        }
    }
}
