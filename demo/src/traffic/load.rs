//! The reference mix at a steady rate: apps over HTTPS, sensors over MQTT, buildings through gateways' batches.
//!
//! The load is open: messages are due by the clock, whatever happens to earlier ones. A message that its client cannot
//! send in time waits in a queue of two seconds. A message that does not fit there is shed and counted; it does not
//! slow the clock. A latency counts from when the message was due, so it includes the waiting.

pub mod machine;
pub mod report;
pub mod verify;

use super::send::{Http, Mqtt, OnAcknowledged, OnOutcome, Request, RequestOutcome};
use super::{Family, Fleet, Planned, gateway};
use crate::fingerprint::Fingerprint;
use crate::traffic::SentMessage;
use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use myaku::platform::clock::{Now as _, SystemClock};
use report::Way;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often messages that are due are sent.
const TICK: Duration = Duration::from_millis(5);
/// The length of a family's queue, in seconds of its rate.
const QUEUE_SECONDS: f64 = 2.0;
/// How long a message waits for its gateway's batch to fill.
const LINGER: Duration = Duration::from_millis(500);
/// How long acknowledgements may take.
const SETTLE: Duration = Duration::from_mins(1);
/// The histogram measures latencies up to an hour, in microseconds, to three digits.
const LONGEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// The shares of the families in the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Of apps, over HTTPS.
    pub apps: f64,
    /// Of sensors of vital signs, over MQTT.
    pub sensors: f64,
    /// Of sensors of buildings, over MQTT through gateways.
    pub facility: f64,
}

impl Mix {
    /// The load of a care-home platform in its fifth year, in messages a second.
    pub const REFERENCE: Self = Self { apps: 3_000.0, sensors: 12_000.0, facility: 1_000.0 };

    /// The share of a family, from 0 to 1.
    fn part(&self, family: Family) -> f64 {
        let part = match family {
            Family::App => self.apps,
            Family::Sensor => self.sensors,
            Family::Facility => self.facility,
        };
        part / (self.apps + self.sensors + self.facility)
    }
}

/// The options of a load.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Messages in a second, of all families together.
    pub rate: f64,
    /// The shares of the families.
    pub mix: Mix,
    /// For how long messages are due.
    pub duration: Duration,
    /// Messages of a gateway's batch. With 1, sensors of buildings send for themselves, without batches.
    pub batch: usize,
}

/// The counts and latencies of one family.
#[derive(Debug)]
pub struct Tally {
    due: usize,
    acknowledged: usize,
    shed: usize,
    retries: usize,
    errors: BTreeMap<String, usize>,
    latency_us: Histogram<u64>,
}

impl Tally {
    fn acknowledge(&mut self, messages: usize, due: Instant) {
        self.acknowledged += messages;
        let took_us = due.elapsed().as_micros().min(u128::from(LONGEST_US)) as u64;
        // The value is within the bounds of the histogram, so this does not fail.
        let _ = self.latency_us.record_n(took_us.max(1), messages as u64);
    }
}

/// A tally that the clients of a family share.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    /// An empty tally.
    pub fn new() -> Result<Self> {
        let latency_us = Histogram::new_with_bounds(1, LONGEST_US, DIGITS)?;
        Ok(Self(Arc::new(Mutex::new(Tally {
            due: 0,
            acknowledged: 0,
            shed: 0,
            retries: 0,
            errors: BTreeMap::new(),
            latency_us,
        }))))
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The callback that counts acknowledgements over MQTT.
    pub fn of_mqtt(&self) -> OnAcknowledged {
        let tally = self.clone();
        Arc::new(move |messages, due| tally.lock().acknowledge(messages, due))
    }

    /// The callback that counts answers over HTTP.
    pub fn of_http(&self) -> OnOutcome {
        let tally = self.clone();
        Arc::new(move |requests, outcome| {
            let mut tally = tally.lock();
            match outcome {
                RequestOutcome::Accepted => requests.iter().for_each(|request| tally.acknowledge(1, request.due)),
                RequestOutcome::Retried(why) => {
                    tally.retries += requests.len();
                    *tally.errors.entry(format!("{why}, sent again")).or_default() += requests.len();
                }
                RequestOutcome::GivenUp(why) => {
                    *tally.errors.entry(format!("{why}, given up")).or_default() += requests.len();
                }
            }
        })
    }
}

/// The clients of the three families, and their tallies.
pub struct Ways {
    /// Those of apps; `None` without an HTTP API.
    pub apps: Option<(Http, Shared)>,
    /// Those of sensors.
    pub sensors: (Mqtt, Shared),
    /// Those of gateways.
    pub gateways: (Mqtt, Shared),
}

/// The result of a run.
pub struct Run {
    /// The numbers of each family, in the order of the mix.
    pub ways: Vec<Way>,
    /// For how many seconds messages were due.
    pub seconds: f64,
    /// The messages that the lake must have.
    pub sent: BTreeSet<Fingerprint>,
}

