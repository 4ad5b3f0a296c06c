//! Crashes between any two calls: whatever they hit, ticks end in the shards that were planned.

use super::*;
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::{AlarmChange, FoundAlarm};
use crate::scaling::reshard::control::Answer;
use crate::scaling::reshard::ledger::Versioned;
use crate::scaling::shards::{DAILY_CALLS_MAX, Limits};
use crate::stream::shard_map::HashKeyRange;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Burns after some calls, with the last one's effect or without, and leaves every later call dead.
#[derive(Clone, Debug, Default)]
struct Fuse(Arc<(AtomicU32, AtomicU32)>);

const NEVER: u32 = u32::MAX;

impl Fuse {
    fn set(&self, calls: u32, takes_effect: bool) {
        self.0.0.store(calls, Ordering::SeqCst);
        self.0.1.store(u32::from(takes_effect), Ordering::SeqCst);
    }

    fn dead() -> RemoteError {
        RemoteError::new("anything", Remedy::Retry, "the invocation is dead")
    }

    async fn through<T>(&self, call: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        let (left, takes_effect) = (&self.0.0, &self.0.1);
        match left.load(Ordering::SeqCst) {
            NEVER => call.await,
            0 => Err(Self::dead()),
            1 => {
                left.store(0, Ordering::SeqCst);
                if takes_effect.load(Ordering::SeqCst) == 1 {
                    drop(call.await);
                }
                Err(Self::dead())
            }
            calls => {
                left.store(calls - 1, Ordering::SeqCst);
                call.await
            }
        }
    }
}

#[derive(Debug)]
struct Mortal<T>(T, Fuse);

impl StreamControl for Mortal<MemoryControl> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn summary(&self) -> Result<Option<Summary>, RemoteError> {
        self.1.through(self.0.summary()).await
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        self.1.through(self.0.open_shards()).await
    }

    async fn limits(&self) -> Result<Limits, RemoteError> {
        self.1.through(self.0.limits()).await
    }

    async fn sample(&self, shards: &[HashKeyRange]) -> Result<Vec<u128>, RemoteError> {
        self.1.through(self.0.sample(shards)).await
    }

    async fn begin(&self, step: &Step) -> Result<Answer, RemoteError> {
        self.1.through(self.0.begin(step)).await
    }
}

impl Ledger for Mortal<MemoryLedger> {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        self.1.through(self.0.load(stream)).await
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        self.1.through(self.0.commit(stream, replaces, entry)).await
    }
}

impl AlarmStore for Mortal<MemoryAlarms> {
    async fn found(&self, prefix: &str) -> Result<Vec<FoundAlarm>, RemoteError> {
        self.1.through(self.0.found(prefix)).await
    }

    async fn change(&self, change: &AlarmChange) -> Result<(), RemoteError> {
        self.1.through(self.0.change(change)).await
    }

    async fn delete(&self, names: &[String]) -> Result<(), RemoteError> {
        self.1.through(self.0.delete(names)).await
    }
}

/// One crash: at which minute, after how many calls, and whether the last of them took effect.
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

/// Enough for a cool-down behind each crash; as long as [`load`] is, so that no minute is put twice.
const MINUTES: i64 = 120;

/// Ticks by the minute from `from` shards until it is quiet; how it ends.
async fn ends(from: u32, policy: Policy, crashes: &[Crash], looks: u32, calls_spent: usize) -> (Memory, Entry) {
    let fuse = Fuse::default();
    let plain = autoscaler(from, policy);
    plain.control.looks(looks);
    load(&plain.metrics, 0.0, NOW_MS);
    load(&plain.metrics, 0.0, NOW_MS + MINUTES * MINUTE_MS);
    let spent = Entry { calls: vec![NOW_MS - 1; calls_spent], ..Entry::default() };
    plain.ledger.commit(STREAM, 0, &spent).await.unwrap();
    let mortal = Autoscaler {
        control: Mortal(plain.control.clone(), fuse.clone()),
        metrics: plain.metrics.clone(),
        alarms: Mortal(plain.alarms.clone(), fuse.clone()),
        ledger: Mortal(plain.ledger.clone(), fuse.clone()),
        policy: plain.policy.clone(),
        readers: plain.readers.clone(),
        alarms_of: plain.alarms_of.clone(),
        lease: plain.lease,
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
    let entry = entry(&plain).await;
    (plain, entry)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn crashes_between_any_two_calls_change_nothing_about_where_it_ends(
        from in 1..9_u32,
        shards in 1..20_u32,
        crashes in prop::collection::vec(crash(), 0..8),
        looks in 0..3_u32,
        calls_spent in 0..11_usize,
    ) {
        let policy = Policy { min_shards: shards, max_shards: shards, ..marks() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (autoscaler, entry) = runtime.block_on(ends(from, policy, &crashes, looks, calls_spent));
        prop_assert_eq!(autoscaler.control.keyspace().count(), shards);
        prop_assert!(entry.work.is_none() && entry.lease.is_none(), "{:?}", entry);
        // No call that Kinesis took went uncounted.
        let taken = autoscaler.control.steps().iter().filter(|step| matches!(step, Step::UpdateShardCount { .. })).count();
        prop_assert!(entry.calls.len() >= taken + calls_spent, "{:?} of {taken}", entry.calls);
        prop_assert!(taken + calls_spent <= DAILY_CALLS_MAX as usize);
        runtime.block_on(alarms_are_for(&autoscaler, shards));
    }
}
