//! The ports of a stateful function.

use super::{Ports, at_once, has_bit};
use crate::plan::{Service, Stream};
use crate::world::World;
use myaku::keyed::fence::{Fence, Fences};
use myaku::keyed::progress::{Progress, ProgressStore};
use myaku::keyed::states::{Commit, Committed, LoadedSlot, SlotCommit, SlotDevices, States, Version};
use myaku::keyed::{Kept, ListShards};
use myaku::platform::errors::RemoteError;
use myaku::results::{Mark, Results, Row};
use myaku::stream::slot::Slot;
use myaku::stream::source::{Shard, Source as _};
use myaku::window::DeviceState;

impl ListShards for Ports {
    async fn list(&self) -> Result<Vec<Shard>, RemoteError> {
        let effect = |world: &World, _| at_once(world.stream(Stream::Readings).shards());
        self.call(Service::Kinesis, "list shards", "", effect).await
    }
}

impl ProgressStore for Ports {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        let (function, stream) = (function.to_owned(), stream.to_owned());
        let effect = move |world: &World, _| at_once(world.progress.read(&function, &stream));
        self.call(Service::DynamoDb, "read", "progress", effect).await
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        let (function, stream) = (function.to_owned(), stream.to_owned());
        let (before, after) = (before.clone(), after.clone());
        let effect = move |world: &World, _| {
            let answer = at_once(world.progress.change(&function, &stream, &before, &after));
            world.note(format_args!("  progress {after:?}: {answer:?}"));
            answer
        };
        self.call(Service::DynamoDb, "change", "progress", effect).await
    }
}

/// A commit of a slot that owns what it commits.
struct OwnedCommit {
    slot: Slot,
    fences: Fences,
    fence: Option<(String, Fence)>,
    forgotten: Vec<String>,
    states: Vec<(String, Version, Option<Kept<DeviceState>>)>,
}

impl OwnedCommit {
    fn of(commit: &SlotCommit<'_, DeviceState>) -> Self {
        let states = commit.states.iter();
        let states = states.map(|state| (state.device_id.to_owned(), state.replaces.clone(), state.kept.cloned()));
        Self {
            slot: commit.slot,
            fences: commit.fences.clone(),
            fence: commit.fence.map(|(shard, fence)| (shard.to_owned(), fence)),
            forgotten: commit.forgotten.iter().map(|shard| (*shard).to_owned()).collect(),
            states: states.collect(),
        }
    }

    fn borrowed(&self) -> SlotCommit<'_, DeviceState> {
        let states = self.states.iter();
        SlotCommit {
            slot: self.slot,
            fences: &self.fences,
            fence: self.fence.as_ref().map(|(shard, fence)| (shard.as_str(), *fence)),
            forgotten: self.forgotten.iter().map(String::as_str).collect(),
            states: states
                .map(|(device_id, replaces, kept)| Commit { device_id, replaces, kept: kept.as_ref() })
                .collect(),
        }
    }
}

impl States for Ports {
    type State = DeviceState;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<DeviceState>>, RemoteError> {
        let about = slots.iter().flat_map(|slot| slot.devices.iter().copied()).collect::<Vec<_>>().join(" ");
        let stream = stream.to_owned();
        let own = |device: &&str| (*device).to_owned();
        let slots: Vec<(Slot, Vec<String>)> =
            slots.iter().map(|slot| (slot.slot, slot.devices.iter().map(own).collect())).collect();
        let site = self.next_site();
        let effect = move |world: &World, _| {
            let slots: Vec<_> = slots
                .iter()
                .map(|(slot, devices)| SlotDevices {
                    slot: *slot,
                    devices: devices.iter().map(String::as_str).collect(),
                })
                .collect();
            let states = world.states_at(site);
            let loaded = at_once(states.load(&stream, &slots))?;
            for (slot, loaded) in slots.iter().zip(&loaded).filter(|(slot, _)| !slot.devices.is_empty()) {
                world.note(format_args!("  {:?} has the fences {:?}", slot.slot, loaded.fences));
            }
            Ok(loaded)
        };
        self.call(Service::Redis, "load", &about, effect).await
    }

    async fn commit(
        &self,
        stream: &str,
        commits: &[SlotCommit<'_, DeviceState>],
    ) -> Result<Vec<Committed>, RemoteError> {
        let of_slot = |commit: &SlotCommit<'_, DeviceState>| {
            commit.states.iter().map(|state| state.device_id.to_owned()).collect::<Vec<_>>()
        };
        let about = commits.iter().flat_map(of_slot).collect::<Vec<_>>().join(" ");
        let stream = stream.to_owned();
        let owned: Vec<OwnedCommit> = commits.iter().map(OwnedCommit::of).collect();
        let site = self.next_site();
        let effect = move |world: &World, bits| {
            let states = world.states_at(site);
            let mut answers = Vec::new();
            for (index, owned) in owned.iter().enumerate() {
                if !has_bit(bits, index) {
                    answers.push(Committed::Conflict);
                    continue;
                }
                let answer = at_once(states.commit(&stream, &[owned.borrowed()]))?;
                for (device, _, kept) in &owned.states {
                    let counted = kept.as_ref().map(|kept| (kept.seen.map(|seen| seen.position), kept.counted));
                    let lost_until = kept.as_ref().and_then(|kept| kept.lost_until);
                    world.note(format_args!("  commit of {device} at {counted:?}, lost {lost_until:?}: {answer:?}"));
                    if let (true, Some(kept)) = (answer.contains(&Committed::Done), kept) {
                        world.models().averages.committed(device, kept);
                    }
                }
                answers.extend(answer);
            }
            Ok(answers)
        };
        self.call(Service::Redis, "commit", &about, effect).await
    }
}

impl Results for Ports {
    async fn write(&self, rows: &[Row]) -> Result<(), RemoteError> {
        if rows.is_empty() {
            return Ok(());
        }
        let about = format!("{} rows", rows.len());
        let rows = rows.to_vec();
        let effect = move |world: &World, bits| {
            for (_, row) in rows.iter().enumerate().filter(|(index, _)| has_bit(bits, *index)) {
                at_once(world.results.write(std::slice::from_ref(row)))?;
                let stored = world.results.row(&row.device_id, row.item);
                let is_stored = stored.is_some_and(|stored| {
                    (stored.position, stored.counted, stored.updated_at) == (row.position, row.counted, row.updated_at)
                });
                let verb = if is_stored { "is written" } else { "stays out" };
                world.note(format_args!("  row {} {} {verb}: {row:?}", row.device_id, row.key()));
                if is_stored {
                    world.check(world.models().averages.written(row));
                }
            }
            Ok(())
        };
        self.call(Service::DynamoDb, "write", &about, effect).await
    }

    async fn latest_mark(&self, device_id: &str) -> Result<Option<Mark>, RemoteError> {
        let of = device_id.to_owned();
        let effect = move |world: &World, _| at_once(world.results.latest_mark(&of));
        self.call(Service::DynamoDb, "look up", device_id, effect).await
    }
}
