//! States in Redis. Each device has one string, `myaku:<state>:{<slot>}:<device>`, with a time to live. Each slot has a hash of
//! its fences, `myaku:<state>-fences:{<slot>}:<stream>`, without one.
//!
//! The hash tag in braces decides the slot in a cluster, so one script sees a slot whole. The 256 slots spread the devices
//! evenly over dozens of nodes, and stay far below what ElastiCache Serverless accepts for one slot.

use super::super::fence::{Fence, Fences};
use super::super::{State, codec};
use super::{Committed, LoadedSlot, SlotCommit, SlotDevices, States, read};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::redis::{Call, Connection, Script};
use crate::stream::slot::Slot;
use futures::future::try_join_all;
use std::marker::PhantomData;
use std::time::Duration;

/// Returns the fences and the states of some slots. `KEYS` are the keys of the fences, whose number is `ARGV[1]`, and then
/// those of the states. A key of another type than a string has no state.
const LOAD: &str = r"
local count = tonumber(ARGV[1])
local fences, states = {}, {}
for i = 1, count do
  fences[i] = redis.call('HGETALL', KEYS[i])
end
for i = count + 1, #KEYS, 1000 do
  for _, state in ipairs(redis.call('MGET', unpack(KEYS, i, math.min(i + 999, #KEYS)))) do
    states[#states + 1] = state
  end
end
return { fences, states }
";

/// Commits some slots, each of them whole or not at all, and returns the numbers of those that conflict, counted from 1.
///
/// A fence is `<position> <lost until>`, and positions compare as text. A state's version is its first 16 bytes. If it is
/// that of the state to set, the answer of an earlier try was lost. `KEYS` are, for each slot, the key of its fences and those
/// of its states. `ARGV` is the time to live and the number of slots, and then for each slot these lists, each after its length:
/// the fences that were loaded; the shard, the position and the loss of the fence to set, if any; the fences to delete; the
/// versions and the states, which are empty where nothing changes.
const COMMIT: &str = r"
local call, pcall, sub = redis.call, redis.pcall, string.sub
local keys, argv = KEYS, ARGV
local ttl, key, arg = argv[1], 0, 1
local function next()
  arg = arg + 1
  return argv[arg]
end
local conflicts = {}
for slot = 1, tonumber(next()) do
  key = key + 1
  local fences, right = keys[key], true
  for _ = 1, tonumber(next()) do
    local shard, position = next(), next()
    local now = call('HGET', fences, shard)
    right = right and now and sub(now, 1, 67) >= position
  end
  local shard, position, lost = next(), next(), next()
  local forgotten = {}
  for i = 1, tonumber(next()) do
    forgotten[i] = next()
  end
  local count = tonumber(next())
  for i = 1, count do
    local head, state = pcall('GETRANGE', keys[key + i], 0, 15), argv[arg + 2 * i]
    if type(head) == 'table' then head = '' end
    if head ~= argv[arg + 2 * i - 1] and (state == '' or head ~= sub(state, 1, 16)) then right = false end
  end
  if right then
    for i = 1, count do
      local state = argv[arg + 2 * i]
      if state ~= '' then call('SETEX', keys[key + i], ttl, state) end
    end
    if #forgotten > 0 then call('HDEL', fences, unpack(forgotten)) end
    if shard ~= '' then
      local before = call('HGET', fences, shard)
      if before then
        if sub(before, 1, 67) > position then position = sub(before, 1, 67) end
        local known = sub(before, 69)
        if lost == '' or (known ~= '' and tonumber(known) > tonumber(lost)) then lost = known end
      end
      call('HSET', fences, shard, position .. ' ' .. lost)
    end
  else
    conflicts[#conflicts + 1] = slot
  end
  key, arg = key + count, arg + 2 * count
end
return conflicts
";

/// How much one call covers at most, unless one slot alone is more: slots and states together. A server does nothing else
/// meanwhile, and so many take it less than a millisecond.
const ITEMS_MAX: usize = 150;
/// How many bytes of states one call sets, at most, unless one slot alone has more.
const BYTES_MAX: usize = 256 * 1024;

/// What [`LOAD`] returns: the fences of each slot, and then the states.
type LoadAnswer = (Vec<Vec<String>>, Vec<Option<Vec<u8>>>);

/// States in Redis.
pub struct RedisStates<S> {
    connection: Connection,
    load: Script,
    commit: Script,
    ttl_seconds: u64,
    state: PhantomData<fn() -> S>,
}

impl<S: State> RedisStates<S> {
    /// States over `connection`. A device that is silent for `ttl` is forgotten.
    pub fn new(connection: Connection, ttl: Duration) -> Self {
        let (load, commit) = (Script::new(LOAD), Script::new(COMMIT));
        Self { connection, load, commit, ttl_seconds: ttl.as_secs().max(1), state: PhantomData }
    }

    /// The key of a device's state. A state under another key counts as lost.
    ///
    /// ```
    /// use myaku::keyed::states::redis::RedisStates;
    /// use myaku::window::DeviceState;
    /// assert_eq!(RedisStates::<DeviceState>::key("bed-17"), "myaku:window:{e4}:bed-17");
    /// ```
    pub fn key(device_id: &str) -> String {
        key_in::<S>(Slot::of(device_id), device_id)
    }

    async fn load_part(&self, stream: &str, part: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<S>>, RemoteError> {
        let fences = part.iter().map(|slot| fences_key::<S>(slot.slot, stream));
        let states = part.iter().flat_map(|slot| slot.devices.iter().map(|device| key_in::<S>(slot.slot, device)));
        let keys: Vec<String> = fences.chain(states).collect();
        let mut call = Call::new(&self.load, &keys);
        call.argument(part.len().to_string());
        let (fences, states): LoadAnswer = self.connection.run_script(&self.load, &call).await?;
        let mut states = states.into_iter();
        let lacking =
            || RemoteError::new("EVALSHA", Remedy::Retry, "the answer lacks a slot, or has a fence that is none");
        let load = |(wanted, fences): (&SlotDevices<'_>, Vec<String>)| {
            let states = states.by_ref().take(wanted.devices.len()).map(|state| read(state.as_deref())).collect();
            Some(LoadedSlot { fences: parse_fences(&fences)?, states })
        };
        let loaded: Option<Vec<_>> = part.iter().zip(fences).map(load).collect();
        loaded.filter(|loaded| loaded.len() == part.len()).ok_or_else(lacking)
    }

    /// Returns which of `part` conflict, counted from 1.
    async fn commit_part(&self, stream: &str, part: &[SlotCommit<'_, S>]) -> Result<Vec<usize>, RemoteError> {
        let keys = part.iter().flat_map(|commit| {
            let states = commit.states.iter().map(|state| key_in::<S>(commit.slot, state.device_id));
            std::iter::once(fences_key::<S>(commit.slot, stream)).chain(states)
        });
        let mut call = Call::new(&self.commit, &keys.collect::<Vec<_>>());
        call.argument(self.ttl_seconds.to_string()).argument(part.len().to_string());
        let mut bytes = Vec::new();
        for commit in part {
            call.argument(commit.fences.len().to_string());
            for (shard, fence) in commit.fences {
                call.argument(shard).argument(fence.position.to_string());
            }
            match commit.fence {
                None => call.argument("").argument("").argument(""),
                Some((shard, fence)) => {
                    let lost_until = fence.lost_until.map_or_else(String::new, |until| until.to_string());
                    call.argument(shard).argument(fence.position.to_string()).argument(lost_until)
                }
            };
            call.argument(commit.forgotten.len().to_string());
            for shard in &commit.forgotten {
                call.argument(shard);
            }
            call.argument(commit.states.len().to_string());
            for state in &commit.states {
                bytes.clear();
                if let Some(kept) = state.kept {
                    codec::encode_into(&mut bytes, kept);
                }
                call.argument(&state.replaces.0).argument(&bytes);
            }
        }
        self.connection.run_script(&self.commit, &call).await
    }

    /// How many slots one call covers at most: in a cluster, the keys of a script must share a slot.
    fn slots_max(&self) -> usize {
        if self.connection.is_cluster() { 1 } else { usize::MAX }
    }
}

fn key_in<S: State>(slot: Slot, device_id: &str) -> String {
    format!("myaku:{}:{{{:02x}}}:{device_id}", S::NAME, slot.0)
}

fn fences_key<S: State>(slot: Slot, stream: &str) -> String {
    format!("myaku:{}-fences:{{{:02x}}}:{stream}", S::NAME, slot.0)
}

fn parse_fences(pairs: &[String]) -> Option<Fences> {
    let parse = |pair: &[String]| {
        let [shard, fence] = pair else { return None };
        let (position, lost_until) = fence.split_once(' ')?;
        let lost_until = if lost_until.is_empty() { None } else { Some(lost_until.parse().ok()?) };
        Some((shard.clone(), Fence { position: position.parse().ok()?, lost_until }))
    };
    pairs.chunks(2).map(parse).collect()
}

/// Cuts `slots` into calls that are not too large. `size` is the number of states of a slot, and of their bytes.
fn parts<T>(slots: &[T], slots_max: usize, size: impl Fn(&T) -> (usize, usize)) -> Vec<&[T]> {
    let mut parts = Vec::new();
    let (mut begin, mut items, mut bytes) = (0, 0, 0);
    for (index, slot) in slots.iter().enumerate() {
        let (of_slot, bytes_of_slot) = size(slot);
        let is_full =
            index - begin >= slots_max || items + of_slot + 1 > ITEMS_MAX || bytes + bytes_of_slot > BYTES_MAX;
        if index > begin && is_full {
            parts.push(&slots[begin..index]);
            (begin, items, bytes) = (index, 0, 0);
        }
        items += of_slot + 1;
        bytes += bytes_of_slot;
    }
    if begin < slots.len() {
        parts.push(&slots[begin..]);
    }
    parts
}

impl<S: State> States for RedisStates<S> {
    type State = S;

    async fn load(&self, stream: &str, slots: &[SlotDevices<'_>]) -> Result<Vec<LoadedSlot<S>>, RemoteError> {
        let parts = parts(slots, self.slots_max(), |slot| (slot.devices.len(), 0));
        let loaded = try_join_all(parts.iter().map(|part| self.load_part(stream, part))).await?;
        Ok(loaded.into_iter().flatten().collect())
    }

    async fn commit(&self, stream: &str, commits: &[SlotCommit<'_, S>]) -> Result<Vec<Committed>, RemoteError> {
        let bytes = |commit: &SlotCommit<'_, S>| {
            commit.states.iter().filter_map(|state| state.kept).map(codec::size_hint).sum::<usize>()
        };
        let parts = parts(commits, self.slots_max(), |commit| (commit.states.len(), bytes(commit)));
        let conflicts = try_join_all(parts.iter().map(|part| self.commit_part(stream, part))).await?;
        let mut committed = Vec::with_capacity(commits.len());
        for (part, conflicts) in parts.iter().zip(conflicts) {
            let of_slot = |number| if conflicts.contains(&number) { Committed::Conflict } else { Committed::Done };
            committed.extend((1..=part.len()).map(of_slot));
        }
        Ok(committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_slot_is_in_one_call_and_no_call_is_too_large(
            sizes in prop::collection::vec((0_usize..200, 0_usize..300_000), 0..60),
            is_cluster: bool,
        ) {
            let slots_max = if is_cluster { 1 } else { usize::MAX };
            let parts = parts(&sizes, slots_max, |size| *size);
            prop_assert_eq!(parts.concat(), sizes.clone());
            for part in parts {
                let items: usize = part.iter().map(|(states, _)| states + 1).sum();
                let bytes: usize = part.iter().map(|(_, bytes)| bytes).sum();
                prop_assert!(part.len() == 1 || (items <= ITEMS_MAX && bytes <= BYTES_MAX && !is_cluster));
            }
        }
    }
}
