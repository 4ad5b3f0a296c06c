//! Tests what must always hold, with random records, settings, failures, reshards and crashes of the mapping.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One event of a random run.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        records: u8,
    },
    Split(u8),
    Merge(u8),
    Reshard(u8),
    /// Drops the mapping's future, as when its machine dies. Another mapping resumes.
    Crash,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..12_u8, 1..8_u8).prop_map(|(key, records)| Step::Put { key, records }),
        1 => any::<u8>().prop_map(Step::Split),
        1 => any::<u8>().prop_map(Step::Merge),
        1 => (1..4_u8).prop_map(Step::Reshard),
        1 => Just(Step::Crash),
        3 => (0..3_000_u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..30)
}

#[derive(Clone, Debug)]
struct Plan {
    batch_size: usize,
    parallelization: usize,
    window_s: u64,
    report: bool,
    bisect: bool,
    max_retries: Option<u32>,
    /// Invocations of 100 that fail.
    failure_percent: u8,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    let numbers = (1..8_usize, 1..4_usize, 0..3_u64, 0..70_u8, any::<u64>());
    (numbers, any::<bool>(), any::<bool>(), prop::option::of(0..4_u32)).prop_map(
        |((batch_size, parallelization, window_s, failure_percent, seed), report, bisect, max_retries)| Plan {
            batch_size,
            parallelization,
            window_s,
            report,
            bisect,
            max_retries,
            failure_percent,
            seed,
        },
    )
}

/// The records that were put, and what the function did with them. Records are known by their data.
#[derive(Default)]
struct Ledger {
    /// The records of each key, in the order in which they were put.
    put: BTreeMap<String, Vec<String>>,
    /// The records that the function has processed.
    processed: BTreeSet<String>,
    /// The records that the function received, in order.
    seen: Vec<String>,
}

/// Runs the steps, then lets the mapping finish and checks the result.
async fn run(sim: &Simulation, plan: Plan, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let stream = MemoryStream::new(2);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let destination = MemoryDestination::default();
    let mut mapping = start(sim, &plan, &stream, &ledger, &destination, Progress::default());
    let mut shard_of = BTreeMap::new();
    let mut number = 0;
    for step in steps {
        match step {
            Step::Put { key, records } => {
                for _ in 0..records {
                    number += 1;
                    let (key, data) = (format!("key-{key}"), format!("{number}"));
                    let (shard, sequence) = stream.put(&key, data.as_bytes(), sim.now_ms());
                    shard_of.insert(data.clone(), (shard, sequence));
                    ledger.lock().unwrap().put.entry(key).or_default().push(data);
                }
            }
            Step::Split(which) => {
                let open = stream.open_shards();
                stream.split(&open[usize::from(which) % open.len()]);
            }
            Step::Merge(which) => {
                let open = stream.open_shards();
                if open.len() > 1 {
                    let left = usize::from(which) % (open.len() - 1);
                    stream.merge(&open[left], &open[left + 1]);
                }
            }
            Step::Reshard(shards) => stream.reshard_without_lineage(usize::from(shards)),
            Step::Crash => {
                sim.abort(mapping.1);
                let progress = mapping.0.progress();
                check_checkpoints(&progress, &shard_of, &ledger, &destination)?;
                mapping = start(sim, &plan, &stream, &ledger, &destination, progress);
            }
            Step::Wait(ms) => sim.sleep(Duration::from_millis(ms.into())).await,
        }
    }
    prop_assert!(mapping.0.caught_up(sim.now_ms()).await);
    let progress = mapping.0.progress();
    check_checkpoints(&progress, &shard_of, &ledger, &destination)?;
    mapping.0.stop();
    while !sim.is_finished(mapping.1) {
        sim.sleep(Duration::from_millis(1)).await;
    }
    let discarded = discarded(&destination);
    let ledger = ledger.lock().unwrap();
    for (key, put) in &ledger.put {
        // At least once: each record was processed, or the destination has it.
        for data in put {
            prop_assert!(ledger.processed.contains(data) || discarded.contains(data), "record {data} of {key} is lost");
        }
        // In order: repetitions aside, the function sees a key's records as they were put, across all shards.
        let mut first = BTreeSet::new();
        let seen: Vec<_> = ledger.seen.iter().filter(|data| put.contains(data) && first.insert(*data)).collect();
        prop_assert!(seen.iter().copied().eq(put.iter().filter(|data| seen.contains(data))), "{key}: {seen:?}");
        prop_assert!(plan.max_retries.is_some() || seen.len() == put.len());
    }
    Ok(())
}

