//! Audits a lake: reads it, and has [`myaku::lake::archive::audit`] judge what was read.
//!
//! The order of reading matters, because the lake may be written to at the same time. The heads come first, so that
//! each names an object that exists. The objects come next, hour by hour. The stream comes last, and only records that
//! were old enough when the objects were listed must be among them. An hour with findings is read a second time, and
//! only the findings of the second time are reported.
//!
//! The hours say nothing of what lies outside them. So all keys of the stream are listed, unless there are too many.
//!
//! Memory holds what the objects cover, which is some 500 bytes for each object of the hours that the stream still
//! holds; the bytes of a few objects at a time; one page of each shard that is being read; and the keys of the stream,
//! some 300 bytes for each, while they are judged.

mod objects;
mod options;
mod repair;
mod report;
mod stream;

#[cfg(test)]
mod tests;

pub use options::Options;
pub use repair::repair;
pub use report::{Report, StreamCompared};

use crate::hours::each_hour;
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream as futures_stream};
use indicatif::ProgressBar;
use myaku::lake::archive::audit::{
    AuditedObject, Finding, Kind, Known, Lineage, Span, judge_head, judge_hour, judge_keys,
};
use myaku::lake::archive::{AllHeads, Format, Head, HeadsKeeper, Hour, Lake, ShardHour, Survey, stream_prefix};
use myaku::stream::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The objects of each shard and hour, for the comparison with the stream.
type ObjectsByHour = BTreeMap<String, BTreeMap<Hour, Vec<AuditedObject>>>;

/// Audits `lake`. Without a `source`, it does not compare the lake with the stream, and calls nothing of Kinesis.
pub async fn audit(
    lake: &(impl Lake + Survey),
    heads: &impl HeadsKeeper,
    source: Option<&impl Source>,
    options: &Options,
    progress: &ProgressBar,
) -> Result<Report> {
    let mut report = Report::of(options);
    progress.set_message("reading heads and shards");
    let heads = heads
        .all(&options.stream)
        .await
        .with_context(|| format!("cannot read the heads of {} from their table", options.stream))?;
    let shards = match source {
        Some(source) => {
            source.shards().await.with_context(|| format!("cannot list the shards of the stream {}", options.stream))?
        }
        None => Vec::new(),
    };
    let span = |shard: &myaku::stream::source::Shard| {
        (shard.id.clone(), Span { starting: shard.starting, ending: shard.ending })
    };
    let lineage: Lineage = shards.iter().map(span).collect();
    let format = objects::format(lake, &options.stream).await?.unwrap_or_else(|finding| {
        report.findings.push(finding);
        None
    });
    let heads = judged_alone(heads, options, &mut report);

    let hours: Vec<Hour> = each_hour(&options.hours).collect();
    progress.set_length(hours.len() as u64);
    progress.set_message("reading objects");
    let mut objects = ObjectsByHour::new();
    // One hour after the other, and the objects of an hour concurrently: memory stays bounded, and the order is kept.
    for hour in hours {
        let read = read_hour(lake, options, format, hour, &lineage).await?;
        let read =
            if read.findings.is_empty() { read } else { read_hour(lake, options, format, hour, &lineage).await? };
        report.findings.extend(read.findings);
        for (shard, head) in heads.iter().filter(|(_, head)| head.hour == hour) {
            report.findings.extend(judge_head(shard, head, read.shards.get(shard).map_or(&[], Vec::as_slice)));
            report.heads += 1;
        }
        for (shard, seen) in read.shards {
            report.count(&seen);
            if source.is_some() {
                objects.entry(shard).or_default().insert(hour, seen);
            }
        }
        progress.inc(1);
    }
    let known =
        Known { stream: &options.stream, format, lineage: &lineage, read: &options.hours, latest: options.latest() };
    sweep(lake, options.sweep_max, known, &mut report, progress).await?;
    if let Some(source) = source {
        report.begin_comparison(options);
        // A shard without objects is compared, too: all of its records may be missing.
        for shard in &shards {
            let of_shard = objects.entry(shard.id.clone()).or_default();
            for hour in each_hour(&options.hours) {
                of_shard.entry(hour).or_default();
            }
        }
        let known: Vec<_> = shards.iter().map(|shard| shard.id.as_str()).collect();
        compare(source, (options, format.unwrap_or_default()), &known, &objects, &mut report, progress).await?;
    }
    report.finish();
    Ok(report)
}

/// Reports the heads that are wrong whatever the lake has, and returns the others.
fn judged_alone(heads: AllHeads, options: &Options, report: &mut Report) -> Vec<(String, Head)> {
    let mut good = Vec::new();
    for (shard, head) in heads {
        let problem = match head {
            Ok(head) if head.hour > options.latest() => format!("it is in {}, which has not come yet", head.hour),
            Ok(head) => {
                good.push((shard, head));
                continue;
            }
            Err(problem) => problem,
        };
        report.findings.push(Finding::new(Kind::Head, format_args!("head {shard}"), problem));
        report.heads += 1;
    }
    good
}

/// Lists all keys of the stream, if there are at most `max`, and judges them.
async fn sweep(
    lake: &impl Survey,
    max: usize,
    known: Known<'_>,
    report: &mut Report,
    progress: &ProgressBar,
) -> Result<()> {
    if max == 0 {
        return Ok(());
    }
    progress.set_message("listing all keys of the stream");
    let prefix = stream_prefix(known.stream);
    let listed = lake.survey(&prefix, max).await.with_context(|| format!("cannot list the lake under {prefix}"))?;
    if let Some(listed) = listed {
        let reported: BTreeSet<&str> = report.findings.iter().map(|finding| finding.key.as_str()).collect();
        let found = judge_keys(&listed, known, &reported);
        report.findings.extend(found);
        report.keys = Some(listed.len() as u64);
    }
    Ok(())
}

/// Compares each shard of the stream with its objects, some shards at a time.
async fn compare(
    source: &impl Source,
    (options, format): (&Options, Format),
    shards: &[&str],
    objects: &ObjectsByHour,
    report: &mut Report,
    progress: &ProgressBar,
) -> Result<()> {
    progress.set_position(0);
    progress.set_length(shards.len() as u64);
    progress.set_message("comparing with the stream");
    let compared = futures_stream::iter(shards.iter().map(|shard| {
        let of = ShardHour { stream: options.stream.clone(), hour: *options.hours.start(), shard: (*shard).to_owned() };
        async move {
            let compared = stream::compare(source, &of, (options, format), &objects[*shard]).await;
            progress.inc(1);
            compared.with_context(|| {
                format!("cannot read shard {shard} of the stream; --without-stream audits the lake alone")
            })
        }
    }));
    let compared: Vec<_> = compared.buffer_unordered(stream::SHARDS_AT_A_TIME).try_collect().await?;
    for (compared, findings) in compared {
        report.compared(compared);
        report.findings.extend(findings);
    }
    Ok(())
}

/// The objects of one hour by shard, and what is wrong with them.
struct HourRead {
    shards: BTreeMap<String, Vec<AuditedObject>>,
    findings: Vec<Finding>,
}

async fn read_hour(
    lake: &impl Lake,
    options: &Options,
    format: Option<Format>,
    hour: Hour,
    lineage: &Lineage,
) -> Result<HourRead> {
    let (shards, mut findings) = objects::read(lake, options, format, hour).await?;
    for seen in shards.values() {
        findings.extend(judge_hour(seen));
        findings.extend(seen.iter().filter_map(|object| lineage.judge(object)));
    }
    Ok(HourRead { shards, findings })
}
