//! State in Redis: one string for each device, `myaku:<function's state>:{<slot>}:<device>`, with a time to live.

use super::super::{State, codec};
use super::{Commit, Committed, Loaded, States, read};
use crate::platform::errors::RemoteError;
use crate::platform::redis::{Call, Connection, Script};
use crate::stream::kpl::md5_all;
use crate::stream::shard_map::hash_key;
use futures::future::try_join_all;
use std::marker::PhantomData;
use std::time::Duration;

/// Sets each key whose head is the version that was loaded, or the head of the state to set: then the answer of an earlier
/// try was lost. A key of another type has no head, and is replaced. `ARGV` is the time to live, and for each key the
/// version and the state. The answer names the keys, counted from 1, that have another head.
const COMPARE_AND_SET: &str = r"
local call, pcall, sub = redis.call, redis.pcall, string.sub
local keys, argv, ttl = KEYS, ARGV, ARGV[1]
local conflicts = {}
for i = 1, #keys do
  local head, state = pcall('GETRANGE', keys[i], 0, 15), argv[2 * i + 1]
  if type(head) == 'table' then head = '' end
  if head == argv[2 * i] or head == sub(state, 1, 16) then
    call('SETEX', keys[i], ttl, state)
  else
    conflicts[#conflicts + 1] = i
  end
end
return conflicts
";
/// How many states one call of the script sets, at most. A server does nothing else meanwhile, and a hundred take it less
/// than half a millisecond.
const STATES_MAX: usize = 100;
/// How many bytes of states one call sets, at most, unless one state alone has more.
const BYTES_MAX: usize = 256 * 1024;

/// State in Redis.
pub struct RedisStates<S> {
    connection: Connection,
    script: Script,
    ttl_seconds: u64,
    state: PhantomData<fn() -> S>,
}

impl<S: State> RedisStates<S> {
    /// State over `connection`. A device that is silent for `ttl` is forgotten.
    pub fn new(connection: Connection, ttl: Duration) -> Self {
        let ttl_seconds = ttl.as_secs().max(1);
        Self { connection, script: Script::new(COMPARE_AND_SET), ttl_seconds, state: PhantomData }
    }

    /// The key of a device's state. The hash tag in braces decides its slot in a cluster: it is the first byte of the
    /// device's hash key in Kinesis.
    ///
    /// So the devices of a batch, which are of one shard, have few slots, and fewer the more shards there are: one call sets
    /// many states of one slot. 256 slots spread the devices evenly over dozens of nodes, and stay far below what
    /// ElastiCache Serverless accepts for one slot. A state under another key counts as lost.
    ///
    /// ```
    /// use myaku::keyed::states::redis::RedisStates;
    /// use myaku::window::DeviceState;
    /// assert_eq!(RedisStates::<DeviceState>::key("bed-17"), "myaku:window:{e4}:bed-17");
    /// ```
    pub fn key(device_id: &str) -> String {
        key_in::<S>(slot(device_id), device_id)
    }

    /// Commits those of `commits` that are in `part`, and returns which of them conflict.
    async fn commit_part(
        &self,
        commits: &[Commit<'_, S>],
        slots: &[u8],
        part: &[usize],
    ) -> Result<Vec<usize>, RemoteError> {
        let keys: Vec<String> = part.iter().map(|&index| key_in::<S>(slots[index], commits[index].device_id)).collect();
        let mut call = Call::new(&self.script, &keys);
        call.argument(self.ttl_seconds.to_string());
        let mut state = Vec::new();
        for &index in part {
            codec::encode_into(&mut state, commits[index].state);
            call.argument(&commits[index].replaces.0).argument(&state);
        }
        let numbers: Vec<usize> = self.connection.run_script(&self.script, &call).await?;
        Ok(numbers.into_iter().filter_map(|number| part.get(number.checked_sub(1)?).copied()).collect())
    }
}

fn key_in<S: State>(slot: u8, device_id: &str) -> String {
    format!("myaku:{}:{{{slot:02x}}}:{device_id}", S::NAME)
}

/// The byte of a device's hash tag.
fn slot(device_id: &str) -> u8 {
    hash_key(device_id).to_be_bytes()[0]
}

/// As [`slot`], for many devices, whose digests are computed together.
fn slots<'a>(devices: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let devices: Vec<&[u8]> = devices.map(str::as_bytes).collect();
    md5_all(&devices).into_iter().map(|digest| digest[0]).collect()
}

/// Which of `commits`, whose slots are `slots`, go into one call each: few enough, not too large together, and of one slot
/// where `by_slot` says so.
fn parts<S: State>(commits: &[Commit<'_, S>], slots: &[u8], by_slot: bool) -> Vec<Vec<usize>> {
    let slots: Vec<u8> = slots.iter().map(|slot| if by_slot { *slot } else { 0 }).collect();
    let mut order: Vec<usize> = (0..commits.len()).collect();
    order.sort_by_key(|&index| slots[index]);
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for index in order {
        bytes += codec::size_hint(commits[index].state);
        match parts.last_mut() {
            Some(part) if part.len() < STATES_MAX && bytes <= BYTES_MAX && slots[part[0]] == slots[index] => {
                part.push(index);
            }
            _ => {
                bytes = codec::size_hint(commits[index].state);
                parts.push(vec![index]);
            }
        }
    }
    parts
}

impl<S: State> States for RedisStates<S> {
    type State = S;

    fn slot(&self, device: &str) -> u8 {
        if self.connection.is_cluster() { slot(device) } else { 0 }
    }

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<S>>, RemoteError> {
        let slots = slots(devices.iter().copied());
        let keys: Vec<String> = devices.iter().zip(slots).map(|(device, slot)| key_in::<S>(slot, device)).collect();
        let values = self.connection.get_many(&keys).await?;
        Ok(values.iter().map(|value| read(value.as_deref())).collect())
    }

    async fn commit(&self, commits: &[Commit<'_, S>]) -> Result<Vec<Committed>, RemoteError> {
        let slots = &slots(commits.iter().map(|commit| commit.device_id));
        let parts = parts(commits, slots, self.connection.is_cluster());
        let conflicts = try_join_all(parts.iter().map(|part| self.commit_part(commits, slots, part))).await?;
        let mut committed = vec![Committed::Done; commits.len()];
        for index in conflicts.into_iter().flatten() {
            committed[index] = Committed::Conflict;
        }
        Ok(committed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Version;
    use super::super::conformance::Counted;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_commit_is_in_one_call_with_its_own_slot_and_no_call_is_too_long(
            devices in prop::collection::vec("[a-z]{1,4}", 0..500),
            by_slot: bool,
        ) {
            let (version, state) = (Version::default(), Counted::default());
            let commits: Vec<_> =
                devices.iter().map(|device_id| Commit { device_id, replaces: &version, state: &state }).collect();
            let slots = slots(devices.iter().map(String::as_str));
            for (slot, device) in slots.iter().zip(&devices) {
                prop_assert_eq!(key_in::<Counted>(*slot, device), RedisStates::<Counted>::key(device));
            }
            let parts = parts(&commits, &slots, by_slot);
            for part in &parts {
                prop_assert!((1..=STATES_MAX).contains(&part.len()));
                let one_slot = part.iter().all(|index| slots[*index] == slots[part[0]]);
                prop_assert!(one_slot || !by_slot);
            }
            let mut all = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..devices.len()).collect::<Vec<_>>());
        }
    }
}
