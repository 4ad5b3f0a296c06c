//! What every adapter of the port to states does.

use super::super::bytes::{CorruptedState, Reader};
use super::super::fence::{Fence, Fences};
use super::super::{Kept, State};
use super::{Commit, Committed, Loaded, LoadedSlot, SlotCommit, SlotDevices, States, Version};
use crate::results::MetricResult;
use crate::stream::batch::Position;
use crate::stream::slot::Slot;
use std::collections::BTreeMap;

/// The state of the suite: how much was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted(u64);

impl State for Counted {
    type Outcome = MetricResult;

    const NAME: &'static str = "counted";
    const VERSION: u8 = 1;

    fn size_hint(&self) -> usize {
        8
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn decode(_: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        reader.u64().map(Self)
    }

    fn lose(&mut self, _: i64) {}
}

fn kept(count: u64) -> Kept<Counted> {
    Kept { state: Counted(count), counted: count, ..Kept::default() }
}

fn at(n: u32) -> Position {
    Position { sequence: "49541296383533603670305612607160966548683674396982771921".parse().expect("digits"), sub: n }
}

const STREAM: &str = "readings";
const SHARD: &str = "shardId-000000000000";

async fn load_slot(port: &impl States<State = Counted>, slot: Slot, devices: &[&str]) -> LoadedSlot<Counted> {
    port.load(STREAM, &[SlotDevices { slot, devices: devices.to_vec() }]).await.expect("load").remove(0)
}

async fn load(port: &impl States<State = Counted>, device: &str) -> Loaded<Counted> {
    load_slot(port, Slot::of(device), &[device]).await.states.remove(0)
}

/// A commit of one device, which compares no fence and sets none.
fn commit_of<'a>(
    device_id: &'a str,
    replaces: &'a Version,
    kept: Option<&'a Kept<Counted>>,
) -> SlotCommit<'a, Counted> {
    static NONE: Fences = BTreeMap::new();
    let states = vec![Commit { device_id, replaces, kept }];
    SlotCommit { slot: Slot::of(device_id), fences: &NONE, fence: None, forgotten: Vec::new(), states }
}

async fn commit(port: &impl States<State = Counted>, commit: SlotCommit<'_, Counted>) -> Committed {
    port.commit(STREAM, &[commit]).await.expect("commit").remove(0)
}

/// Runs the whole suite against `port`, on devices whose names begin with `prefix` and that have no state.
///
/// # Panics
/// Where the port does something else.
pub async fn suite(port: &impl States<State = Counted>, prefix: &str) {
    assert_eq!(port.load(STREAM, &[]).await.expect("load"), []);
    assert_eq!(port.commit(STREAM, &[]).await.expect("commit"), []);
    versions(port, &format!("{prefix}-b}} {{c ü\n")).await;
    whole_slots(port, prefix).await;
    fences(port, prefix).await;
    many(port, prefix).await;
}

async fn versions(port: &impl States<State = Counted>, device: &str) {
    let new = Version::default();
    let (first, second, third) = (kept(1), kept(2), kept(3));
    assert_eq!(load(port, device).await, Loaded::default(), "a device that is new has no state");
    assert_eq!(commit(port, commit_of(device, &new, Some(&first))).await, Committed::Done);
    let loaded = load(port, device).await;
    assert_eq!(loaded.kept.as_ref(), Some(&first));
    let conflict = commit(port, commit_of(device, &new, Some(&second))).await;
    assert_eq!(conflict, Committed::Conflict, "it is no longer new");
    let again = commit(port, commit_of(device, &new, Some(&first))).await;
    assert_eq!(again, Committed::Done, "a repeated commit is done");
    let unchanged = commit(port, commit_of(device, &new, None)).await;
    assert_eq!(unchanged, Committed::Conflict, "a state that does not change is compared as well");
    assert_eq!(commit(port, commit_of(device, &loaded.version, None)).await, Committed::Done);
    assert_eq!(commit(port, commit_of(device, &loaded.version, Some(&second))).await, Committed::Done);
    let zombie = commit(port, commit_of(device, &loaded.version, Some(&third))).await;
    assert_eq!(zombie, Committed::Conflict, "a zombie changes nothing");
    assert_eq!(load(port, device).await.kept, Some(second.clone()));

    // After a rollback, another state can have counted as many readings as one that was lost.
    let (old, other) = (load(port, device).await.version, Kept { counted: second.counted, ..kept(4) });
    assert_eq!(commit(port, commit_of(device, &old, Some(&other))).await, Committed::Done);
    let zombie = commit(port, commit_of(device, &old, Some(&third))).await;
    assert_eq!(zombie, Committed::Conflict, "a version is that of the content, not of how much was counted");
    assert_eq!(load(port, device).await.kept, Some(other));
}

