//! Reads a shard of the stream over the range of an audit, and compares it with the objects.

use super::options::Options;
use myaku::lake::archive::audit::{AuditedObject, Comparison, ComparisonCounts, Coverage, Finding};
use myaku::lake::archive::{Format, Hour, ShardHour};
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::stream::batch::Batch;
use myaku::stream::source::{ReadFrom, Source};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many shards are read at a time.
pub(super) const SHARDS_AT_A_TIME: usize = 8;
/// Records of one read: the most that Kinesis returns.
const PAGE_RECORDS: usize = 10_000;
/// The pause between two reads of a shard. Kinesis allows five reads a second to all readers of a shard together: the
/// audit leaves half of them to the functions.
const BETWEEN_READS: Duration = Duration::from_millis(400);
/// After so many empty answers, an open shard has been read to its end.
const EMPTY_READS: u32 = 2;
/// How many reads may fail before the audit gives up, in a row.
const FAILURES_MAX: u32 = 30;

/// Compares a shard with its objects.
pub(super) async fn compare<S: Source>(
    source: &S,
    of: &ShardHour,
    (options, format): (&Options, Format),
    hours: &BTreeMap<Hour, Vec<AuditedObject>>,
) -> anyhow::Result<(ComparisonCounts, Vec<Finding>)> {
    let held = Coverage { since_ms: options.held_since_ms, archived_ms: options.archived_ms };
    let mut comparison = Comparison::new(of, format, held, hours.iter().map(|(hour, seen)| (*hour, seen.as_slice())));
    let mut shard =
        ShardReader::open(source, &of.shard, ReadFrom::AtTimestamp(options.hours.start().start_ms())).await?;
    // A stream that is written to has no end, so what arrives during the audit is not waited for.
    let end_ms = options.hours.end().next().start_ms().min(options.now_ms.saturating_add(1));
    let mut pages_after_range = 0;
    while let Some(records) = shard.next().await? {
        // Times of arrival are not strictly in order, so one page after the range does not prove that it has ended.
        let is_after_range = records.iter().all(|record| record.arrived_ms >= end_ms);
        pages_after_range = if is_after_range { pages_after_range + 1 } else { 0 };
        let batch = Batch { stream: of.stream.clone(), shard: of.shard.clone(), records };
        for record in batch.user_records() {
            comparison.take(&record)?;
        }
        if pages_after_range > 1 {
            break;
        }
    }
    Ok(comparison.finish())
}

/// Reads one shard page by page, at a pace that leaves room for the functions.
struct ShardReader<'a, S: Source> {
    source: &'a S,
    cursor: S::Cursor,
    ended: bool,
    has_begun: bool,
}

impl<'a, S: Source> ShardReader<'a, S> {
    async fn open(source: &'a S, shard: &str, from: ReadFrom) -> Result<Self, RemoteError> {
        let cursor = source.open(shard, from).await?;
        Ok(Self { source, cursor, ended: false, has_begun: false })
    }

    /// Reads the next records; `None` at the end of the shard, or when it has no more for now.
    async fn next(&mut self) -> Result<Option<Vec<myaku::stream::batch::StreamRecord>>, RemoteError> {
        let (mut empty, mut failures) = (0, 0);
        while !self.ended && empty < EMPTY_READS {
            if std::mem::replace(&mut self.has_begun, true) {
                tokio::time::sleep(BETWEEN_READS).await;
            }
            match self.source.read(&mut self.cursor, PAGE_RECORDS).await {
                Ok(read) => {
                    failures = 0;
                    self.ended = read.ended;
                    if !read.records.is_empty() {
                        return Ok(Some(read.records));
                    }
                    empty += u32::from(read.behind_ms == 0);
                }
                Err(error) if error.remedy == Remedy::GiveUp || failures == FAILURES_MAX => return Err(error),
                Err(_) => failures += 1,
            }
        }
        Ok(None)
    }
}
