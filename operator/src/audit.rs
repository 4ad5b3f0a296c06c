//! The audit of a lake: looks at it, and hands what it saw to the judgement of [`myaku::lake::archive::audit`].
//!
//! In this order, so that a lake that is being written to is not accused: first the heads, each of which then names an
//! object that is there; then the objects, hour by hour; then the stream, where only what was old enough when the objects
//! were listed must be among them. An hour with findings is looked at a second time, and only what stays is told.
//!
//! What is kept in memory is what the objects cover, some 500 bytes each for the hours that the stream still holds; of the
//! objects' bytes, a few objects at a time; of the stream, a page for each shard that is being read.

mod objects;
mod report;
mod stream;

#[cfg(test)]
mod tests;

pub use report::{Report, StreamCompared};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream as futures_stream};
use indicatif::ProgressBar;
use myaku::lake::archive::audit::{AuditedObject, Finding, Lineage, Span, judge_head, judge_hour};
use myaku::lake::archive::{Format, HeadsReader, Hour, Lake, ShardHour};
use myaku::stream::source::Source;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// The stream's name.
    pub stream: String,
    /// The hours of arrival.
    pub hours: RangeInclusive<Hour>,
    /// What arrived up to this time must be in the lake, in milliseconds since the epoch.
    pub archived_ms: i64,
    /// The stream has forgotten nothing that arrived since this time, in milliseconds since the epoch.
    pub held_since_ms: i64,
    /// Objects that are fetched at a time.
    pub concurrency: usize,
}

/// The objects of each shard's hour that was looked at, where something has still to be judged.
type Hours = BTreeMap<String, BTreeMap<Hour, Vec<AuditedObject>>>;

/// Audits `lake`. Without a `source`, nothing is held against the stream, and Kinesis is not asked for its shards.
pub async fn audit(
    lake: &impl Lake,
    heads: &impl HeadsReader,
    source: Option<&impl Source>,
    options: &Options,
    progress: &ProgressBar,
) -> Result<Report> {
    let mut report = Report::of(options);
    progress.set_message("asking for the heads and the shards");
    let heads = heads.all(&options.stream).await.context("the heads cannot be read")?;
    let shards = match source {
        Some(source) => source.shards().await.context("the stream cannot be asked for its shards")?,
        None => Vec::new(),
    };
    let span = |shard: &myaku::stream::source::Shard| {
        (shard.id.clone(), Span { starting: shard.starting, ending: shard.ending })
    };
    let lineage: Lineage = shards.iter().map(span).collect();
    let format = objects::format(lake, &options.stream).await?;

    let hours: Vec<Hour> = every(&options.hours).collect();
    progress.set_length(hours.len() as u64);
    progress.set_message("looking at the objects");
    let mut kept = Hours::new();
    // Hours one after the other, the objects of each at the same time: what is kept stays in order, and bounded.
    for hour in hours {
        let looked = look(lake, options, format, hour, &lineage).await?;
        let looked =
            if looked.findings.is_empty() { looked } else { look(lake, options, format, hour, &lineage).await? };
        report.findings.extend(looked.findings);
        for (shard, head) in heads.iter().filter(|(_, head)| head.hour == hour) {
            report.findings.extend(judge_head(shard, head, looked.shards.get(shard).map_or(&[], Vec::as_slice)));
            report.heads += 1;
        }
        for (shard, seen) in looked.shards {
            report.count(&seen);
            if source.is_some() {
                kept.entry(shard).or_default().insert(hour, seen);
            }
        }
        progress.inc(1);
    }
    if let Some(source) = source {
        // Where the lake has nothing of a shard, everything of it may be missing.
        for shard in &shards {
            let of_shard = kept.entry(shard.id.clone()).or_default();
            for hour in every(&options.hours) {
                of_shard.entry(hour).or_default();
            }
        }
        let known: Vec<_> = shards.iter().map(|shard| shard.id.as_str()).collect();
        compare(source, (options, format.unwrap_or_default()), &known, &kept, &mut report, progress).await?;
    }
    report.finish();
    Ok(report)
}

/// Holds each shard that the stream knows against its objects, some shards at a time.
async fn compare(
    source: &impl Source,
    (options, format): (&Options, Format),
    shards: &[&str],
    kept: &Hours,
    report: &mut Report,
    progress: &ProgressBar,
) -> Result<()> {
    progress.set_position(0);
    progress.set_length(shards.len() as u64);
    progress.set_message("comparing with the stream");
    let compared = futures_stream::iter(shards.iter().map(|shard| {
        let of = ShardHour { stream: options.stream.clone(), hour: *options.hours.start(), shard: (*shard).to_owned() };
        async move {
            let compared = stream::compare(source, &of, (options, format), &kept[*shard]).await;
            progress.inc(1);
            compared.with_context(|| format!("shard {shard} of the stream cannot be read"))
        }
    }));
    let compared: Vec<_> = compared.buffer_unordered(stream::SHARDS_AT_A_TIME).try_collect().await?;
    for (compared, findings) in compared {
        report.compared(compared);
        report.findings.extend(findings);
    }
    Ok(())
}

/// What one hour came to.
struct Looked {
    shards: BTreeMap<String, Vec<AuditedObject>>,
    findings: Vec<Finding>,
}

async fn look(
    lake: &impl Lake,
    options: &Options,
    format: Option<Format>,
    hour: Hour,
    lineage: &Lineage,
) -> Result<Looked> {
    let (shards, mut findings) = objects::look(lake, options, format, hour).await?;
    for seen in shards.values() {
        findings.extend(judge_hour(seen));
        findings.extend(seen.iter().filter_map(|object| lineage.judge(object)));
    }
    Ok(Looked { shards, findings })
}

/// The hours of a range.
pub(crate) fn every(hours: &RangeInclusive<Hour>) -> impl Iterator<Item = Hour> + use<> {
    let last = *hours.end();
    let following = move |hour: &Hour| (*hour < last).then(|| hour.next());
    std::iter::successors((*hours.start() <= last).then_some(*hours.start()), following)
}
