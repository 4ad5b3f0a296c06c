//! The plan that a seed decides before a run: the workload, what happens to the platform meanwhile, and how often calls
//! fail.
//!
//! A plan is a list of steps, so that it can be shrunk while it still fails.

use myaku_local::event_source::StartingPosition;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::fmt;
use std::time::Duration;

/// 2026-11-21T03:50:00Z: ten minutes before the lake's next hour.
pub(crate) const START_MS: i64 = 1_795_233_000_000;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    Archiver,
    Transform,
    MovingAverage,
}

impl Function {
    pub(crate) const ALL: [Self; 3] = [Self::Archiver, Self::Transform, Self::MovingAverage];
}

/// The streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    Ingest,
    Readings,
}

impl Stream {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Readings => "readings",
        }
    }
}

/// The services behind the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    S3,
    DynamoDb,
    Redis,
    Kinesis,
}

/// What is put on `ingest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    /// The device's message with this number. A repeated number is a device that sends again.
    Message { device: u8, number: u8 },
    /// A message of an unknown device.
    Stranger,
    /// A message whose payload is in no format of its profile.
    Undecodable { device: u8 },
    /// A record that is not a message.
    Garbage,
    /// A line of a source whose records go to the lake only.
    Line,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Puts a record on `ingest`, an aggregate if it has several contents. The stream's clock is off by `clock_off_ms`.
    Put {
        contents: Vec<Content>,
        clock_off_ms: i64,
    },
    /// Puts a record that is not a reading on `readings`.
    PutNoReading,
    Wait(u64),
    Split(Stream, u8),
    Merge(Stream, u8),
    /// Redis loses everything.
    LoseStates,
    /// Redis loses what was written since the last [`Step::SaveStates`].
    LoseLastStates,
    /// The same, but only in the slot of one device.
    LoseLastStatesOf(u8),
    /// Redis evicts the state of one device, and keeps the fences of its slot.
    Evict(u8),
    SaveStates,
    /// Another server of Redis becomes the primary, with what was written until the last [`Step::SaveStates`]. The old one still
    /// serves some calls.
    SplitBrain,
    EndSplitBrain,
    LoseHeads,
    /// A service refuses every call for this many milliseconds.
    Outage(Service, u64),
    /// A second mapping of a function begins.
    SecondMapping(Function, StartingPosition),
    /// The poller of a function dies. Another one continues at the same position or, if `back`, from an older copy of
    /// its progress.
    CrashPoller {
        function: Function,
        back: bool,
    },
    SaveProgress(Function),
    /// A batch in the on-failure destination is sent again, while everything else continues.
    Replay,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The settings of one mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MappingSettings {
    pub(crate) batch_size: usize,
    pub(crate) window_s: u64,
    pub(crate) bisect: bool,
    pub(crate) max_retries: Option<u32>,
}

/// Everything that a seed decides before a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How many of a thousand calls go wrong.
    pub(crate) trouble: u32,
    /// How many of a hundred timed-out invocations continue as zombies.
    pub(crate) zombies: u32,
    pub(crate) gzip: bool,
    pub(crate) shards: [usize; 2],
    pub(crate) mappings: [MappingSettings; 3],
    /// How many devices the moving average processes together.
    pub(crate) group: usize,
    /// How long a device's latest row waits for more readings.
    pub(crate) results_interval: Duration,
    pub(crate) steps: Vec<Step>,
}

/// The devices that are registered; each has two metrics with different windows. The first and the last are of one slot.
const DEVICE_IDS: [&str; DEVICES as usize] = ["device-0", "device-1", "device-16"];
/// How many they are.
pub(crate) const DEVICES: u8 = 3;
/// The most messages of one device. Each has its own power of two as its value, and a double is exact up to 53 of them.
pub(crate) const NUMBERS: u8 = 40;
/// Messages of each device beyond these, with which windows are filled again after a loss.
pub(crate) const REFILL: u8 = 8;

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let trouble = *[0, 10, 40, 80, 150].choose(&mut rng).unwrap_or(&0);
        let discards = rng.random_ratio(1, 3);
        let losses = rng.random_ratio(1, 2);
        let averages_discard = discards && rng.random_ratio(1, 3);
        let mapping = |rng: &mut StdRng, discards: bool| MappingSettings {
            batch_size: rng.random_range(1..=12),
            window_s: rng.random_range(0..3),
            bisect: rng.random(),
            max_retries: discards.then(|| rng.random_range(0..4)),
        };
        let mut plan = Self {
            seed,
            trouble,
            zombies: *[0, 50, 100].choose(&mut rng).unwrap_or(&0),
            gzip: rng.random_ratio(1, 8),
            shards: [rng.random_range(1..=2), rng.random_range(1..=2)],
            mappings: [mapping(&mut rng, discards), mapping(&mut rng, discards), mapping(&mut rng, averages_discard)],
            group: group(seed),
            results_interval: Duration::from_secs(*[0, 0, 2, 30].choose(&mut rng).unwrap_or(&0)),
            steps: Vec::new(),
        };
        let reshards = rng.random_ratio(1, 3);
        let mut sent = Sent::default();
        for _ in 0..rng.random_range(10..90) {
            let step = step(&mut rng, &mut sent, reshards, losses);
            plan.steps.push(step);
        }
        plan
    }
}

