//! A shard of the stream, read from the beginning of the range to its end.

use super::Options;
use myaku::lake::archive::audit::{AuditedObject, Comparison, ComparisonCounts, Coverage, Finding};
use myaku::lake::archive::{Format, Hour, ShardHour};
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::stream::batch::Batch;
use myaku::stream::source::{ReadFrom, Source};
use std::collections::BTreeMap;
use std::time::Duration;

/// Shards that are read at a time.
pub(super) const SHARDS_AT_A_TIME: usize = 8;
/// Records of one read: what Kinesis gives at most.
const PAGE: usize = 10_000;
/// Between two reads of a shard. It gives five a second to all its readers together: two are left to the functions.
const BETWEEN_READS: Duration = Duration::from_millis(400);
/// An open shard has been read to its end when it answers so often with nothing.
const EMPTY_READS: u32 = 2;
/// Failed reads in a row that are borne.
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
    let end_ms = options.hours.end().next().start_ms();
    let mut behind = 0;
    while let Some(records) = shard.next().await? {
        // Behind the range, times still flip: a page on which nothing is of the range is the end.
        behind = if records.iter().all(|record| record.arrived_ms >= end_ms) { behind + 1 } else { 0 };
        let batch = Batch { stream: of.stream.clone(), shard: of.shard.clone(), records };
        for record in batch.user_records() {
            comparison.take(&record)?;
        }
        if behind > 1 {
            break;
        }
    }
    Ok(comparison.finish())
}

/// Reads one shard page by page, at the pace that leaves room for the functions.
pub(crate) struct ShardReader<'a, S: Source> {
    source: &'a S,
    cursor: S::Cursor,
    ended: bool,
    begun: bool,
}

impl<'a, S: Source> ShardReader<'a, S> {
    pub(crate) async fn open(source: &'a S, shard: &str, from: ReadFrom) -> Result<Self, RemoteError> {
        let cursor = source.open(shard, from).await?;
        Ok(Self { source, cursor, ended: false, begun: false })
    }

    /// The next records; none at the end of the shard, or where there are no more by now.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<myaku::stream::batch::StreamRecord>>, RemoteError> {
        let (mut empty, mut failures) = (0, 0);
        while !self.ended && empty < EMPTY_READS {
            if std::mem::replace(&mut self.begun, true) {
                tokio::time::sleep(BETWEEN_READS).await;
            }
            match self.source.read(&mut self.cursor, PAGE).await {
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