/// Devices of one slot.
fn of_one_slot(prefix: &str, count: usize) -> (Slot, Vec<String>) {
    let slot = Slot::of(prefix);
    let names = (0..).map(|n| format!("{prefix}-{n}")).filter(|name| Slot::of(name) == slot);
    (slot, names.take(count).collect())
}

async fn whole_slots(port: &impl States<State = Counted>, prefix: &str) {
    let (slot, names) = of_one_slot(&format!("{prefix}-whole"), 3);
    let (new, unknown, first) = (Version::default(), Version(vec![7; 16]), kept(1));
    let none = Fences::new();
    let commit_all = |of_second| SlotCommit {
        slot,
        fences: &none,
        fence: Some((SHARD, Fence { position: at(1), lost_until: None })),
        forgotten: Vec::new(),
        states: vec![
            Commit { device_id: &names[0], replaces: &new, kept: Some(&first) },
            Commit { device_id: &names[1], replaces: of_second, kept: Some(&first) },
        ],
    };
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(commit(port, commit_all(&unknown)).await, Committed::Conflict);
    let loaded = load_slot(port, slot, &devices).await;
    assert_eq!(loaded.fences, none, "a conflict of one state changes nothing of its slot");
    assert_eq!(loaded.states, vec![Loaded::default(); 3]);
    assert_eq!(commit(port, commit_all(&new)).await, Committed::Done);
    let loaded = load_slot(port, slot, &[devices[2], devices[0]]).await;
    assert_eq!(loaded.states[0], Loaded::default(), "answers come in the order of the question");
    assert_eq!(loaded.states[1].kept, Some(first));
    assert_eq!(loaded.fences[SHARD].position, at(1));
}

