//! Writes the heads again that an audit found wrong.

use super::report::Report;
use anyhow::{Context as _, Result};
use myaku::lake::archive::audit::Kind;
use myaku::lake::archive::{Extent, Head, HeadsKeeper, Lake, ObjectKey, list};
use std::collections::BTreeMap;

/// Gives each shard whose head has a finding the head that follows from the lake: the end of its last object in an
/// open-ended slot, or none if it has no object. Notes in the report what it wrote. The findings stay.
pub async fn repair(lake: &impl Lake, heads: &impl HeadsKeeper, report: &mut Report) -> Result<()> {
    let wrong = report.findings.iter().filter(|finding| finding.kind == Kind::Head);
    let mut shards: BTreeMap<&str, Option<ObjectKey>> =
        wrong.filter_map(|finding| Some((finding.key.strip_prefix("head ")?, None))).collect();
    if shards.is_empty() {
        return Ok(());
    }
    for key in list(lake, &report.stream).await.context("cannot list the lake to repair heads")? {
        let Some(last) = shards.get_mut(key.of.shard.as_str()).filter(|_| key.slot.is_open_ended()) else { continue };
        // Each open-ended slot of an hour begins after the object in the one before.
        if last.as_ref().is_none_or(|last| (last.of.hour, last.slot.after) < (key.of.hour, key.slot.after)) {
            *last = Some(key);
        }
    }
    let mut repaired = Vec::new();
    for (shard, last) in shards {
        let head = match last {
            Some(key) => Some(head_at(lake, &key).await?),
            None => None,
        };
        heads
            .replace(&report.stream, shard, head)
            .await
            .with_context(|| format!("cannot write the head of {shard} to its table"))?;
        let now = head.map_or_else(|| "none: the lake has no object of its shard".to_owned(), |head| head.to_string());
        repaired.push(format!("head {shard} is now {now}"));
    }
    report.repaired = repaired;
    Ok(())
}

async fn head_at(lake: &impl Lake, key: &ObjectKey) -> Result<Head> {
    let metadata = lake.metadata(&key.to_string()).await?.with_context(|| format!("{key} was deleted meanwhile"))?;
    let extent = Extent::from_metadata(&metadata, &key.slot).map_err(anyhow::Error::msg);
    let extent = extent.with_context(|| format!("cannot repair the head of {}: {key} is damaged", key.of.shard))?;
    Ok(Head { hour: key.of.hour, last: extent.last })
}
