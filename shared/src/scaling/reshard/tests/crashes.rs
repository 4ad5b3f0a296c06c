//! Crashes between any two calls: after any of them, later ticks still reach the planned number of shards.

use super::*;
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::{AlarmChange, ExistingAlarm};
use crate::scaling::reshard::control::Answer;
use crate::scaling::reshard::ledger::Versioned;
use crate::scaling::shards::{DAILY_CALLS_MAX, Limits};
use crate::stream::shard_map::HashKeyRange;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lets some calls through. The last of them takes effect or not, but fails either way, and every later call fails.
#[derive(Clone, Debug, Default)]
struct Fuse(Arc<(AtomicU32, AtomicU32)>);

const NEVER: u32 = u32::MAX;

impl Fuse {
    fn set(&self, calls: u32, takes_effect: bool) {
        self.0.0.store(calls, Ordering::SeqCst);
        self.0.1.store(u32::from(takes_effect), Ordering::SeqCst);
    }

    fn crash() -> RemoteError {
        RemoteError::new("any call", Remedy::Retry, "the invocation has crashed")
    }

    async fn pass<T>(&self, call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        let (left, takes_effect) = (&self.0.0, &self.0.1);
        match left.load(Ordering::SeqCst) {
            NEVER => call.await,
            0 => Err(Self::crash()),
            1 => {
                left.store(0, Ordering::SeqCst);
                if takes_effect.load(Ordering::SeqCst) == 1 {
                    drop(call.await);
                }
                Err(Self::crash())
            }
            calls => {
                left.store(calls - 1, Ordering::SeqCst);
                call.await
            }
        }
    }
}

/// A port that fails once its fuse is used up.
#[derive(Debug)]
struct Mortal<T>(T, Fuse);

impl StreamControl for Mortal<MemoryControl> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn summary(&self) -> Result<Option<Summary>, RemoteError> {
        self.1.pass(self.0.summary()).await
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        self.1.pass(self.0.open_shards()).await
    }

    async fn limits(&self) -> Result<Limits, RemoteError> {
        self.1.pass(self.0.limits()).await
    }

    async fn sample(&self, shards: &[HashKeyRange]) -> Result<Vec<u128>, RemoteError> {
        self.1.pass(self.0.sample(shards)).await
    }

    async fn begin(&self, step: &Step) -> Result<Answer, RemoteError> {
        self.1.pass(self.0.begin(step)).await
    }
}

impl Ledger for Mortal<MemoryLedger> {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        self.1.pass(self.0.load(stream)).await
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        self.1.pass(self.0.commit(stream, replaces, entry)).await
    }
}

impl AlarmStore for Mortal<MemoryAlarms> {
    async fn describe(&self, names: &[String]) -> Result<Vec<ExistingAlarm>, RemoteError> {
        self.1.pass(self.0.describe(names)).await
    }

    async fn change(&self, change: &AlarmChange) -> Result<(), RemoteError> {
        self.1.pass(self.0.change(change)).await
    }

    async fn delete(&self, names: &[String]) -> Result<(), RemoteError> {
        self.1.pass(self.0.delete(names)).await
    }
}

/// A crash: in which minute, at which call, and whether that call takes effect.
#[derive(Clone, Copy, Debug)]
struct Crash {
    minute: i64,
    calls: u32,
    takes_effect: bool,
}

fn crash() -> impl Strategy<Value = Crash> {
    (0..40_i64, 1..16_u32, any::<bool>()).prop_map(|(minute, calls, takes_effect)| Crash {
        minute,
        calls,
        takes_effect,
    })
}

/// Enough for a cool-down after each crash; as long as [`load`], so that no minute is put twice.
const MINUTES: i64 = 120;

/// Starts with `from` shards and ticks every minute. Returns the autoscaler and its entry at the end.
async fn run(from: u32, policy: Policy, crashes: &[Crash], looks: u32, calls_spent: usize) -> (Memory, Entry) {
    let fuse = Fuse::default();
    let reliable = autoscaler(from, policy);
    reliable.control.looks(looks);
    load(&reliable.metrics, 0.0, NOW_MS);
    load(&reliable.metrics, 0.0, NOW_MS + MINUTES * MINUTE_MS);
    let spent = Entry { calls: vec![NOW_MS - 1; calls_spent], ..Entry::default() };
    reliable.ledger.commit(STREAM, 0, &spent).await.unwrap();
    let mortal = Autoscaler {
        control: Mortal(reliable.control.clone(), fuse.clone()),
        metrics: reliable.metrics.clone(),
        alarms: Mortal(reliable.alarms.clone(), fuse.clone()),
        ledger: Mortal(reliable.ledger.clone(), fuse.clone()),
        policy: reliable.policy.clone(),
        readers: reliable.readers.clone(),
        alarms_of: reliable.alarms_of.clone(),
        lease: reliable.lease,
    };
    for minute in 0..MINUTES {
        match crashes.iter().find(|crash| crash.minute == minute) {
            Some(crash) => fuse.set(crash.calls, crash.takes_effect),
            None => fuse.set(NEVER, false),
        }
        let clock = ManualClock::at(NOW_MS + minute * MINUTE_MS);
        let ticked = mortal.tick(&format!("invocation-{minute}"), &clock).await;
        assert!(ticked.is_ok() || crashes.iter().any(|crash| crash.minute == minute), "{ticked:?}");
    }
    let entry = entry(&reliable).await;
    (reliable, entry)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn crashes_between_any_two_calls_do_not_change_the_final_number_of_shards(
        from in 1..9_u32,
        shards in 1..20_u32,
        crashes in prop::collection::vec(crash(), 0..8),
        looks in 0..3_u32,
        calls_spent in 0..11_usize,
    ) {
        let policy = Policy { min_shards: shards, max_shards: shards, ..marks() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (autoscaler, entry) = runtime.block_on(run(from, policy, &crashes, looks, calls_spent));
        prop_assert_eq!(autoscaler.control.keyspace().count(), shards);
        prop_assert!(entry.work.is_none() && entry.lease.is_none(), "{:?}", entry);
        // Every call that Kinesis accepted is counted.
        let steps = autoscaler.control.steps();
        let accepted = steps.iter().filter(|step| matches!(step, Step::UpdateShardCount { .. })).count();
        prop_assert!(entry.calls.len() >= accepted + calls_spent, "{:?} of {accepted}", entry.calls);
        prop_assert!(accepted + calls_spent <= DAILY_CALLS_MAX as usize);
        runtime.block_on(alarms_are_for(&autoscaler, shards));
    }
}
