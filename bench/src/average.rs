//! The moving average compared with its limits: 10,000 readings of 1,000 devices, on a Redis server of its own.
//!
//! Each of the [`cases`] starts a server on a free port and fills the windows. Then it runs *ours* and *raw*
//! alternately, so that other work on the machine affects both alike:
//!
//! - *ours*: the handler, from the event's bytes to the committed states. The event has KPL aggregates as *transform*
//!   makes them. Master data is in the registry's memory, as in a warm function. The tables of results and
//!   of progress answer at once, because DynamoDB is not measured. Each round has another event.
//! - *raw*: reads all states by one pipeline of `GET`, and writes them back by one of `SET … EX`, through the same
//!   client.
//! - *naive*: `GET`, JSON and `SET` for each reading, from the same bytes.
//!
//! Redis is a separate process, so there are two clocks: time on the wall clock, and the CPU time of both processes
//! from `/proc/<pid>/schedstat`. Times are wall-clock times unless a name says otherwise.

use crate::functions::average::OneShard;
use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::alert::MemoryReporter;
use myaku::device::event_time::ClockSource;
use myaku::device::profile::ProfileDocument;
use myaku::device::reading::{Quality, Reading, Value};
use myaku::device::registry::{Device, MemoryMasterData, Registry};
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::redis::RedisStates;
use myaku::keyed::{Context, GROUP, Limits, Ports, Shards, handle};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::ManualClock;
use myaku::platform::errors::RemoteError;
use myaku::platform::redis::{Connection, Settings};
use myaku::results::{Mark, Results, Row};
use myaku::stream::answer::Answer;
use myaku::stream::batch::Batch;
use myaku::stream::kpl::Builder;
use myaku::window::{DeviceState, MovingAverage};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use redis::aio::MultiplexedConnection;
use serde_json::json;
use std::collections::VecDeque;
use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATH: &str = "moving average, 10,000 readings of 1,000 devices, real Redis";
const OVER_RAW: &str = "moving average ÷ raw GET and SET";
const NAIVE_OVER: &str = "GET, JSON, SET for each reading ÷ moving average";
const DEVICES: usize = 1_000;
/// Readings of each device in one event.
const READINGS: usize = 10;
const WINDOW: usize = 20;
/// The size of an aggregate, as *transform* makes it.
const AGGREGATE_BYTES: usize = 100 * 1024;
const SHARD: &str = "shardId-000000000000";
const FIRST_MS: i64 = 1_795_218_892_000;
/// The time between two readings of a device, in milliseconds.
const STEP_MS: i64 = 10_000;
const TTL: Duration = Duration::from_hours(24);
/// Measured rounds, after [`WARM_UP`] rounds that do not count.
const ROUNDS: usize = 41;
const WARM_UP: usize = 5;
/// Rounds of the naive way, each of which takes a hundred times as long.
const NAIVE_ROUNDS: usize = 5;

const RAW_LIMIT: &str = "The function's own time is the limit. The server works at the same time, because groups of a hundred devices overlap; groups of 50 to 200 give the same ratio, and all devices at once gave 4.8. The function does work that raw does not: it reads the event, verifies checksums, adds ten readings of each device to their windows, makes rows, and computes and verifies the digest of each state. The server takes twice as long as for raw: the script, which reads the head of each state before it sets the state, takes 3.3 µs a state, 1.2 of them for the arguments alone. MGET in the script, SET with GET, and all versions in one argument gave the same within a tenth.";
const NAIVE_LIMIT: &str = "On the loopback a round trip is cheap: 20,000 of them take 150 times as long as raw's pipelines. So a bar of 60 leaves 2.5 times raw's time for all the work, and the server alone takes half of that. With half a millisecond for a round trip, as between Lambda and a cache, the naive way takes ten seconds more, and ours one millisecond.";

/// The ratio of two ways' figures.
#[derive(Clone, Debug)]
struct Ratio {
    /// The two ways.
    name: &'static str,
    /// The lower quartile, the median and the upper quartile of the rounds.
    quartiles: [f64; 3],
    /// The medians of both, in milliseconds.
    medians_ms: [f64; 2],
}

