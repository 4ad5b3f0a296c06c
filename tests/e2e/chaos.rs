//! Causes faults in real processes and stores, under traffic, by a plan that a seed decides. Functions are killed,
//! pause for longer than their time-outs, and continue after another invocation has taken over. Redis is killed and
//! loses its memory. Stores refuse calls, lose answers and answer late. In the end the lake must be complete, and each
//! average right or marked partial.
//!
//! `make chaos SEEDS=20` tries more plans, and `make chaos SEED=7` repeats one of them.

mod fault;
mod plan;

use crate::bring_back::rebuild_everything;
use crate::pipeline::{Sending, stack_options};
use anyhow::{Context as _, ensure};
use myaku_demo::Options;
use myaku_demo::disturb::Disturbance;
use myaku_demo::evidence::results;
use myaku_demo::{steps, verify};
use myaku_local::stack::{self, Stack};
use plan::Plan;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

/// How many plans a run of the tests tries: one in which Redis loses its memory, and one in which it does not.
const SEEDS: u64 = 2;
/// For how long messages are sent at least. A plan takes about as long, and longer on a busy machine.
const TRAFFIC: Duration = Duration::from_secs(20);
/// The most that an invocation may take. The template allows a minute, which is too long for a test.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A retry after a minute (of an asynchronous invocation) follows after six seconds.
const TIME_SCALE: f64 = 10.0;

/// How often rows are written: with half of the seeds at each change.
const RESULTS_SECONDS: [&str; 2] = ["0", "3"];

async fn up(directory: &Path, seed: u64) -> anyhow::Result<Stack> {
    let results_seconds = RESULTS_SECONDS[(seed / 2 % 2) as usize];
    let options = stack_options(directory, &[("ResultsSeconds", results_seconds)])?;
    Stack::up(stack::Options { time_scale: TIME_SCALE, timeout_max: Some(TIMEOUT), ..options }).await
}

/// Sends traffic while `plan` is carried out on `stack`, and then checks the promises.
async fn survive(stack: &Stack, plan: &Plan, done: &RefCell<Vec<Disturbance>>) -> anyhow::Result<()> {
    let options = Options { rate: 150.0, devices: 40, duration: TRAFFIC, seed: plan.seed };
    let (mut fleet, windows) = steps::register(stack, &options).await?;
    let progress = Sending::default();
    let is_over = Cell::new(false);
    let (sending, disturbed) =
        tokio::join!(Box::pin(steps::send(stack, &options, &mut fleet, &progress, || is_over.get())), async {
            let disturbed = plan.carry_out(stack, progress.first(), done, &is_over).await;
            // Also if a fault could not be caused.
            is_over.set(true);
            disturbed
        });
    disturbed?;
    let sending = sending?;
    steps::quiet(stack).await?;
    let mut evidence = Box::pin(steps::gather(stack, sending.sent, sending.started_ms)).await?;
    evidence.memory_lost = plan.loses_memory;
    let verdict = verify::verify(&evidence, &windows);
    ensure!(verdict.broken.is_empty(), "{:#?}", verdict.broken);
    eprintln!("seed {}: {:?} {:?}", plan.seed, verdict.readings, verdict.averages);
    ensure!(stack.messages_dropped() == 0, "the rules were too slow");
    ensure!(
        verdict.averages.expected > 0 && verdict.archive.archived > 0,
        "nothing was tested: no average is expected, or no record is archived"
    );
    if !plan.loses_memory {
        return Ok(());
    }
    let rebuilt = rebuild_everything(stack).await?;
    ensure!((rebuilt.partial, rebuilt.busy, rebuilt.overtaken) == (0, 0, 0), "{rebuilt:?}");
    let table = stack.physical_id("ResultsTable")?;
    evidence.results = results::scan(&aws_sdk_dynamodb::Client::new(&stack.sdk_config()), &table).await?;
    evidence.memory_lost = false;
    let verdict = verify::verify(&evidence, &windows);
    ensure!(verdict.broken.is_empty(), "after the windows were rebuilt ({rebuilt:?}): {:#?}", verdict.broken);
    Ok(())
}

async fn try_seed(seed: u64) -> anyhow::Result<()> {
    let plan = Plan::draw(seed);
    eprintln!("{plan}");
    // The directory of a failed seed is kept, and replaced when the seed is tried again.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
    let stack = up(&directory, seed).await?;
    let done = RefCell::default();
    let survived = Box::pin(survive(&stack, &plan, &done)).await;
    stack.down().await;
    survived.with_context(|| {
        let done = done.into_inner().into_iter().map(|it| format!("  {:>6} ms  {}\n", it.after_ms, it.what));
        let (done, directory) = (done.collect::<Vec<_>>().concat(), directory.display());
        format!("{plan}What was done:\n{done}Logs and buckets are in {directory}.\nmake chaos SEED={seed}")
    })?;
    Ok(std::fs::remove_dir_all(&directory)?)
}

fn number(variable: &str) -> anyhow::Result<Option<u64>> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().with_context(|| format!("{variable} must be a number, but is {value}")))
        .transpose()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_counted_twice_when_processes_and_stores_fail() -> anyhow::Result<()> {
    let seeds = match number("MYAKU_CHAOS_SEED")? {
        Some(seed) => seed..=seed,
        None => 1..=number("MYAKU_CHAOS_SEEDS")?.unwrap_or(SEEDS),
    };
    for one in seeds {
        Box::pin(try_seed(one)).await?;
    }
    Ok(())
}
