//! A run: registry, traffic and disturbances, then quiet, then the evidence.

use super::disturb::{self, Disturbance};
use super::evidence::{Evidence, Sent, letters, results, stream};
use super::latency::{self, Seen};
use super::presence;
use super::registry;
use super::report::{Report, Throughput, Traffic};
use super::verify::{Windows, verify};
use crate::audit;
use crate::event_source::kinesis::KinesisSource;
use crate::stack::Stack;
use crate::traffic::send::{Api, Sender};
use crate::traffic::{Fleet, Settings};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use myaku::archive::{DynamoDbHeads, Hour, S3Lake};
use myaku::clock::{Now as _, SystemClock};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Real MQTT connections; the fleet's devices are spread over them.
const CONNECTIONS: usize = 8;
/// Items of a request over HTTP, at most.
const HTTP_ITEMS: usize = 5;
/// Of so many answers over HTTP, one is lost, and its request sent again.
const ANSWERS_PER_LOSS: usize = 10;
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(10);
/// For what was sent to be acknowledged.
const SETTLE: Duration = Duration::from_mins(1);
/// For every function to have nothing left to do.
const QUIET: Duration = Duration::from_mins(3);
/// Looks in a row at which nothing is left to do, before that is believed: what one mapping has just finished is
/// another's to read.
const QUIET_LOOKS: u32 = 6;
const QUIET_TICK: Duration = Duration::from_millis(500);
/// The stream cuts its times to whole seconds: what is sent at the hour may have arrived before it.
const CLOCK_MS: i64 = 2_000;
/// Objects that the audit fetches at a time.
const AUDIT_CONCURRENCY: usize = 16;
/// Where objects stand in their buckets.
const DEAD_LETTERS: &str = "dead-letters/";

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Messages in a second.
    pub rate: f64,
    /// Devices.
    pub devices: usize,
    /// For how long messages are sent.
    pub duration: Duration,
    /// Decides the traffic.
    pub seed: u64,
}

/// Who is told how it goes.
pub trait Progress: Sync {
    /// A new part begins.
    fn stage(&self, what: &str);
    /// So many of `total` messages are sent; `lag` records wait for some function.
    fn sent(&self, sent: usize, total: usize, lag: u64);
    /// Something happened.
    fn event(&self, what: &str);
}

/// What is done to the pipeline, and when: parts of the sending time.
const PLAN: [(f64, Action); 5] = [
    (0.30, Action::Split("IngestStream")),
    (0.40, Action::Kill("TransformFunction")),
    (0.50, Action::Split("ReadingsStream")),
    (0.60, Action::Kill("MovingAverageFunction")),
    (0.70, Action::Kill("ArchiverFunction")),
];

