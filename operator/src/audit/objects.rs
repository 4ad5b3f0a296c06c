//! Lists, fetches and reads the objects of one hour.

use super::options::Options;
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use myaku::lake::archive::audit::{AuditedObject, Finding, Kind, unwritten, wrong_format};
use myaku::lake::archive::{ArchiveError, Format, Hour, Lake, ObjectKey, hour_prefix, stream_format};
use std::collections::BTreeMap;

/// Reads which format the objects of a stream have. A note that names none is a finding.
pub(super) async fn format(lake: &impl Lake, stream: &str) -> Result<Result<Option<Format>, Finding>> {
    match stream_format(lake, stream).await {
        Ok(format) => Ok(Ok(format)),
        Err(ArchiveError::Foreign { key, problem }) => Ok(Err(Finding::new(Kind::Damaged, key, problem))),
        Err(error) => Err(error).context("cannot read the note of the lake's format"),
    }
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
            Ok(key) => match wrong_format(&key, format) {
                Some(finding) => findings.push(finding),
                None => objects.push(key),
            },
            Err(_) => findings.push(unwritten(&key)),
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