/// The time that a piece of work took, in seconds.
#[derive(Clone, Copy, Debug)]
struct Spent {
    wall: f64,
    /// CPU time of this process and of the server, if the system reports it.
    cpu: Option<[f64; 2]>,
}

/// The rows of the table.
pub(crate) fn cases() -> Vec<Case> {
    let case = |name, measured_as, bar, limit, ratio| {
        Case::new(name, (PATH, measured_as), (Unit::Times, bar), limit, move |_| row(ratio))
    };
    let over_raw = "time ÷ raw pipelined GET and SET of the same keys and sizes";
    let naive_over = "readings/s ÷ those of GET, JSON, SET per record";
    vec![
        case("average/raw", over_raw, Bar::AtMost(4.0), RAW_LIMIT, OVER_RAW),
        case("average/naive", naive_over, Bar::AtLeast(60.0), NAIVE_LIMIT, NAIVE_OVER),
    ]
}

/// The ratio `name` for the table, with the others in the detail.
fn row(name: &str) -> anyhow::Result<Measured> {
    let ratios = measure().map_err(|error| anyhow::anyhow!("{error}"))?;
    let ratio = ratios
        .iter()
        .find(|ratio| ratio.name == name)
        .with_context(|| format!("the system does not report the ratio {name}"))?;
    let [low, median, high] = ratio.quartiles;
    let [this, that] = ratio.medians_ms;
    let others = ratios.iter().map(|ratio| format!("{} {:.2}", ratio.name, ratio.quartiles[1])).collect::<Vec<_>>();
    let detail = format!("{this:.2} ms against {that:.2} ms; in the same run: {}", others.join("; "));
    Ok(Measured { value: Spread { low, median, high }, detail })
}

/// Measures all ratios, which takes about ten seconds.
fn measure() -> Result<Vec<Ratio>, Box<dyn Error>> {
    let server = Server::start()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&server))
}

async fn run(server: &Server) -> Result<Vec<Ratio>, Box<dyn Error>> {
    let mut client = server.client().await?;
    let sdk = aws_config::SdkConfig::builder().build();
    let connection = Connection::connect(&Settings::node(&server.url())?, &sdk).await?;
    let context = Context::<RealRedis> {
        settings: registry()?,
        shards: Shards::new(OneShard(SHARD)),
        progress: MemoryProgress::default(),
        states: RedisStates::new(connection, TTL),
        results: AcceptingTable,
        findings: None,
        letters: MemoryDeadLetters::new(),
        clock: ManualClock::at(FIRST_MS),
        limits: Limits { results_interval: Duration::ZERO, history_ttl: TTL, group: GROUP },
    };
    let mut source = Source::new(7);
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let event = source.event();
        let started = server.clock();
        let batch = Batch::from_event(event)?;
        let answer = handle(&context, &batch, i64::MAX).await;
        let spent = server.since(started);
        drop(batch);
        if answer != Answer::DONE || context.letters.puts() > 0 {
            return Err("the handler rejected some readings".into());
        }
        let started = server.clock();
        get_and_set(&mut client).await?;
        let raw_spent = server.since(started);
        if round >= WARM_UP {
            ours.push(spent);
            raw.push(raw_spent);
        }
    }
    let mut naive = Vec::new();
    for _ in 0..NAIVE_ROUNDS {
        let event = source.event();
        let started = server.clock();
        one_by_one(&mut client, &Batch::from_event(event)?).await?;
        naive.push(server.since(started));
    }
    let cpu = |process: usize| move |spent: &Spent| spent.cpu.map(|cpu| cpu[process]);
    let wall = |spent: &Spent| Some(spent.wall);
    let ratios = [
        ratio(OVER_RAW, &ours, &raw, wall),
        ratio("in CPU time", &ours, &raw, |spent| spent.cpu.map(|cpu| cpu[0] + cpu[1])),
        ratio("in the function's CPU time", &ours, &raw, cpu(0)),
        ratio("in the server's CPU time", &ours, &raw, cpu(1)),
        ratio(NAIVE_OVER, &naive, &ours, wall),
    ];
    Ok(ratios.into_iter().flatten().collect())
}

