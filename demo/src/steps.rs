//! The steps of a run, for the demo and for tests that disturb a run in other ways.

use super::evidence::{Evidence, letters, results, stream};
use super::options::Options;
use super::progress::Progress;
use super::registry;
use super::routes::Traffic;
use super::verify::Windows;
use crate::traffic::SentMessage;
use crate::traffic::send::{Api, Sender};
use crate::traffic::{Fleet, Settings};
use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use myaku::lake::archive::{DynamoDbHeads, Hour, S3Lake};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::source::kinesis::KinesisSource;
use myaku_local::stack::Stack;
use myaku_operator::audit;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// MQTT connections; the fleet's devices are spread over them.
const CONNECTIONS: usize = 8;
/// Items of a request over HTTP, at most.
const HTTP_ITEMS: usize = 5;
/// One of this many HTTP answers is lost, so that its request is sent again.
const ANSWERS_PER_LOSS: usize = 10;
/// How often messages that are due are sent.
const TICK: Duration = Duration::from_millis(10);
/// How long acknowledgements may take: a request with all its retries takes most of a minute by itself.
const SETTLE: Duration = Duration::from_mins(3);
/// How long the functions may take to finish.
const QUIET: Duration = Duration::from_mins(3);
/// How many checks in a row must find nothing left to do: what one mapping has just finished, another one has still to
/// read.
const QUIET_CHECKS: u32 = 6;
const QUIET_TICK: Duration = Duration::from_millis(500);
/// Objects that the audit fetches in parallel.
const AUDIT_CONCURRENCY: usize = 16;
/// The prefix of dead letters in their bucket.
const DEAD_LETTERS: &str = "dead-letters/";

/// The physical names of the stack's resources.
struct Names {
    ingest: String,
    readings: String,
    lake: String,
    heads: String,
    letters: String,
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
            results: stack.physical_id("ResultsTable")?,
        })
    }
}

/// Puts the profiles and the devices of a new fleet into the registry. Returns the fleet and its windows.
pub async fn register(stack: &Stack, options: &Options) -> Result<(Fleet, Windows)> {
    let fleet = Fleet::new(Settings { seed: options.seed, devices: options.devices });
    registry::fill(&stack.sdk_config(), &stack.physical_id("RegistryTable")?, fleet.registrations()).await?;
    let profile_of = fleet.registrations().map(|it| (it.device.clone(), it.profile.to_owned()));
    let windows = Windows::new(registry::PROFILES, profile_of)?;
    Ok((fleet, windows))
}

/// Traffic that was sent.
#[derive(Debug)]
pub struct Sending {
    /// What was sent, in the order of sending.
    pub sent: Vec<SentMessage>,
    /// The counts by route, and what happened to the messages on their way in.
    pub traffic: Traffic,
    /// When sending began, in milliseconds since the epoch.
    pub started_ms: i64,
    /// How long sending took, in seconds.
    pub seconds: f64,
}