#[derive(Clone, Copy, Debug)]
enum Action {
    Split(&'static str),
    Kill(&'static str),
}

/// The physical names of what the template made.
struct Names {
    ingest: String,
    readings: String,
    lake: String,
    heads: String,
    letters: String,
    registry: String,
    results: String,
}

impl Names {
    fn of(stack: &Stack) -> Result<Self> {
        Ok(Self {
            ingest: stack.physical_id("IngestStream")?,
            readings: stack.physical_id("ReadingsStream")?,
            lake: stack.physical_id("LakeBucket")?,
            heads: stack.physical_id("HeadsTable")?,
            letters: stack.physical_id("DeadLetterBucket")?,
            registry: stack.physical_id("RegistryTable")?,
            results: stack.physical_id("ResultsTable")?,
        })
    }
}

/// Runs the demo on `stack`, which is up and empty.
pub async fn run(stack: &Stack, options: &Options, progress: &impl Progress) -> Result<Report> {
    let config = stack.sdk_config();
    let names = Names::of(stack)?;
    let mut fleet = Fleet::new(Settings { seed: options.seed, devices: options.devices });
    progress.stage("putting profiles and devices into the registry");
    registry::fill(&config, &names.registry, fleet.registrations()).await?;
    let windows =
        Windows::new(registry::PROFILES, fleet.registrations().map(|it| (it.device.clone(), it.profile.to_owned())))?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let tidy = fleet.registrations().filter(|it| it.is_tidy && it.profile != "app-log").map(|it| it.device.clone());
    let (stop, stopped) = watch::channel(false);
    let watching =
        tokio::spawn(Seen::watch(dynamodb.clone(), names.results.clone(), tidy.collect::<Vec<_>>(), stopped));

    progress.stage("sending");
    let started = Instant::now();
    let started_ms = SystemClock.now_ms();
    let (sending, disturbances, cast) = tokio::join!(
        send(stack, options, &mut fleet, progress),
        disturbances(stack, options, started, progress),
        presence::play(stack, options.duration)
    );
    let (sent, mut traffic, sending_seconds) = sending?;
    let (disturbances, cast) = (disturbances?, cast?);
    for message in sent.iter().filter(|message| message.planned.repeats.is_none()) {
        if let Some(mishap) = message.planned.mishap {
            *traffic.mishaps.entry(mishap).or_default() += 1;
        }
    }
    progress.stage("waiting until nothing is left to do");
    let drain_seconds = quiet(stack, progress).await?;
    stop.send_replace(true);
    let seen = watching.await.context("the watch over the results stopped")?;

    progress.stage("looking who is connected, and who is silent");
    let presence = presence::look(stack, &cast).await?;
    progress.stage("reading everything back");
    let kinesis = aws_sdk_kinesis::Client::new(&config);
    let s3 = aws_sdk_s3::Client::new(&config);
    let (ingest, readings, letters, results) = tokio::try_join!(
        stream::read(&kinesis, &names.ingest),
        stream::read(&kinesis, &names.readings),
        letters::read(&s3, &names.letters, DEAD_LETTERS),
        results::scan(&dynamodb, &names.results),
    )?;
    progress.stage("auditing the lake");
    let audit = Box::pin(audit_lake(stack, started_ms)).await?;
    let evidence = Evidence {
        sent,
        stream: ingest.records,
        audit,
        readings: readings.records,
        readings_ranges: readings.ranges,
        letters,
        results,
    };
    progress.stage("comparing");
    let latency = latency::measure(&evidence.sent, &evidence.readings, &seen)?;
    let mut verdict = verify(&evidence, &windows);
    verdict.broken.extend(presence.broken());
    let throughput = Throughput {
        sending_seconds,
        messages_per_second: evidence.sent.len() as f64 / sending_seconds,
        readings_per_second: verdict.readings.right as f64 / sending_seconds,
        drain_seconds,
    };
    Ok(Report {
        ok: verdict.broken.is_empty(),
        seed: options.seed,
        devices: options.devices,
        traffic,
        disturbances,
        verdict,
        presence,
        burst: None,
        audit: evidence.audit,
        throughput,
        latency,
        where_next: Vec::new(),
    })
}

/// Audits the lake as `myaku archive audit` does. Nothing is left to do, so everything must be in it.
pub(super) async fn audit_lake(stack: &Stack, started_ms: i64) -> Result<audit::Report> {
    let (config, names) = (&stack.sdk_config(), Names::of(stack)?);
    let options = audit::Options {
        stream: names.ingest.clone(),
        hours: Hour::of(started_ms - CLOCK_MS)..=Hour::of(SystemClock.now_ms() + CLOCK_MS),
        archived_ms: i64::MAX,
        held_since_ms: 0,
        concurrency: AUDIT_CONCURRENCY,
    };
    let lake = S3Lake::new(config, &names.lake);
    let heads = DynamoDbHeads::new(config, &names.heads);
    let source = KinesisSource::new(config, &names.ingest);
    audit::audit(&lake, &heads, Some(&source), &options, &ProgressBar::hidden()).await
}

/// Sends at the rate that was asked for. What was sent, how, and for how many seconds.
async fn send(
    stack: &Stack,
    options: &Options,
    fleet: &mut Fleet,
    progress: &impl Progress,
) -> Result<(Vec<Sent>, Traffic, f64)> {
    let broker = stack.endpoints().mqtt;
    let stream = stack.physical_id("IngestStream")?;
    let api = api(stack, fleet)?;
    let broker = (broker.ip().to_string(), broker.port());
    let sender = Sender::connect(broker, CONNECTIONS, &stack.sdk_config(), &stream, Some(&api)).await?;
    let total = (options.rate * options.duration.as_secs_f64()).round() as usize;
    let mut sent = Vec::with_capacity(total);
    let mut traffic = Traffic::default();
    let started = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    while sent.len() < total {
        ticks.tick().await;
        let due = (started.elapsed().as_secs_f64() * options.rate) as usize;
        while sent.len() < due.min(total) {
            let now_ms = SystemClock.now_ms();
            let message = fleet.next(now_ms);
            traffic.count(message.route);
            sender.send(&message).await.context("the traffic cannot be sent")?;
            sent.push(Sent::new(message, now_ms));
        }
        progress.sent(sent.len(), total, stack.mapping_status().iter().map(|mapping| mapping.lag).sum());
    }
    let seconds = started.elapsed().as_secs_f64();
    let settled = sender.settle(SETTLE).await?;
    traffic.acknowledged = settled.acknowledged;
    traffic.given_up = settled.failed.len();
    traffic.http_again = settled.http_again;
    traffic.batches = settled.batches;
    traffic.batches_again = settled.batches_again;
    traffic.dropped = stack.messages_dropped();
    Ok((sent, traffic, seconds))
}

/// The HTTP API with a token for all facilities of the fleet.
fn api(stack: &Stack, fleet: &Fleet) -> Result<Api> {
    let base = stack.endpoints().http.context("the template has no HTTP API")?;
    let issuer = stack.issuer().context("the template takes no tokens")?;
    let facilities: BTreeSet<&str> = fleet.registrations().map(|it| it.facility.as_str()).collect();
    let claim = |name: &str, default: &str| stack.parameter(name).unwrap_or(default).to_owned();
    let claims = serde_json::Map::from_iter([
        ("sub".to_owned(), serde_json::json!("fleet")),
        ("aud".to_owned(), serde_json::json!(claim("JwtAudience", "myaku"))),
        (claim("FacilitiesClaim", "facilities"), serde_json::json!(facilities)),
    ]);
    let token = Some(issuer.token(claims)?);
    Ok(Api { url: format!("{base}/v1/messages"), token, items: HTTP_ITEMS, lose_every: ANSWERS_PER_LOSS })
}

/// Carries out the plan of disturbances.
async fn disturbances(
    stack: &Stack,
    options: &Options,
    started: Instant,
    progress: &impl Progress,
) -> Result<Vec<Disturbance>> {
    let kinesis = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let mut done = Vec::new();
    for (part, action) in PLAN {
        tokio::time::sleep_until(started + options.duration.mul_f64(part)).await;
        let after_ms = started.elapsed().as_millis() as u64;
        let what = match action {
            Action::Split(stream) => disturb::split(&kinesis, &stack.physical_id(stream)?).await?,
            Action::Kill(name) => disturb::kill(name, &stack.function(name)?),
        };
        progress.event(&what);
        done.push(Disturbance { after_ms, what });
    }
    Ok(done)
}

/// Waits until no mapping has anything left to do. How many seconds that took.
async fn quiet(stack: &Stack, progress: &impl Progress) -> Result<f64> {
    let started = Instant::now();
    let mut quiet_since = started;
    let mut looks = 0;
    while looks < QUIET_LOOKS {
        let status = stack.mapping_status();
        if status.iter().all(|mapping| mapping.idle && mapping.lag == 0) && stack.asynchronous_pending() == 0 {
            looks += 1;
        } else {
            looks = 0;
            quiet_since = Instant::now();
            if started.elapsed() > QUIET {
                progress.event(&format!("gave up waiting: {status:?}"));
                break;
            }
        }
        tokio::time::sleep(QUIET_TICK).await;
    }
    Ok(quiet_since.duration_since(started).as_secs_f64())
}
