//! Tests mappings in simulated time, with a stream in memory and a function that each test scripts. A test quotes the
//! sentence of the Lambda Developer Guide that it checks.

#![expect(clippy::unnecessary_wraps, reason = "all answers have one type, also those that never fail")]

mod batching;
mod failures;
mod order;
mod properties;
mod windows;

use super::*;
use crate::clock::Clock;
use crate::function::{InvokeError, Invoker};
use bytes::Bytes;
use myaku::platform::clock::Now as _;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::stream::batch::Batch;
use myaku::stream::batch::SequenceNumber;
use myaku::stream::source::memory::MemoryStream;
use myaku::stream::source::{Read, ReadFrom, Shard, Source};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When the tests' clock starts, in milliseconds since the epoch: a whole hour.
pub(super) const START_MS: i64 = 1_795_219_200_000;

/// One invocation as the function saw it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) at_ms: i64,
    pub(super) shard: String,
    /// The data of the records.
    pub(super) data: Vec<String>,
    pub(super) sequences: Vec<String>,
    /// The whole event.
    pub(super) event: serde_json::Value,
}

type Answer = Result<String, InvokeError>;

/// A function that records each invocation and answers as the test says.
#[derive(Clone)]
pub(super) struct Fake {
    clock: Simulation,
    calls: Arc<Mutex<Vec<Call>>>,
    #[expect(clippy::type_complexity, reason = "a test's closure")]
    answer: Arc<Mutex<dyn FnMut(&Call) -> Answer + Send>>,
    duration: Duration,
}

impl Invoker for Fake {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
        let batch = Batch::from_event(event).unwrap();
        let call = Call {
            at_ms: self.clock.now_ms(),
            shard: batch.shard,
            data: batch.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect(),
            sequences: batch.records.iter().map(|record| record.sequence.to_string()).collect(),
            event: value,
        };
        self.calls.lock().unwrap().push(call.clone());
        let answer = (self.answer.lock().unwrap())(&call);
        self.clock.sleep(self.duration).await;
        answer.map(Bytes::from)
    }
}

/// A destination in memory.
#[derive(Clone, Default)]
pub(super) struct MemoryDestination(pub(super) Arc<Mutex<Vec<serde_json::Value>>>);

impl OnFailure for MemoryDestination {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        self.0.lock().unwrap().push(serde_json::from_slice(&discarded.body).unwrap());
        Ok(())
    }
}

/// A running mapping with its fake function and destination.
pub(super) struct Scene {
    pub(super) clock: Simulation,
    pub(super) handle: Handle,
    pub(super) destination: MemoryDestination,
    calls: Arc<Mutex<Vec<Call>>>,
    task: TaskId,
}

/// Runs a test in simulated time, with a few different orders of its tasks.
pub(super) fn simulated(test: impl AsyncFn(&Simulation) + Copy) {
    for seed in 0..4 {
        let simulation = Simulation::new(START_MS, seed);
        simulation.run(test(&simulation));
    }
}

pub(super) fn settings() -> Settings {
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    Settings::new("mapping", stream, function, StartingPosition::TrimHorizon)
}

/// Puts each number as one record, all under one key.
pub(super) fn put_numbers(stream: &MemoryStream, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        stream.put("key", number.to_string().as_bytes(), START_MS);
    }
}

pub(super) fn fails() -> Answer {
    Err(InvokeError::FunctionError { error_type: "Test".to_owned(), message: "requested by the test".to_owned() })
}

/// A partial batch response that reports the records with these data as failed.
pub(super) fn failed_items(call: &Call, data: &[&str]) -> Answer {
    let sequence = |data: &&str| &call.sequences[call.data.iter().position(|item| item == data).unwrap()];
    let items: Vec<_> =
        data.iter().map(sequence).map(|sequence| serde_json::json!({ "itemIdentifier": sequence })).collect();
    Ok(serde_json::json!({ "batchItemFailures": items }).to_string())
}

impl Scene {
    pub(super) fn start(
        sim: &Simulation,
        stream: &MemoryStream,
        configure: impl FnOnce(&mut Settings),
        answer: impl FnMut(&Call) -> Answer + Send + 'static,
    ) -> Self {
        let mut settings = settings();
        configure(&mut settings);
        let (calls, destination) = (Arc::new(Mutex::new(Vec::new())), MemoryDestination::default());
        let (answer, duration) = (Arc::new(Mutex::new(answer)), Duration::from_millis(10));
        let fake = Fake { clock: sim.clone(), calls: Arc::clone(&calls), answer, duration };
        let mapping = Mapping::new(settings, stream.clone(), fake, Some(destination.clone()), sim.clone(), 1).unwrap();
        let handle = mapping.handle();
        let task = sim.spawn(mapping.run());
        Self { clock: sim.clone(), handle, destination, calls, task }
    }

    /// Waits until everything that is in the stream now is processed.
    pub(super) async fn settled(&self) {
        assert!(self.handle.caught_up(self.clock.now_ms()).await);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The data of each invocation, joined.
    pub(super) fn batches(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.data.join(" ")).collect()
    }

    /// The data of each discarded batch, as its on-failure object has it, with the condition.
    pub(super) fn discarded(&self) -> Vec<(String, String)> {
        let record = |object: &serde_json::Value| {
            let batch = Batch::from_event(object["payload"].as_str().unwrap().to_owned()).unwrap();
            let data: Vec<_> = batch.records.iter().map(|record| String::from_utf8_lossy(&record.data)).collect();
            (data.join(" "), object["requestContext"]["condition"].as_str().unwrap().to_owned())
        };
        self.destination.0.lock().unwrap().iter().map(record).collect()
    }

    pub(super) async fn stop(self) {
        self.handle.stop();
        while !self.clock.is_finished(self.task) {
            self.clock.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A transient error of the stream.
pub(super) fn unavailable(operation: &str) -> RemoteError {
    RemoteError::new(operation, Remedy::Retry, "requested by the test")
}
