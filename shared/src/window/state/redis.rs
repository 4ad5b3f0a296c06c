//! State in Redis or Valkey: one string a device, `myaku:window:{<device>}`, with a time to live.

use super::{Commit, Committed, Loaded, States, codec, read};
use crate::errors::RemoteError;
use crate::valkey::{Call, Connection, Script};
use std::time::Duration;

/// Sets the key if its head is the version that was loaded, or the very state that is to be set: then an earlier try's
/// answer was lost. A key of another type counts as having no head, and is replaced.
const COMPARE_AND_SET: &str = r"
local head = redis.pcall('GETRANGE', KEYS[1], 0, 15)
if type(head) == 'table' then head = '' end
if head ~= ARGV[1] and head ~= string.sub(ARGV[2], 1, 16) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
";

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

    /// The key of a device's state. The braces are a hash tag, so that scripts can later take more of its keys.
    pub fn key(device_id: &str) -> String {
        format!("myaku:window:{{{device_id}}}")
    }
}

impl States for RedisStates {
    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded>, RemoteError> {
        let keys: Vec<String> = devices.iter().map(|device| Self::key(device)).collect();
        let values = self.connection.get_many(&keys).await?;
        Ok(values.iter().map(|value| read(value.as_deref())).collect())
    }

    async fn commit(&self, commits: &[Commit<'_>]) -> Result<Vec<Committed>, RemoteError> {
        let ttl = self.ttl_seconds.to_string().into_bytes();
        let calls: Vec<Call> = commits
            .iter()
            .map(|commit| Call {
                key: Self::key(commit.device_id),
                arguments: vec![commit.replaces.0.clone(), codec::encode(commit.state), ttl.clone()],
            })
            .collect();
        let answers = self.connection.run_script(&self.script, &calls).await?;
        Ok(answers.into_iter().map(|done| if done == 1 { Committed::Done } else { Committed::Conflict }).collect())
    }
}
