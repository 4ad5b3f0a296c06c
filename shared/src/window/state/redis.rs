//! State in Redis or Valkey: one string a device, `myaku:window:{<slot>}:<device>`, with a time to live.

use super::{Commit, Committed, Loaded, States, codec, read};
use crate::platform::errors::RemoteError;
use crate::platform::redis::{Call, Connection, Script};
use crate::stream::kpl::md5_all;
use crate::stream::shard_map::hash_key;
use futures::future::try_join_all;
use std::time::Duration;

/// Sets each key whose head is the version that was loaded, or the very state that is to be set: then an earlier try's
/// answer was lost. A key of another type counts as having no head, and is replaced. `ARGV` is the time to live, and for
/// each key the version and the state; the answer names the keys, from 1, that have another head.
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
/// States of one call of the script, at most: a server does nothing else while it runs one, and a hundred take it less than
/// half a millisecond.
const STATES_MAX: usize = 100;
/// Bytes of the states of one call, at most, unless one alone has more.
const BYTES_MAX: usize = 256 * 1024;

/// State in Redis or Valkey.
pub struct RedisStates {
    connection: Connection,
    script: Script,
    ttl_seconds: u64,
}

impl RedisStates {
    /// State behind `connection`; a device that is silent for `ttl` is forgotten.
    pub fn new(connection: Connection, ttl: Duration) -> Self {
        Self { connection, script: Script::new(COMPARE_AND_SET), ttl_seconds: ttl.as_secs().max(1) }
    }

    /// The key of a device's state. In braces stands a hash tag, which decides its slot in a cluster: the first byte of
    /// the device's hash key in Kinesis.
    ///
    /// So the devices of a batch, which are of one shard, are of few slots, and fewer the more shards there are: a call
    /// takes many states of one slot. 256 slots spread the devices evenly over dozens of nodes, and keep far from what
    /// ElastiCache Serverless takes for one slot. A state under another key counts as lost.
    ///
    /// ```
    /// use myaku::window::state::redis::RedisStates;
    /// assert_eq!(RedisStates::key("bed-17"), "myaku:window:{e4}:bed-17");
    /// ```
    pub fn key(device_id: &str) -> String {
        key_in(slot(device_id), device_id)
    }

    /// Commits those of `commits` that are in `part`, and returns which of them somebody else was before.
    async fn commit_part(
        &self,
        commits: &[Commit<'_>],
        slots: &[u8],
        part: &[usize],
    ) -> Result<Vec<usize>, RemoteError> {
        let keys: Vec<String> = part.iter().map(|&index| key_in(slots[index], commits[index].device_id)).collect();
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

fn key_in(slot: u8, device_id: &str) -> String {
    format!("myaku:window:{{{slot:02x}}}:{device_id}")
}

/// The byte of a device's hash tag.
fn slot(device_id: &str) -> u8 {
    hash_key(device_id).to_be_bytes()[0]
}

/// As [`slot`], of many devices, their digests taken at once.
fn slots<'a>(devices: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let devices: Vec<&[u8]> = devices.map(str::as_bytes).collect();
    md5_all(&devices).into_iter().map(|digest| digest[0]).collect()
}

/// Which of `commits`, whose slots are `slots`, go into one call each: of one slot where they must be, few enough, and
/// not too large together.
fn parts(commits: &[Commit<'_>], slots: &[u8], by_slot: bool) -> Vec<Vec<usize>> {
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

impl States for RedisStates {
    fn slot(&self, device: &str) -> u8 {
        if self.connection.is_cluster() { slot(device) } else { 0 }
    }

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded>, RemoteError> {
        let slots = slots(devices.iter().copied());
        let keys: Vec<String> = devices.iter().zip(slots).map(|(device, slot)| key_in(slot, device)).collect();
        let values = self.connection.get_many(&keys).await?;
        Ok(values.iter().map(|value| read(value.as_deref())).collect())
    }

    async fn commit(&self, commits: &[Commit<'_>]) -> Result<Vec<Committed>, RemoteError> {
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
    use super::*;
    use crate::window::DeviceState;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_commit_is_in_one_call_with_its_own_slot_and_no_call_is_too_long(
            devices in prop::collection::vec("[a-z]{1,4}", 0..500),
            by_slot: bool,
        ) {
            let (version, state) = (Version::default(), DeviceState::default());
            let commits: Vec<_> =
                devices.iter().map(|device_id| Commit { device_id, replaces: &version, state: &state }).collect();
            let slots = slots(devices.iter().map(String::as_str));
            for (slot, device) in slots.iter().zip(&devices) {
                prop_assert_eq!(key_in(*slot, device), RedisStates::key(device));
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