/// Sends at the rate and for the time of `options`, and continues until `is_over`. Then waits until every message is
/// acknowledged or given up.
pub async fn send(
    stack: &Stack,
    options: &Options,
    fleet: &mut Fleet,
    progress: &impl Progress,
    is_over: impl Fn() -> bool,
) -> Result<Sending> {
    let started_ms = SystemClock.now_ms();
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
    while sent.len() < total || !is_over() {
        ticks.tick().await;
        let due = (started.elapsed().as_secs_f64() * options.rate) as usize;
        let due = if is_over() { due.min(total) } else { due };
        while sent.len() < due {
            let now_ms = SystemClock.now_ms();
            let message = fleet.next(now_ms);
            traffic.count(message.route);
            sender.send(&message).await.context("cannot send the traffic")?;
            sent.push(SentMessage::new(message, now_ms));
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
    for message in sent.iter().filter(|message| message.planned.repeats.is_none()) {
        if let Some(mishap) = message.planned.mishap {
            *traffic.mishaps.entry(mishap).or_default() += 1;
        }
    }
    Ok(Sending { sent, traffic, started_ms, seconds })
}

/// The HTTP API with a token for all facilities of the fleet.
fn api(stack: &Stack, fleet: &Fleet) -> Result<Api> {
    let base = stack.endpoints().http.context("the template has no HTTP API")?;
    let issuer = stack.issuer().context("the template has no JWT authorizer, so no token can be issued")?;
    let facilities: BTreeSet<&str> = fleet.registrations().map(|it| it.facility.as_str()).collect();
    let claim = |name: &str, default: &str| stack.parameter(name).unwrap_or(default).to_owned();
    let claims = serde_json::Map::from_iter([
        ("sub".to_owned(), serde_json::json!("fleet")),
        ("aud".to_owned(), serde_json::json!(claim("JwtAudience", "myaku"))),
        (claim("FacilitiesClaim", "facilities"), serde_json::json!(facilities)),
        (claim("AppClaim", "scope"), serde_json::json!(claim("AppRole", "myaku/app"))),
    ]);
    let token = Some(issuer.token(claims)?);
    Ok(Api { url: format!("{base}/v1/messages"), token, items: HTTP_ITEMS, lose_every: ANSWERS_PER_LOSS })
}

/// Waits until every rule and every function has finished. Returns how many seconds that took.
pub async fn quiet(stack: &Stack) -> Result<f64> {
    let started = Instant::now();
    let mut quiet_since = started;
    let mut idle_checks = 0;
    while idle_checks < QUIET_CHECKS {
        let status = stack.mapping_status();
        let is_done = stack.rules_are_idle() && stack.asynchronous_pending() == 0;
        if is_done && status.iter().all(|mapping| mapping.idle && mapping.lag == 0) {
            idle_checks += 1;
        } else {
            idle_checks = 0;
            quiet_since = Instant::now();
            if started.elapsed() > QUIET {
                bail!("the functions did not finish within {} s: {status:?}", QUIET.as_secs());
            }
        }
        tokio::time::sleep(QUIET_TICK).await;
    }
    Ok(quiet_since.duration_since(started).as_secs_f64())
}

/// Reads back what the pipeline made of the messages `sent`, after every function has finished.
pub async fn gather(stack: &Stack, sent: Vec<SentMessage>, started_ms: i64) -> Result<Evidence> {
    let (config, names) = (stack.sdk_config(), Names::of(stack)?);
    let kinesis = aws_sdk_kinesis::Client::new(&config);
    let s3 = aws_sdk_s3::Client::new(&config);
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (ingest, readings, letters, results) = tokio::try_join!(
        stream::read(&kinesis, &names.ingest),
        stream::read(&kinesis, &names.readings),
        letters::read(&s3, &names.letters, DEAD_LETTERS),
        results::scan(&dynamodb, &names.results),
    )?;
    let audit = Box::pin(audit_lake(stack, started_ms)).await?;
    Ok(Evidence {
        sent,
        stream: ingest.records,
        audit,
        readings: readings.records,
        readings_ranges: readings.ranges,
        letters,
        results,
        results_lag_ms: results_lag_ms(stack)?,
        memory_lost: false,
    })
}

fn results_lag_ms(stack: &Stack) -> Result<i64> {
    let seconds: i64 = stack.parameter("ResultsSeconds").context("the template has no ResultsSeconds")?.parse()?;
    Ok(seconds * 1_000)
}

/// Audits the lake as `myaku archive audit` does. Every function has finished, so every record must be in it.
pub(super) async fn audit_lake(stack: &Stack, started_ms: i64) -> Result<audit::Report> {
    let (config, names) = (&stack.sdk_config(), Names::of(stack)?);
    let options = audit::Options {
        stream: names.ingest.clone(),
        hours: Hour::of(started_ms)..=Hour::of(SystemClock.now_ms()),
        archived_ms: i64::MAX,
        held_since_ms: 0,
        now_ms: SystemClock.now_ms(),
        sweep_max: usize::MAX,
        concurrency: AUDIT_CONCURRENCY,
    };
    let lake = S3Lake::new(config, &names.lake);
    let heads = DynamoDbHeads::new(config, &names.heads);
    let source = KinesisSource::new(config, &names.ingest);
    audit::audit(&lake, &heads, Some(&source), &options, &ProgressBar::hidden()).await
}