/// `ours` divided by `theirs`, round by round; `None` if the system does not report the time.
fn ratio(name: &'static str, ours: &[Spent], theirs: &[Spent], of: impl Fn(&Spent) -> Option<f64>) -> Option<Ratio> {
    let pairs: Vec<(f64, f64)> = ours.iter().zip(theirs).filter_map(|(this, that)| of(this).zip(of(that))).collect();
    let medians = [quartiles(pairs.iter().map(|pair| pair.0)), quartiles(pairs.iter().map(|pair| pair.1))];
    (!pairs.is_empty()).then(|| Ratio {
        name,
        quartiles: quartiles(pairs.iter().map(|(this, that)| this / that)),
        medians_ms: medians.map(|[_, median, _]| median * 1e3),
    })
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|part| values.get(values.len().saturating_sub(1) * part / 4).copied().unwrap_or(f64::NAN))
}

/// *Raw*, the floor: reads and writes back all states, pipelined.
async fn get_and_set(client: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    let mut get = redis::Pipeline::with_capacity(DEVICES);
    let keys: Vec<String> = (0..DEVICES).map(|device| RedisStates::<DeviceState>::key(&name(device))).collect();
    for key in &keys {
        get.get(key);
    }
    let values: Vec<Vec<u8>> = get.query_async(client).await?;
    let mut set = redis::Pipeline::with_capacity(DEVICES);
    for (key, value) in keys.iter().zip(&values) {
        set.cmd("SET").arg(key).arg(value).arg("EX").arg(TTL.as_secs()).ignore();
    }
    set.query_async(client).await
}

/// *Naive*, as examples often show it: reads and writes the window, a JSON array under the device's key, for each
/// reading.
async fn one_by_one(client: &mut MultiplexedConnection, batch: &Batch) -> Result<(), Box<dyn Error>> {
    for record in batch.user_records() {
        let reading = Reading::parse(record.data)?;
        let Value::Number(value) = reading.value else { continue };
        let key = format!("naive:{}", reading.device_id);
        let stored: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(client).await?;
        let mut window: VecDeque<f64> = stored.map_or(Ok(VecDeque::new()), |json| serde_json::from_slice(&json))?;
        window.push_back(value);
        if window.len() > WINDOW {
            window.pop_front();
        }
        std::hint::black_box(window.iter().sum::<f64>() / window.len() as f64);
        let json = serde_json::to_vec(&window)?;
        let () = redis::cmd("SET").arg(&key).arg(json).query_async(client).await?;
    }
    Ok(())
}

fn name(device: usize) -> String {
    format!("band-{device:05}")
}

fn registry() -> Result<Registry<MemoryMasterData, ManualClock>, Box<dyn Error>> {
    let profile: ProfileDocument = serde_json::from_value(json!({
        "id": "band",
        "metrics": { "heart_rate": { "unit": "1/min", "window": { "last": WINDOW } } },
        "versions": [{ "name": "1", "format": "json", "fields": [{ "metric": "heart_rate", "from": "hr" }] }],
    }))?;
    let data = MemoryMasterData::new();
    data.put_profile(&profile);
    for device in 0..DEVICES {
        data.put_device(&Device::new(name(device), &profile.id, None));
    }
    Ok(Registry::new(data, ManualClock::at(FIRST_MS), Duration::from_secs(30)))
}

/// A table that accepts every row.
struct AcceptingTable;

/// The ports that are measured: real Redis, and a table of results that answers at once.
struct RealRedis;

impl Ports for RealRedis {
    type Rule = MovingAverage;
    type Settings = Registry<MemoryMasterData, ManualClock>;
    type Shards = OneShard;
    type Progress = MemoryProgress;
    type States = RedisStates<DeviceState>;
    type Results = AcceptingTable;
    type Findings = Option<MemoryReporter>;
    type Letters = MemoryDeadLetters;
    type Clock = ManualClock;
}

