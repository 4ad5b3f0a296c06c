//! The platform of one run: streams, stores, the schedule of faults, the models, and the journal.

use crate::faults::{Fault, Faults, Site};
use crate::invariants::{Invariant, Violation};
use crate::ledger::{Averages, Checked, LakeModel, METRICS, Readings, metric_name, window};
use crate::plan::{DEVICES, Plan, START_MS, Service, Stream, device_id};
use futures::FutureExt as _;
use myaku::device::registry::{Device, Key, Kind, MemoryMasterData};
use myaku::keyed::fence::lost_until;
use myaku::keyed::progress::ProgressStore as _;
use myaku::keyed::progress::memory::MemoryProgress;
use myaku::keyed::states::memory::{MemoryStates, Snapshot};
use myaku::keyed::states::{SlotDevices, States as _};
use myaku::keyed::{Kept, State as _};
use myaku::lake::archive::{Head, MemoryHeads, MemoryLake};
use myaku::lake::dead_letter::MemoryDeadLetters;
use myaku::platform::clock::Now as _;
use myaku::results::Item;
use myaku::results::memory::MemoryResults;
use myaku::stream::slot::Slot;
use myaku::stream::source::memory::MemoryStream;
use myaku::window::DeviceState;
use myaku_local::clock::TokioClock;
use myaku_local::event_source::Simulation;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The platform.
pub(crate) struct World {
    pub(crate) simulation: Simulation,
    pub(crate) clock: TokioClock,
    pub(crate) faults: Faults,
    streams: [MemoryStream; 2],
    pub(crate) lake: MemoryLake,
    pub(crate) heads: MemoryHeads,
    /// The states, in Redis.
    states: Arc<MemoryStates<DeviceState>>,
    /// While the servers of Redis do not agree which one is the primary: the old one.
    old_states: Mutex<Option<Arc<MemoryStates<DeviceState>>>>,
    pub(crate) progress: MemoryProgress,
    pub(crate) results: MemoryResults,
    pub(crate) letters: MemoryDeadLetters,
    pub(crate) master_data: MemoryMasterData,
    /// Every head that was ever written, so that a stale read can return an old one.
    old_heads: Mutex<Vec<(String, Head)>>,
    models: Mutex<Models>,
    journal: Mutex<Journal>,
    invocations: AtomicU32,
    /// Running invocations, zombies included, and effects that come later.
    pub(crate) running: AtomicU32,
}

/// The reference models.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) lake: LakeModel,
    pub(crate) readings: Readings,
    pub(crate) averages: Averages,
}

/// The events of a run.
#[derive(Default)]
struct Journal {
    /// The trace, line by line, if it was requested.
    trace: Option<String>,
    events: u64,
    /// The first violation; later ones may follow from it.
    violation: Option<Violation>,
}

impl World {
    pub(crate) fn new(plan: &Plan, faults: Faults, traced: bool) -> Arc<Self> {
        Arc::new(Self {
            simulation: Simulation::new(START_MS, plan.seed),
            clock: TokioClock::starting_at(START_MS),
            faults,
            streams: plan.shards.map(MemoryStream::new),
            lake: MemoryLake::default(),
            heads: MemoryHeads::default(),
            states: Arc::default(),
            old_states: Mutex::default(),
            progress: MemoryProgress::default(),
            results: MemoryResults::default(),
            letters: MemoryDeadLetters::new(),
            master_data: master_data(),
            old_heads: Mutex::default(),
            models: Mutex::default(),
            journal: Mutex::new(Journal { trace: traced.then(String::new), ..Journal::default() }),
            invocations: AtomicU32::new(0),
            running: AtomicU32::new(0),
        })
    }

    pub(crate) fn stream(&self, stream: Stream) -> &MemoryStream {
        &self.streams[stream as usize]
    }

    pub(crate) fn models(&self) -> MutexGuard<'_, Models> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next invocation.
    pub(crate) fn next_invocation(&self) -> u32 {
        self.invocations.fetch_add(1, Ordering::Relaxed)
    }

    /// What goes wrong with a call.
    pub(crate) fn fault(&self, site: Site, service: Service) -> Fault {
        self.faults.of_call(site, service, self.clock.now_ms())
    }

    pub(crate) fn remember_head(&self, shard: &str, head: Head) {
        self.old_heads.lock().unwrap_or_else(PoisonError::into_inner).push((shard.to_owned(), head));
    }

    /// An earlier head of the shard, or none.
    pub(crate) fn old_head(&self, shard: &str, choice: u64) -> Option<Head> {
        let heads = self.old_heads.lock().unwrap_or_else(PoisonError::into_inner);
        let of_shard: Vec<_> = heads.iter().filter(|(of, _)| of == shard).map(|(_, head)| *head).collect();
        of_shard.get(choice as usize % (of_shard.len() + 1)).copied()
    }

    /// The states that a call reaches: while there are two primaries, either of them.
    pub(crate) fn states_at(&self, site: Site) -> Arc<MemoryStates<DeviceState>> {
        let old = self.old_states.lock().unwrap_or_else(PoisonError::into_inner);
        let old = old.as_ref().filter(|_| self.faults.reaches_old_primary(site));
        Arc::clone(old.unwrap_or(&self.states))
    }

