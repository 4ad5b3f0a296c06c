//! Keeps the watch in Redis or Valkey.
//!
//! Each lane is a sorted set of devices by their time, `myaku:watch:<lane>`. Places are strings. A device takes about
//! 120 bytes.

use super::{Expected, Hears, LANES, Watch};
use crate::platform::clock::{Now as _, SystemClock};
use crate::platform::errors::RemoteError;
use crate::platform::lane::lane;
use crate::platform::redis::{Call, Connection, Member, Patience, Script};
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::time::Duration;

/// Removes each device (`ARGV`: device, time, device, time…) that still has its time.
const DROP_UNHEARD: &str = r"
local dropped = 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    dropped = dropped + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return dropped
";
/// The number of devices in one call of the script.
const DEVICES: usize = 500;

/// The watch in Redis or Valkey.
pub struct RedisWatch {
    connection: Connection,
    script: Script,
}

impl RedisWatch {
    /// The watch in the Redis of `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { connection, script: Script::new(DROP_UNHEARD) }
    }

    fn key(lane: u8) -> String {
        format!("myaku:watch:{lane:02}")
    }

    fn place_key(name: &str) -> String {
        format!("myaku:watch:place:{name}")
    }
}

/// Groups devices by their lane.
fn by_lane(expected: &[Expected]) -> BTreeMap<u8, Vec<&Expected>> {
    let mut lanes = BTreeMap::<u8, Vec<&Expected>>::new();
    for one in expected {
        lanes.entry(lane(&one.device_id, LANES)).or_default().push(one);
    }
    lanes
}

impl Hears for RedisWatch {
    async fn heard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        let sets = by_lane(expected).into_iter().map(|(lane, expected)| {
            let members = expected.iter().map(|it| Member { name: it.device_id.clone(), score: it.by_ms });
            (Self::key(lane), members.collect())
        });
        self.connection.raise_scores(&sets.collect::<Vec<_>>()).await
    }
}

impl Watch for RedisWatch {
    async fn overdue(&self, lane: u8, now_ms: i64, limit: usize) -> Result<Vec<Expected>, RemoteError> {
        let members = self.connection.members_below(&Self::key(lane), now_ms, limit).await?;
        Ok(members.into_iter().map(|member| Expected { device_id: member.name, by_ms: member.score }).collect())
    }

    async fn expected(&self, device_ids: &[&str]) -> Result<Vec<Option<i64>>, RemoteError> {
        let members = device_ids.iter().map(|id| (Self::key(lane(id, LANES)), *id));
        self.connection.scores(&members.collect::<Vec<_>>()).await
    }

    async fn drop_unheard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        let lanes = by_lane(expected);
        let parts = lanes.iter().flat_map(|(lane, expected)| expected.chunks(DEVICES).map(move |part| (*lane, part)));
        let calls = parts.map(|(lane, part)| {
            let mut call = Call::new(&self.script, &[Self::key(lane)]);
            for one in part {
                call.argument(&one.device_id).argument(one.by_ms.to_string());
            }
            call
        });
        let calls: Vec<Call> = calls.collect();
        let run = calls.iter().map(|call| self.connection.run_script::<i64>(&self.script, call));
        try_join_all(run).await.map(drop)
    }

    async fn place(&self, name: &str) -> Result<Option<String>, RemoteError> {
        let values = self.connection.get_many(&[Self::place_key(name)]).await?;
        // A value that is not text is not one of our places, and counts as lost.
        Ok(values.into_iter().next().flatten().and_then(|value| String::from_utf8(value).ok()))
    }

    async fn keep_place(&self, name: &str, place: &str, ttl: Duration) -> Result<(), RemoteError> {
        self.connection.set_many(&[(Self::place_key(name), place.as_bytes().to_vec())], ttl).await
    }
}

/// The watch for functions that report what they hear in addition to their own work, which must not wait. If the watch
/// does not answer soon, it is not called for a while.
pub struct PatientWatch {
    watch: RedisWatch,
    patience: Patience,
}

impl PatientWatch {
    /// The watch in the Redis of `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { watch: RedisWatch::new(connection), patience: Patience::new("the watch") }
    }
}

impl Hears for PatientWatch {
    async fn heard(&self, expected: &[Expected]) -> Result<(), RemoteError> {
        let now_ms = SystemClock.now_ms();
        if !self.patience.is_paused(now_ms) {
            self.patience.wait(now_ms, self.watch.heard(expected)).await;
        }
        Ok(())
    }
}
