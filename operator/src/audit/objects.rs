//! Lists, fetches and reads the objects of one hour.

use super::options::Options;
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use myaku::lake::archive::audit::{AuditedObject, Finding, Kind};
use myaku::lake::archive::{Format, Hour, Lake, ObjectKey, hour_prefix, stream_format};
use std::collections::BTreeMap;

/// Reads which format the objects of a stream have.
pub(super) async fn format(lake: &impl Lake, stream: &str) -> Result<Option<Format>> {
    stream_format(lake, stream).await.context("cannot read the note of the lake's format")
}

/// Reads the objects of an hour by shard, in the order of their keys, and finds what is there and is not an object.
pub(super) async fn read(
    lake: &impl Lake,
    options: &Options,
    format: Option<Format>,
    hour: Hour,
) -> Result<(BTreeMap<String, Vec<AuditedObject>>, Vec<Finding>)> {
    let prefix = hour_prefix(&options.stream, hour);
    let keys = lake.list(&prefix).await.with_context(|| format!("cannot list the lake under {prefix}"))?;
    let mut findings = Vec::new();
    let mut objects = Vec::new();
    for key in keys {
        match key.parse::<ObjectKey>() {
            Ok(key) if format.is_none_or(|format| format == key.format) => objects.push(key),
            Ok(other) => {
                let what = format!(
                    "the stream's objects are {}, so another object fills its slot",
                    format.unwrap_or_default()
                );
                findings.push(Finding::new(Kind::Foreign, other, what));
            }
            Err(_) => findings.push(Finding::new(Kind::Foreign, key, "the archiver writes no such key")),
        }
    }
    let seen = stream::iter(objects.into_iter().map(|key| async move {
        let name = key.to_string();
        let stored = lake.get(&name).await.with_context(|| format!("cannot fetch {name} from the lake"))?;
        // An object that was deleted after the listing counts as one that was never there.
        anyhow::Ok(stored.map(|stored| AuditedObject::of(key, &stored)))
    }));
    let seen: Vec<_> = seen.buffered(options.concurrency).try_collect().await?;
    let mut shards = BTreeMap::<String, Vec<AuditedObject>>::new();
    for seen in seen.into_iter().flatten() {
        shards.entry(seen.key.of.shard.clone()).or_default().push(seen);
    }
    Ok((shards, findings))
}