async fn fences(port: &impl States<State = Counted>, prefix: &str) {
    let slot = Slot::of(&format!("{prefix}-fence"));
    let (parent, stream) = ("shardId-000000000009", format!("{prefix}-fences"));
    let none = Fences::new();
    let fence = |position, lost_until| Fence { position: at(position), lost_until };
    let set = async |loaded: &Fences, shard: &str, fence| {
        let commit =
            SlotCommit { slot, fences: loaded, fence: Some((shard, fence)), forgotten: Vec::new(), states: Vec::new() };
        port.commit(&stream, &[commit]).await.expect("commit").remove(0)
    };
    let now = async || {
        let devices = Vec::new();
        port.load(&stream, &[SlotDevices { slot, devices }]).await.expect("load").remove(0).fences
    };
    assert_eq!(now().await, none);
    assert_eq!(set(&none, parent, fence(5, None)).await, Committed::Done);
    assert_eq!(set(&now().await, SHARD, fence(7, Some(1_795_218_892_020))).await, Committed::Done);
    let both: Fences =
        [(parent.to_owned(), fence(5, None)), (SHARD.to_owned(), fence(7, Some(1_795_218_892_020)))].into();
    assert_eq!(now().await, both, "a fence reads as it was set");
    assert_eq!(set(&none, SHARD, fence(6, Some(9))).await, Committed::Done);
    assert_eq!(now().await, both, "a fence only grows, and so does its loss");
    assert_eq!(set(&both, SHARD, fence(8, Some(1_795_218_892_021))).await, Committed::Done);
    assert_eq!(now().await[SHARD], fence(8, Some(1_795_218_892_021)));
    assert_eq!(set(&both, SHARD, fence(9, None)).await, Committed::Done, "a fence may be ahead of what was loaded");
    assert_eq!(now().await[SHARD], fence(9, Some(1_795_218_892_021)));

    let ahead: Fences = [(parent.to_owned(), fence(6, None))].into();
    assert_eq!(set(&ahead, SHARD, fence(10, None)).await, Committed::Conflict, "another shard's fence is lower");
    let missing: Fences = [("shardId-000000000099".to_owned(), fence(1, None))].into();
    assert_eq!(set(&missing, SHARD, fence(10, None)).await, Committed::Conflict, "a fence is missing");
    assert_eq!(now().await[SHARD], fence(9, Some(1_795_218_892_021)));

    let forget = SlotCommit { slot, fences: &none, fence: None, forgotten: vec![parent], states: Vec::new() };
    assert_eq!(port.commit(&stream, &[forget]).await.expect("commit"), [Committed::Done]);
    assert_eq!(now().await.into_keys().collect::<Vec<_>>(), [SHARD]);
    assert_eq!(load_slot(port, slot, &[]).await.fences.get(parent), None, "fences of another stream are others");
}

/// More devices than go into one call of any server: each answer belongs to its own slot.
async fn many(port: &impl States<State = Counted>, prefix: &str) {
    let names: Vec<String> = (0..700).map(|n| format!("{prefix}-many-{n}")).collect();
    let mut slots: BTreeMap<Slot, Vec<&str>> = BTreeMap::new();
    for name in &names {
        slots.entry(Slot::of(name)).or_default().push(name);
    }
    let (first, unknown, new, none) = (kept(1), Version(vec![7; 16]), Version::default(), Fences::new());
    let is_refused = |slot: &Slot| slot.0 % 7 == 3;
    let commits: Vec<_> = slots
        .iter()
        .map(|(slot, devices)| {
            let replaces = if is_refused(slot) { &unknown } else { &new };
            let states = devices.iter().map(|device_id| Commit { device_id, replaces, kept: Some(&first) }).collect();
            SlotCommit { slot: *slot, fences: &none, fence: None, forgotten: Vec::new(), states }
        })
        .collect();
    let answers = port.commit(STREAM, &commits).await.expect("commit");
    let wanted: Vec<_> =
        slots.iter().map(|(slot, devices)| SlotDevices { slot: *slot, devices: devices.clone() }).collect();
    let loaded = port.load(STREAM, &wanted).await.expect("load");
    assert_eq!((answers.len(), loaded.len()), (slots.len(), slots.len()));
    for ((slot, answer), loaded) in slots.keys().zip(answers).zip(loaded) {
        let expected = if is_refused(slot) { (Committed::Conflict, None) } else { (Committed::Done, Some(&first)) };
        for state in &loaded.states {
            assert_eq!((answer, state.kept.as_ref()), expected, "{slot:?}");
        }
    }
}

/// Runs the part about `device`, whose stored bytes are not a state.
///
/// # Panics
/// Where the port does something else.
pub async fn corrupted(port: &impl States<State = Counted>, device: &str) {
    let loaded = load(port, device).await;
    let what = "bytes that are not a state count as lost, and are reported";
    assert_eq!((loaded.kept, loaded.is_lost), (None, true), "{what}");
    let next = kept(1);
    assert_eq!(
        commit(port, commit_of(device, &loaded.version, Some(&next))).await,
        Committed::Done,
        "and are replaced"
    );
    assert_eq!(load(port, device).await.kept, Some(next));
}