fn start(
    sim: &Simulation,
    plan: &Plan,
    stream: &MemoryStream,
    ledger: &Arc<Mutex<Ledger>>,
    destination: &MemoryDestination,
    progress: Progress,
) -> (Handle, TaskId) {
    let mut settings = settings();
    settings.batch_size = plan.batch_size;
    settings.parallelization = plan.parallelization;
    settings.window = Duration::from_secs(plan.window_s);
    (settings.report_batch_item_failures, settings.bisect) = (plan.report, plan.bisect);
    settings.max_retries = plan.max_retries;
    let (report, failure_percent, ledger) = (plan.report, plan.failure_percent, Arc::clone(ledger));
    let mut random = plan.seed | 1;
    let answer = move |call: &Call| {
        // Xorshift: the same seed repeats the run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut ledger = ledger.lock().unwrap();
        ledger.seen.extend(call.data.iter().cloned());
        let mut process = |data: &[String]| ledger.processed.extend(data.iter().cloned());
        if random % 100 >= u64::from(failure_percent) {
            process(&call.data);
            return Ok("{}".to_owned());
        }
        match random / 100 % 4 {
            0 => Err(InvokeError::Throttled),
            1 => Err(InvokeError::TimedOut),
            2 if report => {
                let failed = (random / 1_000) as usize % call.data.len();
                process(&call.data[..failed]);
                failed_items(call, &[call.data[failed].as_str()])
            }
            _ => fails(),
        }
    };
    let (answer, duration) = (Arc::new(Mutex::new(answer)), Duration::from_millis(plan.seed % 400));
    let fake = Fake { clock: sim.clone(), calls: Arc::default(), answer, duration };
    let mapping = Mapping::new(settings, stream.clone(), fake, Some(destination.clone()), sim.clone(), plan.seed);
    let mapping = mapping.unwrap().resuming(progress);
    (mapping.handle(), sim.spawn(mapping.run()))
}

fn discarded(destination: &MemoryDestination) -> BTreeSet<String> {
    let batch = |object: &serde_json::Value| Batch::from_event(object["payload"].as_str().unwrap().to_owned()).unwrap();
    let batches: Vec<_> = destination.0.lock().unwrap().iter().map(batch).collect();
    let data = |record: &myaku::stream::batch::StreamRecord| String::from_utf8_lossy(&record.data).into_owned();
    batches.iter().flat_map(|batch| &batch.records).map(data).collect()
}

/// Checks that no checkpoint has passed a record that is neither processed nor discarded.
fn check_checkpoints(
    progress: &Progress,
    shard_of: &BTreeMap<String, (String, SequenceNumber)>,
    ledger: &Mutex<Ledger>,
    destination: &MemoryDestination,
) -> Result<(), TestCaseError> {
    let (ledger, discarded) = (ledger.lock().unwrap(), discarded(destination));
    for (data, (shard, sequence)) in shard_of {
        let passed = match progress.checkpoints.get(shard) {
            Some(Checkpoint::Ended) => true,
            Some(Checkpoint::After(last)) => sequence <= last,
            _ => false,
        };
        let done = ledger.processed.contains(data) || discarded.contains(data);
        prop_assert!(!passed || done, "the checkpoint of {shard} passed record {data}, which is not done");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    /// "Lambda will process each record at least once"; "Records are always processed in order the first time."
    #[test]
    fn each_record_is_delivered_in_order_and_no_checkpoint_passes_a_record_that_is_not_done(
        plan in plans(),
        steps in steps(),
    ) {
        let simulation = Simulation::new(START_MS, plan.seed);
        simulation.run(run(&simulation, plan, steps))?;
    }
}
