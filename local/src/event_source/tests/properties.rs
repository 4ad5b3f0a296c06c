//! What holds whatever happens: random streams, settings, failures and changes of shards, and pollers that crash.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that happens to a stream or to its mapping.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        records: u8,
    },
    Split(u8),
    Merge(u8),
    Reshard(u8),
    /// The mapping's future is dropped, as when its machine dies, and another one resumes.
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
    /// In how many of 100 invocations something goes wrong.
    trouble: u8,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    let numbers = (1..8_usize, 1..4_usize, 0..3_u64, 0..70_u8, any::<u64>());
    (numbers, any::<bool>(), any::<bool>(), prop::option::of(0..4_u32)).prop_map(
        |((batch_size, parallelization, window_s, trouble, seed), report, bisect, max_retries)| Plan {
            batch_size,
            parallelization,
            window_s,
            report,
            bisect,
            max_retries,
            trouble,
            seed,
        },
    )
}

/// What the stream was given and what was made of it.
#[derive(Default)]
struct Ledger {
    /// The records of each key, in the order in which they were put: their data.
    put: BTreeMap<String, Vec<String>>,
    /// Which records the function has processed, or the destination has kept.
    settled: BTreeSet<String>,
    /// What the function saw, in order.
    seen: Vec<String>,
}

/// Puts, changes and crashes as told, then lets the mapping finish.
async fn run(sim: &Simulation, plan: Plan, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let stream = MemoryStream::new(2);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let kept = Kept::default();
    let mut mapping = start(sim, &plan, &stream, &ledger, &kept, Progress::default());
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
                checkpoints_pass_nothing(&progress, &shard_of, &ledger, &kept)?;
                mapping = start(sim, &plan, &stream, &ledger, &kept, progress);
            }
            Step::Wait(ms) => sim.sleep(Duration::from_millis(ms.into())).await,
        }
    }
    prop_assert!(mapping.0.caught_up(sim.now_ms()).await);
    let progress = mapping.0.progress();
    checkpoints_pass_nothing(&progress, &shard_of, &ledger, &kept)?;
    mapping.0.stop();
    while !sim.is_finished(mapping.1) {
        sim.sleep(Duration::from_millis(1)).await;
    }
    let kept = discarded(&kept);
    let ledger = ledger.lock().unwrap();
    for (key, put) in &ledger.put {
        // At least once: each record was processed, or the destination has it.
        for data in put {
            prop_assert!(ledger.settled.contains(data) || kept.contains(data), "record {data} of {key} is lost");
        }
        // In order: leaving repetitions aside, a key's records are first seen as they were put, across all shards.
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
    kept: &Kept,
    progress: Progress,
) -> (Handle, TaskId) {
    let mut settings = settings();
    settings.batch_size = plan.batch_size;
    settings.parallelization = plan.parallelization;
    settings.window = Duration::from_secs(plan.window_s);
    (settings.report_batch_item_failures, settings.bisect) = (plan.report, plan.bisect);
    settings.max_retries = plan.max_retries;
    let (report, trouble, ledger) = (plan.report, plan.trouble, Arc::clone(ledger));
    let mut random = plan.seed | 1;
    let answer = move |call: &Call| {
        // Xorshift: a seed repeats its run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut ledger = ledger.lock().unwrap();
        ledger.seen.extend(call.data.iter().cloned());
        let mut settle = |data: &[String]| ledger.settled.extend(data.iter().cloned());
        if random % 100 >= u64::from(trouble) {
            settle(&call.data);
            return Ok("{}".to_owned());
        }
        match random / 100 % 4 {
            0 => Err(InvokeError::Throttled),
            1 => Err(InvokeError::TimedOut),
            2 if report => {
                let failed = (random / 1_000) as usize % call.data.len();
                settle(&call.data[..failed]);
                failed_items(call, &[call.data[failed].as_str()])
            }
            _ => fails(),
        }
    };
    let takes = Duration::from_millis(plan.seed % 400);
    let fake = Fake { clock: sim.clone(), calls: Arc::default(), answer: Arc::new(Mutex::new(answer)), takes };
    let mapping = Mapping::new(settings, stream.clone(), fake, Some(kept.clone()), sim.clone(), plan.seed).unwrap();
    let mapping = mapping.resuming(progress);
    (mapping.handle(), sim.spawn(mapping.run()))
}

fn discarded(kept: &Kept) -> BTreeSet<String> {
    let batch = |kept: &serde_json::Value| Batch::from_event(kept["payload"].as_str().unwrap().to_owned()).unwrap();
    let batches: Vec<_> = kept.0.lock().unwrap().iter().map(batch).collect();
    let data = |record: &myaku::stream::batch::StreamRecord| String::from_utf8_lossy(&record.data).into_owned();
    batches.iter().flat_map(|batch| &batch.records).map(data).collect()
}

fn checkpoints_pass_nothing(
    progress: &Progress,
    shard_of: &BTreeMap<String, (String, SequenceNumber)>,
    ledger: &Mutex<Ledger>,
    kept: &Kept,
) -> Result<(), TestCaseError> {
    let (ledger, kept) = (ledger.lock().unwrap(), discarded(kept));
    for (data, (shard, sequence)) in shard_of {
        let passed = match progress.checkpoints.get(shard) {
            Some(Checkpoint::Ended) => true,
            Some(Checkpoint::After(last)) => sequence <= last,
            _ => false,
        };
        let settled = ledger.settled.contains(data) || kept.contains(data);
        prop_assert!(!passed || settled, "the checkpoint of {shard} passed record {data}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    /// "Lambda will process each record at least once"; "Records are always processed in order the first time."
    #[test]
    fn every_record_is_delivered_in_order_and_no_checkpoint_passes_one_that_is_not(plan in plans(), steps in steps()) {
        let simulation = Simulation::new(START_MS, plan.seed);
        simulation.run(run(&simulation, plan, steps))?;
    }
}
