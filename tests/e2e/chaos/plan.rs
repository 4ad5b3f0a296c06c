//! The plan of a run: which faults happen, and when. A seed decides it, so that it can be repeated.

use super::TIMEOUT;
use super::fault::{Fault, Illness, Store};
use anyhow::Context as _;
use myaku_demo::disturb::Disturbance;
use myaku_local::servers::Trouble;
use myaku_local::servers::kinesis::Refusal;
use myaku_local::stack::Stack;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The functions that read the streams.
const CONSUMERS: [&str; 3] = ["ArchiverFunction", "TransformFunction", "MovingAverageFunction"];
/// The functions that write to them.
const WAYS_IN: [&str; 2] = ["IotIngestFunction", "HttpIngestFunction"];

/// For how long messages are still sent during the last fault.
const LAST_MESSAGES: Duration = Duration::from_millis(500);

/// Faults, in lanes that run at the same time. The faults of a lane happen one after another.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Whether Redis loses data. Without a loss, no result may be partial.
    pub(super) loses_memory: bool,
    lanes: Vec<Vec<Step>>,
    /// The fault while the last messages are on their way. No later message can repair what it disturbs.
    last: Fault,
}

#[derive(Debug)]
struct Step {
    /// The time since the fault before.
    after: Duration,
    fault: Fault,
}

impl Plan {
    /// Draws the plan of a seed. Each plan has all kinds of faults, in its own order and with its own lengths.
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let loses_memory = !seed.is_multiple_of(2);
        let lanes = vec![functions(&mut random), stores(&mut random), memory_and_streams(&mut random, loses_memory)];
        let lanes = lanes.into_iter().map(|mut faults| {
            faults.shuffle(&mut random);
            let mut step = |fault| Step { after: between(&mut random, 200, 1_200), fault };
            faults.into_iter().map(&mut step).collect()
        });
        let lanes = lanes.collect();
        let illness = [Illness::Away, Illness::Trouble(Trouble::Unavailable)][random.random_range(0..2)];
        let last = Fault::Store(Store::DynamoDb, illness, between(&mut random, 1_500, 3_000));
        Self { seed, loses_memory, lanes, last }
    }

    /// Carries the plan out as soon as messages are `sending`, and adds what was done to `done`.
    pub(super) async fn carry_out(
        &self,
        stack: &Stack,
        mut sending: watch::Receiver<bool>,
        done: &RefCell<Vec<Disturbance>>,
        is_over: &Cell<bool>,
    ) -> anyhow::Result<()> {
        sending.wait_for(|sending| *sending).await?;
        let started = Instant::now();
        let cause = async |fault: &Fault| {
            let after_ms = started.elapsed().as_millis() as u64;
            let what = Box::pin(fault.cause(stack)).await.with_context(|| fault.to_string())?;
            done.borrow_mut().push(Disturbance { after_ms, what: format!("{fault}: {what}") });
            anyhow::Ok(())
        };
        let lanes = self.lanes.iter().map(async |lane| {
            for Step { after, fault } in lane {
                sleep(*after).await;
                cause(fault).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(lanes).await?;
        let sending_ends = async {
            sleep(LAST_MESSAGES).await;
            is_over.set(true);
        };
        tokio::join!(cause(&self.last), sending_ends).0
    }
}

fn functions(random: &mut StdRng) -> Vec<Fault> {
    let kills = CONSUMERS.iter().chain(&WAYS_IN).map(|function| Fault::Kill(function));
    let zombies = CONSUMERS.map(|function| Fault::Zombie(function, between(random, 300, 2_500)));
    let mut order = CONSUMERS;
    order.shuffle(random);
    let pauses = [
        Fault::Pause(order[0], between(random, 500, 3_000)),
        // It may be idle: then the time-out begins with the next batch.
        Fault::Pause(order[1], TIMEOUT + Duration::from_millis(2_500)),
    ];
    kills.chain(zombies).chain(pauses).collect()
}

fn stores(random: &mut StdRng) -> Vec<Fault> {
    let mut faults = Vec::new();
    for store in [Store::S3, Store::DynamoDb] {
        let ill = [Illness::Away, Illness::Trouble(Trouble::Unavailable), Illness::Trouble(Trouble::AnswersLost)];
        faults.extend(ill.map(|illness| Fault::Store(store, illness, between(random, 500, 2_500))));
        // Later than an invocation waits, so that the effect collides with that of its retry.
        let late = Illness::Trouble(Trouble::Late(TIMEOUT + between(random, 200, 2_000)));
        faults.push(Fault::Store(store, late, between(random, 1_500, 2_500)));
    }
    faults
}

fn memory_and_streams(random: &mut StdRng, loses_memory: bool) -> Vec<Fault> {
    let mut away = || between(random, 300, 1_500);
    let mut faults = vec![
        Fault::RedisRestarts(away()),
        // For longer than an invocation retries refused records: its time runs out.
        Fault::Closed("ReadingsStream", Refusal::Fails, TIMEOUT + away()),
        // The producer itself answers this one: it does not retry a denied call.
        Fault::Closed("ReadingsStream", Refusal::Denies, Duration::from_secs(1) + away()),
        // No longer than the rules, and the functions that write to the stream, retry.
        Fault::Closed("IngestStream", Refusal::Fails, away()),
        Fault::Split("IngestStream"),
        Fault::Split("ReadingsStream"),
    ];
    // In this lane, because a stream that does not answer cannot be split.
    let ill = [Illness::Away, Illness::Trouble(Trouble::Unavailable), Illness::Trouble(Trouble::AnswersLost)];
    faults.extend(ill.map(|illness| Fault::Store(Store::Kinesis, illness, away())));
    if loses_memory {
        faults.extend([Fault::RedisForgets(away()), Fault::RedisForgetsTheLast(away(), away())]);
    } else {
        faults.push(Fault::RedisRestarts(away()));
    }
    // For longer than its clients wait.
    faults.push(Fault::RedisPauses(between(random, 3_500, 5_000)));
    faults
}

fn between(random: &mut StdRng, least_ms: u64, most_ms: u64) -> Duration {
    Duration::from_millis(random.random_range(least_ms..most_ms))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The plan of seed {}:", self.seed)?;
        for (number, lane) in self.lanes.iter().enumerate() {
            for Step { after, fault } in lane {
                writeln!(f, "  {}: after {} ms, {fault}", number + 1, after.as_millis())?;
            }
        }
        writeln!(f, "  at the end: {}", self.last)
    }
}

#[test]
fn a_seed_decides_the_plan() {
    assert_eq!(Plan::draw(7).to_string(), Plan::draw(7).to_string());
    assert_ne!(Plan::draw(7).to_string(), Plan::draw(9).to_string());
}