    /// What Redis holds.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.states.snapshot()
    }

    /// Redis loses what it got since `snapshot`: in all slots, or in the slot of one device.
    pub(crate) fn lose_since(&self, snapshot: &Snapshot, only: Option<u8>) {
        let now = self.states.snapshot();
        for slot in Slot::ALL.map(Slot) {
            let is_lost = only.is_none_or(|device| Slot::of(device_id(device)) == slot);
            if is_lost && now.get(&slot) != snapshot.get(&slot) {
                self.states.restore_slot(slot, snapshot);
                self.models().averages.slot_lost(slot);
            }
        }
    }

    /// Redis evicts the state of one device.
    pub(crate) fn evict(&self, device: u8) {
        self.states.evict(device_id(device));
        self.models().averages.slot_lost(Slot::of(device_id(device)));
    }

    /// Another server becomes the primary, with what it had at `snapshot`. The old one still serves some calls.
    pub(crate) fn split_brain(&self, snapshot: &Snapshot) {
        let old = MemoryStates::default();
        old.restore(self.states.snapshot());
        *self.old_states.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(old));
        // What the old one gets from now on is lost as well.
        for slot in Slot::ALL.map(Slot) {
            self.models().averages.slot_lost(slot);
        }
        self.lose_since(snapshot, None);
    }

    /// The old primary is gone.
    pub(crate) fn end_split_brain(&self) {
        *self.old_states.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Calls `check` with each device, what is kept of it, and up to when its slot is known, or would be found, to have lost
    /// readings.
    pub(crate) fn check_kept(&self, check: impl Fn(&Models, u8, Option<&Kept<DeviceState>>, Option<i64>) -> Checked) {
        let stream = Stream::Readings.name();
        let progress = self.progress.read(DeviceState::NAME, stream).now_or_never().and_then(Result::ok);
        let progress = progress.unwrap_or_default();
        for device in 0..DEVICES {
            let id = device_id(device);
            let slot = Slot::of(id);
            let wanted = [SlotDevices { slot, devices: vec![id] }];
            let Some(Ok(loaded)) = self.states.load(stream, &wanted).now_or_never() else { continue };
            let kept = loaded[0].states[0].kept.as_ref();
            let mut lost_until = lost_until(slot, &loaded[0].fences, &progress);
            let known = progress.lost_until.get(&slot).copied();
            let row = self.results.row(id, Item::Latest);
            if kept.is_none() && row.is_some_and(|row| row.lost_until >= known) {
                lost_until = lost_until.max(progress.of_slot(slot).map(|(_, entry)| entry.newest_ms).max());
            }
            let checked = check(&self.models(), device, kept, lost_until);
            self.check(checked);
        }
    }

    /// Writes a line into the trace.
    pub(crate) fn note(&self, line: Arguments<'_>) {
        use std::fmt::Write as _;
        let now_ms = self.clock.now_ms();
        let mut journal = self.journal();
        journal.events += 1;
        if let Some(trace) = &mut journal.trace {
            // Writing to a string does not fail.
            let _ = writeln!(trace, "{:>9.3} {line}", (now_ms - START_MS) as f64 / 1_000.0);
        }
    }

    /// Keeps the first violation.
    pub(crate) fn check(&self, checked: Checked) {
        if let Err(violation) = checked {
            self.note(format_args!("VIOLATED {violation}"));
            self.journal().violation.get_or_insert(violation);
        }
    }

    /// Notes that the platform does not finish its work.
    pub(crate) fn does_not_settle(&self, what: &str) {
        self.check(Err(Violation::new(Invariant::Settles, what)));
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.journal().violation.clone()
    }

    pub(crate) fn events(&self) -> u64 {
        self.journal().events
    }

    pub(crate) fn take_trace(&self) -> String {
        self.journal().trace.take().unwrap_or_default()
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Three devices of one profile, and a source of lines.
fn master_data() -> MemoryMasterData {
    let store = MemoryMasterData::new();
    let device = |id: String, profile: &str| Device::new(id, profile, None);
    for number in 0..DEVICES {
        store.put_device(&device(device_id(number).to_owned(), "meter"));
    }
    store.put_device(&device("log".to_owned(), "lines"));
    let metrics: BTreeMap<_, _> = (0..METRICS)
        .map(|metric| (metric_name(metric), json!({"range": {"min": 0, "max": 1e15}, "window": window(metric)})))
        .collect();
    let fields: Vec<_> =
        (0..METRICS).map(|metric| json!({"metric": metric_name(metric), "from": format!("v{metric}")})).collect();
    let meter = json!({
        "id": "meter",
        "clock": {"trust": "device", "allowedSkewSeconds": 86_400, "allowedDelaySeconds": 86_400},
        "metrics": metrics,
        "versions": [{"name": "1", "format": "json", "identity": ["seq"], "time": {"from": "ts", "unit": "ms"}, "fields": fields}],
    });
    store.put_document(Key::new(Kind::Profile, "meter"), meter.to_string());
    store.put_document(
        Key::new(Kind::Profile, "lines"),
        json!({"id": "lines", "versions": [{"name": "1", "format": "text"}]}).to_string(),
    );
    store
}
