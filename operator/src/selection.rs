//! Which records of the lake are wanted, and reading them in order.

use crate::audit::every;
use anyhow::{Context as _, Result};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use myaku::device::decoding::Content;
use myaku::lake::archive::{Hour, Lake, LakeRecord, ObjectKey, ShardHour, hour_prefix, read_object};
use myaku::stream::batch::UserRecord;
use std::ops::Range;

/// Objects that are fetched ahead.
const AHEAD: usize = 8;

/// Which records of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The stream that was archived.
    pub stream: String,
    /// When they arrived, in milliseconds since the epoch; the end is excluded.
    pub arrived_ms: Range<i64>,
    /// Of this shard alone.
    pub shard: Option<String>,
    /// Of this device, or this source of records of other forms, alone.
    pub device: Option<String>,
}

impl Selection {
    /// Whether a record is among them.
    pub fn has(&self, record: &LakeRecord) -> bool {
        let device = |wanted: &String| Content::of(&user_record(record)).device_id() == Some(wanted);
        self.arrived_ms.contains(&record.arrived_ms) && self.device.as_ref().is_none_or(device)
    }

    /// The objects that may have some, by hour, shard and position.
    pub async fn objects(&self, lake: &impl Lake) -> Result<Vec<ObjectKey>> {
        let hours = Hour::of(self.arrived_ms.start)..=Hour::of(self.arrived_ms.end - 1);
        let mut objects = Vec::new();
        for hour in every(&hours) {
            let prefix = match &self.shard {
                Some(shard) => ShardHour { stream: self.stream.clone(), hour, shard: shard.clone() }.prefix(),
                None => hour_prefix(&self.stream, hour),
            };
            let keys = lake.list(&prefix).await.context("the lake cannot be listed")?;
            objects.extend(keys.iter().filter_map(|key| key.parse::<ObjectKey>().ok()));
        }
        Ok(objects)
    }

    /// The wanted records of each of `objects`, in their order.
    pub fn records<'a>(
        &'a self,
        lake: &'a impl Lake,
        objects: Vec<ObjectKey>,
    ) -> impl Stream<Item = Result<(ObjectKey, Vec<LakeRecord>)>> + 'a {
        let read = move |key: ObjectKey| async move {
            let (_, mut records) = read_object(lake, &key).await?;
            records.retain(|record| self.has(record));
            anyhow::Ok((key, records))
        };
        stream::iter(objects).map(read).buffered(AHEAD).map_err(|error| error.context("the lake cannot be read"))
    }
}

/// The record as it came from its stream.
pub fn user_record(record: &LakeRecord) -> UserRecord<'_> {
    UserRecord {
        record: 0,
        sequence: &record.position.sequence,
        sub: record.position.sub,
        partition_key: &record.partition_key,
        arrived_ms: record.arrived_ms,
        data: &record.data,
    }
}