impl Results for AcceptingTable {
    async fn write(&self, rows: &[Row]) -> Result<(), RemoteError> {
        std::hint::black_box(rows);
        Ok(())
    }

    async fn latest_mark(&self, _: &str) -> Result<Option<Mark>, RemoteError> {
        Ok(None)
    }
}

/// Events from a seed; each continues where the one before ended.
struct Source {
    random: StdRng,
    devices: Vec<usize>,
    sent: usize,
    sequence: u64,
}

impl Source {
    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), devices: (0..DEVICES).collect(), sent: 0, sequence: 0 }
    }

    /// The next event.
    fn event(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut builder = Builder::new();
        for _ in 0..READINGS {
            self.devices.shuffle(&mut self.random);
            for &device in &self.devices {
                let (key, reading) = (name(device), reading(&name(device), self.sent, &mut self.random));
                if !builder.fits(&key, &reading, AGGREGATE_BYTES) {
                    self.sequence += 1;
                    records.push(record(self.sequence, &std::mem::take(&mut builder).finish()));
                }
                builder.push(&key, None, &reading);
            }
            self.sent += 1;
        }
        self.sequence += 1;
        records.push(record(self.sequence, &builder.finish()));
        json!({ "Records": records }).to_string().into_bytes()
    }
}

fn reading(device: &str, n: usize, random: &mut StdRng) -> Vec<u8> {
    let at = FIRST_MS + n as i64 * STEP_MS + random.random_range(0..1_000);
    let reading = Reading {
        id: format!("{device}/{:016x}#0", random.random::<u64>()),
        device_id: device.to_owned(),
        facility: "home-3".to_owned(),
        metric: "heart_rate".to_owned(),
        value: Value::Number(f64::from(random.random_range(450..1_200_u32)) / 10.0),
        unit: "1/min".to_owned(),
        at,
        clock: ClockSource::Device,
        received_at: at + random.random_range(50..2_000),
        quality: Quality::Good,
    };
    reading.to_json().unwrap_or_default()
}

fn record(sequence: u64, data: &[u8]) -> serde_json::Value {
    let sequence = format!("49545115243490985018280067714973144582{sequence:018}");
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "a", "sequenceNumber": sequence, "data": STANDARD.encode(data),
            "approximateArrivalTimestamp": FIRST_MS as f64 / 1e3,
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("{SHARD}:{sequence}"),
        "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::123456789012:role/myaku",
        "awsRegion": "eu-west-1", "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/readings",
    })
}

/// A Redis server of this program, which ends when it is dropped.
struct Server {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let directory = tempfile::tempdir()?;
        let spawn = |program| {
            Command::new(program)
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
                .current_dir(&directory)
                .stdout(Stdio::null())
                .spawn()
        };
        let process = spawn("redis-server").or_else(|_| spawn("valkey-server"));
        let process = process.context("cannot start redis-server or valkey-server; install one of them")?;
        Ok(Self { process, port, directory })
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Connects with the plain client, as soon as the server answers.
    async fn client(&self) -> Result<MultiplexedConnection, Box<dyn Error>> {
        let client = redis::Client::open(self.url())?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn clock(&self) -> (Instant, Option<[f64; 2]>) {
        let cpu = cpu_seconds("self").zip(cpu_seconds(&self.process.id().to_string()));
        (Instant::now(), cpu.map(|(own, servers)| [own, servers]))
    }

    fn since(&self, (started, before): (Instant, Option<[f64; 2]>)) -> Spent {
        let wall = started.elapsed().as_secs_f64();
        let cpu = self.clock().1.zip(before).map(|(now, before)| [now[0] - before[0], now[1] - before[1]]);
        Spent { wall, cpu }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The CPU time of a process's first thread, which does all of its work, in seconds.
fn cpu_seconds(process: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
