//! Chooses records of the lake by time, shard and device, and reads them in order.

use crate::hours::each_hour;
use anyhow::{Context as _, Result};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use myaku::device::decoding::Content;
use myaku::lake::archive::{Hour, Lake, LakeRecord, ObjectKey, ShardHour, hour_prefix, read_object};
use myaku::stream::batch::UserRecord;
use std::ops::Range;

/// How many objects are fetched ahead.
const OBJECTS_AHEAD: usize = 8;

/// Which records of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The stream that was archived.
    pub stream: String,
    /// When the records arrived, in milliseconds since the epoch; the end is excluded.
    pub arrived_ms: Range<i64>,
    /// Only the records of this shard, if set.
    pub shard: Option<String>,
    /// Only the records of this device, if set; or of this source, for records that are not messages.
    pub device: Option<String>,
}

impl Selection {
    /// Whether a record of the stream, and of the shard, belongs to the selection.
    pub fn has(&self, record: &LakeRecord) -> bool {
        let device = |wanted: &String| Content::of(&user_record(record)).device_id() == Some(wanted);
        self.arrived_ms.contains(&record.arrived_ms) && self.device.as_ref().is_none_or(device)
    }

    /// Lists the objects that may hold such records, by hour, shard and position.
    pub async fn objects(&self, lake: &impl Lake) -> Result<Vec<ObjectKey>> {
        let hours = Hour::of(self.arrived_ms.start)..=Hour::of(self.arrived_ms.end - 1);
        let mut objects = Vec::new();
        for hour in each_hour(&hours) {
            let prefix = match &self.shard {
                Some(shard) => ShardHour { stream: self.stream.clone(), hour, shard: shard.clone() }.prefix(),
                None => hour_prefix(&self.stream, hour),
            };
            let keys = lake.list(&prefix).await.with_context(|| format!("cannot list the lake under {prefix}"))?;
            objects.extend(keys.iter().filter_map(|key| key.parse::<ObjectKey>().ok()));
        }
        Ok(objects)
    }

    /// Reads the selected records of each of `objects`, in order.
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
        stream::iter(objects)
            .map(read)
            .buffered(OBJECTS_AHEAD)
            .map_err(|error| error.context("cannot read an object of the lake"))
    }
}

/// Returns a record of the lake as it came from its stream.
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