/// A publish in the queue of its client.
struct Publish {
    device: String,
    topic: String,
    payload: Vec<u8>,
    messages: usize,
    due: Instant,
}

/// Starts a task that publishes from a queue of `waiting` entries, one after another.
fn publisher(mqtt: Mqtt, waiting: usize) -> (Sender<Publish>, JoinHandle<Result<()>>) {
    let (queue, mut jobs) = channel::<Publish>(waiting.max(1));
    let task = tokio::spawn(async move {
        while let Some(Publish { device, topic, payload, messages, due }) = jobs.recv().await {
            mqtt.publish_as(&device, topic, payload, messages, due).await?;
        }
        mqtt.settle(SETTLE).await.map(drop)
    });
    (queue, task)
}

/// A gateway's batch that is not full yet.
struct OpenBatch {
    messages: Vec<Planned>,
    due: Instant,
}

/// Sends the load of `options`. Calls `progress` with the number of messages that were due so far.
pub async fn run(fleet: &mut Fleet, ways: Ways, options: &Options, progress: impl Fn(usize)) -> Result<Run> {
    let waiting = |family| (options.rate * options.mix.part(family) * QUEUE_SECONDS).ceil() as usize;
    let (sensors, sensing) = publisher(ways.sensors.0, waiting(Family::Sensor));
    let (gateways, gating) = publisher(ways.gateways.0, waiting(Family::Facility));
    let mut sent = BTreeSet::new();
    let mut due_of = [(Family::App, 0_usize), (Family::Sensor, 0), (Family::Facility, 0)];
    let mut filling = BTreeMap::<String, OpenBatch>::new();
    let mut batches = 0_usize;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        let passed = started.elapsed().min(options.duration);
        for (family, done) in &mut due_of {
            let rate = options.rate * options.mix.part(*family);
            let due = (passed.as_secs_f64() * rate) as usize;
            while *done < due {
                *done += 1;
                let due = started + Duration::from_secs_f64(*done as f64 / rate);
                let Some(message) = fleet.calm(*family, SystemClock.now_ms()) else { continue };
                let fingerprint = SentMessage::new(message.clone(), message.made_at_ms).fingerprint;
                let (tally, taken) = match family {
                    Family::App => {
                        let Some((http, tally)) = &ways.apps else { continue };
                        let request = Request { number: message.number, item: message.item(), due };
                        (tally, http.try_send(request).is_ok())
                    }
                    Family::Sensor => (&ways.sensors.1, sensors.try_send(single(message, due)).is_ok()),
                    Family::Facility if options.batch <= 1 => {
                        (&ways.gateways.1, gateways.try_send(single(message, due)).is_ok())
                    }
                    Family::Facility => {
                        let entry = filling.entry(message.facility.clone());
                        entry.or_insert_with(|| OpenBatch { messages: Vec::new(), due }).messages.push(message);
                        (&ways.gateways.1, true)
                    }
                };
                let mut tally = tally.lock();
                tally.due += 1;
                tally.shed += usize::from(!taken);
                if taken {
                    sent.insert(fingerprint);
                }
            }
        }
        let is_over = passed >= options.duration;
        let full: Vec<String> = filling
            .iter()
            .filter(|(_, it)| is_over || it.messages.len() >= options.batch || it.due.elapsed() >= LINGER)
            .map(|(facility, _)| facility.clone())
            .collect();
        for facility in full {
            let Some(OpenBatch { messages, due }) = filling.remove(&facility) else { continue };
            let (form, is_gzipped) = gateway::FORMS[batches % gateway::FORMS.len()];
            batches += 1;
            let publish = Publish {
                device: gateway::gateway(&facility),
                topic: gateway::topic(&facility),
                payload: gateway::batch(&messages, form, is_gzipped),
                messages: messages.len(),
                due,
            };
            if gateways.try_send(publish).is_err() {
                ways.gateways.1.lock().shed += messages.len();
                for message in messages {
                    sent.remove(&SentMessage::new(message.clone(), message.made_at_ms).fingerprint);
                }
            }
        }
        progress(due_of.iter().map(|(_, due)| due).sum());
        if is_over {
            break;
        }
        ticks.tick().await;
    }
    drop((sensors, gateways));
    let mut result = Vec::new();
    if let Some((http, tally)) = ways.apps {
        let settled = http.settle(SETTLE).await;
        result.push(Way::of("apps, HTTPS", &tally.lock(), options.duration, settled.err()));
    }
    for (name, task, tally) in [("sensors, MQTT", sensing, ways.sensors.1), ("gateways, MQTT", gating, ways.gateways.1)]
    {
        let settled = task.await.context("a publisher stopped")?;
        result.push(Way::of(name, &tally.lock(), options.duration, settled.err()));
    }
    Ok(Run { ways: result, seconds: options.duration.as_secs_f64(), sent })
}

fn single(message: Planned, due: Instant) -> Publish {
    Publish { topic: message.topic(), device: message.device, payload: message.payload, messages: 1, due }
}