/// All devices together, except for every fifth seed, so that the recorded seeds keep their meaning.
fn group(seed: u64) -> usize {
    match seed % 10 {
        0 => 1,
        5 => 2,
        _ => DEVICES.into(),
    }
}

/// The numbers that the devices have used.
#[derive(Default)]
struct Sent([u8; DEVICES as usize]);

fn step(rng: &mut StdRng, sent: &mut Sent, reshards: bool, losses: bool) -> Step {
    let stream = if rng.random() { Stream::Ingest } else { Stream::Readings };
    let function = *Function::ALL.choose(rng).unwrap_or(&Function::Archiver);
    match rng.random_range(0..100) {
        0..2 => Step::PutNoReading,
        2..30 => Step::Wait(*[1, 50, 400, 2_000, 9_000].choose(rng).unwrap_or(&1)),
        30..33 if reshards => Step::Split(stream, rng.random()),
        33..35 if reshards => Step::Merge(stream, rng.random()),
        35 if losses => Step::LoseStates,
        36 if losses => Step::LoseLastStates,
        37 | 48..50 if losses => Step::SaveStates,
        45 if losses => Step::LoseLastStatesOf(rng.random_range(0..DEVICES)),
        46 if losses => Step::SplitBrain,
        50 if losses => Step::Evict(rng.random_range(0..DEVICES)),
        47 if losses => Step::EndSplitBrain,
        38 => Step::LoseHeads,
        39 => {
            let service = [Service::S3, Service::DynamoDb, Service::Redis, Service::Kinesis];
            Step::Outage(*service.choose(rng).unwrap_or(&Service::S3), rng.random_range(100..20_000))
        }
        40 => Step::SecondMapping(
            function,
            match rng.random_range(0..3) {
                0 => StartingPosition::TrimHorizon,
                1 => StartingPosition::Latest,
                _ => StartingPosition::AtTimestamp(START_MS + rng.random_range(0..60_000)),
            },
        ),
        41..43 => Step::CrashPoller { function, back: rng.random() },
        43 => Step::SaveProgress(function),
        44 => Step::Replay,
        _ => put(rng, sent),
    }
}

fn put(rng: &mut StdRng, sent: &mut Sent) -> Step {
    let contents = match rng.random_range(0..4) {
        0 => rng.random_range(2..5),
        _ => 1,
    };
    let contents = (0..contents).map(|_| content(rng, sent)).collect();
    // The stream's clock sometimes goes back, also across the change of the hour.
    let clock_off_ms = if rng.random_ratio(1, 4) { rng.random_range(-20_000..20_000) } else { 0 };
    Step::Put { contents, clock_off_ms: clock_off_ms + if rng.random_ratio(1, 3) { 590_000 } else { 0 } }
}

fn content(rng: &mut StdRng, sent: &mut Sent) -> Content {
    let device = rng.random_range(0..DEVICES);
    let used = &mut sent.0[usize::from(device)];
    match rng.random_range(0..20) {
        0 => Content::Stranger,
        1 => Content::Undecodable { device },
        2 => Content::Garbage,
        3 => Content::Line,
        4..7 if *used > 0 => Content::Message { device, number: rng.random_range(0..*used) },
        _ if *used < NUMBERS => {
            *used += 1;
            Content::Message { device, number: *used - 1 }
        }
        _ => Content::Garbage,
    }
}

/// The id of a device.
pub(crate) const fn device_id(number: u8) -> &'static str {
    DEVICE_IDS[number as usize]
}

/// The device with this id.
pub(crate) fn device_number(id: &str) -> Option<u8> {
    (0..DEVICES).find(|number| device_id(*number) == id)
}

/// Whether the second value of the messages with this number lies outside its range.
pub(crate) const fn is_out_of_range(number: u8) -> bool {
    number % 9 == 7
}

/// The device's own time of a message, in milliseconds since the epoch. It is unique for each number, and can go back.
pub(crate) fn device_time_ms(device: u8, number: u8) -> i64 {
    let refills = number >= NUMBERS;
    let number = i64::from(number);
    if refills {
        return START_MS + number * 10_000;
    }
    // 7 seconds apart, shuffled over a minute, and each with its own millisecond.
    let shuffled = (number * 37 + i64::from(device) * 11) % 61;
    START_MS - 600_000 + number * 7_000 + shuffled * 1_000 + number
}
