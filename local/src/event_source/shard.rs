//! Processes one shard: a reader, and one lane for each concurrent batch. The reader gives each lane the records of its
//! partition keys. A lane gathers records into batches and delivers them.

use super::batcher::{Batcher, Limits};
use super::checkpoint::{Checkpoint, Tracker};
use super::context::{Context, Stopped};
use super::delivery::Delivery;
use super::destination::OnFailure;
use super::settings::StartingPosition;
use super::status::ShardStatus;
use crate::clock::Clock;
use crate::function::{Invoker, REQUEST_BYTES_MAX};
use myaku::stream::batch::StreamRecord;
use myaku::stream::source::{Read, ReadFrom, Source};
use std::time::Duration;
use tokio::sync::mpsc;

/// The most records that Kinesis returns from one read.
const READ_RECORDS_MAX: usize = 10_000;

/// What the reader sends to a lane.
#[derive(Debug)]
enum Item {
    /// Records, in order.
    Records(Vec<StreamRecord>),
    /// The lane has been sent all records that arrived before this time, in milliseconds since the epoch.
    ReadUpTo(i64),
}

/// Reads and processes one shard to its end.
#[derive(Debug)]
pub(super) struct ShardReader<'a, S, I, D, C> {
    context: &'a Context<S, I, D, C>,
    shard: String,
}

impl<'a, S: Source, I: Invoker, D: OnFailure, C: Clock> ShardReader<'a, S, I, D, C> {
    pub(super) const fn new(context: &'a Context<S, I, D, C>, shard: String) -> Self {
        Self { context, shard }
    }

    /// Returns the shard's id when the shard is closed and all of it is processed.
    pub(super) async fn run(self) -> Result<String, Stopped> {
        let lanes = self.context.settings.parallelization;
        // A channel holds one item, so that the next read overlaps with deliveries, and a lane that is blocked blocks
        // the reader.
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..lanes).map(|_| mpsc::channel(1)).unzip();
        let gathering = receivers.into_iter().map(|items| self.gather(items));
        let (read, gathered) = futures::join!(self.read(senders), futures::future::try_join_all(gathering));
        read.and(gathered)?;
        self.context.control.mark_ended(&self.shard);
        Ok(self.shard)
    }

    async fn read(&self, lanes: Vec<mpsc::Sender<Item>>) -> Result<(), Stopped> {
        let context = self.context;
        let mut cursor = self.open().await?;
        let mut failures = 0;
        loop {
            context.control.until_enabled().await?;
            let began_ms = context.clock.now_ms();
            let read = match context.source.read(&mut cursor, READ_RECORDS_MAX).await {
                Ok(read) => read,
                Err(error) => {
                    failures += 1;
                    context.warn(&format!("GetRecords {}", self.shard), &error);
                    context.back_off(failures).await?;
                    continue;
                }
            };
            failures = 0;
            let ended = read.ended;
            let behind = read.behind_ms > 0 || read.records.len() == READ_RECORDS_MAX;
            let caught_up = read.records.is_empty() && !behind;
            self.distribute(read, &lanes).await?;
            if caught_up && context.settings.tumbling_window.is_some() {
                self.send(&lanes[0], Item::ReadUpTo(began_ms)).await?;
            }
            if caught_up {
                self.mark_caught_up(began_ms);
            }
            if ended {
                return Ok(());
            }
            let interval = if behind { context.settings.read_interval } else { context.settings.poll_interval };
            let elapsed_ms = (context.clock.now_ms() - began_ms).max(0);
            context.sleep(interval.saturating_sub(Duration::from_millis(elapsed_ms as u64))).await?;
        }
    }

    async fn open(&self) -> Result<S::Cursor, Stopped> {
        let context = self.context;
        let checkpoint = {
            let mut state = context.control.state();
            state.trackers.insert(self.shard.clone(), Tracker::default());
            state.status.shards.insert(self.shard.clone(), ShardStatus::default());
            state.progress.checkpoints.get(&self.shard).cloned()
        };
        let from = match (checkpoint, context.settings.starting_position) {
            (Some(Checkpoint::After(sequence)), _) => ReadFrom::After(sequence),
            (Some(Checkpoint::StartingPosition), StartingPosition::Latest) => ReadFrom::Latest,
            (Some(Checkpoint::StartingPosition), StartingPosition::AtTimestamp(ms)) => ReadFrom::AtTimestamp(ms),
            _ => ReadFrom::TrimHorizon,
        };
        let mut failures = 0;
        loop {
            match context.source.open(&self.shard, from.clone()).await {
                Ok(cursor) => return Ok(cursor),
                Err(error) => {
                    failures += 1;
                    context.warn(&format!("GetShardIterator {}", self.shard), &error);
                    context.back_off(failures).await?;
                }
            }
        }
    }

    /// Filters what was read, and sends each record to the lane of its partition key.
    async fn distribute(&self, read: Read, lanes: &[mpsc::Sender<Item>]) -> Result<(), Stopped> {
        let settings = &self.context.settings;
        let mut filtered = Vec::new();
        let mut by_lane = vec![Vec::new(); lanes.len()];
        {
            let mut state = self.context.control.state();
            state.status.shards.entry(self.shard.clone()).or_default().lag_ms = read.behind_ms;
            let tracker = state.trackers.entry(self.shard.clone()).or_default();
            for record in read.records {
                tracker.mark_read(record.sequence);
                if settings.filter.as_ref().is_some_and(|filter| !filter.matches(&record)) {
                    filtered.push(record.sequence);
                } else {
                    by_lane[lane_of(&record.partition_key, lanes.len())].push(record);
                }
            }
            state.status.filtered += filtered.len() as u64;
        }
        self.context.control.mark_done(&self.shard, filtered);
        for (lane, records) in lanes.iter().zip(by_lane) {
            if !records.is_empty() {
                self.send(lane, Item::Records(records)).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, lane: &mpsc::Sender<Item>, item: Item) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.context.control.until_stopped() => Err(Stopped),
            // A lane closes its channel only when the mapping is stopped.
            sent = lane.send(item) => sent.map_err(|_| Stopped),
        }
    }

    fn mark_caught_up(&self, at_ms: i64) {
        {
            let mut state = self.context.control.state();
            if state.trackers.get(&self.shard).is_none_or(|tracker| tracker.len() == 0) {
                state.status.shards.entry(self.shard.clone()).or_default().caught_up_at_ms = Some(at_ms);
            }
        }
        self.context.control.notify();
    }

    /// One lane: gathers records into batches and delivers them, one batch at a time.
    async fn gather(&self, mut items: mpsc::Receiver<Item>) -> Result<(), Stopped> {
        let settings = &self.context.settings;
        let window_ms = settings.window.as_millis() as i64;
        let mut delivery = Delivery::new(self.context, &self.shard);
        let mut batcher = Batcher::default();
        let mut deadline_ms = None;
        let mut open = true;
        loop {
            while let Some(batch) = batcher.take_full(limits(&delivery, &batcher, settings.batch_size)) {
                delivery.deliver(batch).await?;
                deadline_ms = None;
            }
            let now_ms = self.context.clock.now_ms();
            let deadline = batcher.first().map(|_| *deadline_ms.get_or_insert(now_ms + window_ms));
            let due = deadline.is_some_and(|deadline| now_ms >= deadline);
            let item = if !open {
                None
            } else if due {
                // Records that have already been read join the batch, but the batch waits for no others.
                items.try_recv().ok()
            } else {
                let wait = deadline.map(|deadline| Duration::from_millis((deadline - now_ms) as u64));
                tokio::select! {
                    biased;
                    item = items.recv() => {
                        open = item.is_some();
                        item
                    }
                    slept = self.wait(wait) => {
                        slept?;
                        continue;
                    }
                }
            };
            match item {
                Some(Item::Records(records)) => {
                    for record in records {
                        let len = delivery.events.record_len(&record);
                        batcher.push(record, len);
                    }
                    continue;
                }
                Some(Item::ReadUpTo(at_ms)) => {
                    self.drain(&mut delivery, &mut batcher).await?;
                    delivery.close_window_at(at_ms).await?;
                }
                None => self.drain(&mut delivery, &mut batcher).await?,
            }
            deadline_ms = None;
            if !open {
                // "When the shard ends, Lambda considers the window closed"
                return delivery.close_window_at(i64::MAX).await;
            }
        }
    }

    async fn drain(&self, delivery: &mut Delivery<'_, S, I, D, C>, batcher: &mut Batcher) -> Result<(), Stopped> {
        while let Some(batch) = batcher.take_any(limits(delivery, batcher, self.context.settings.batch_size)) {
            delivery.deliver(batch).await?;
        }
        Ok(())
    }

    async fn wait(&self, duration: Option<Duration>) -> Result<(), Stopped> {
        if let Some(duration) = duration {
            return self.context.sleep(duration).await;
        }
        self.context.control.until_stopped().await;
        Err(Stopped)
    }
}

fn limits<S, I, D, C>(delivery: &Delivery<'_, S, I, D, C>, batcher: &Batcher, records: usize) -> Limits
where
    S: Source,
    I: Invoker,
    D: OnFailure,
    C: Clock,
{
    let before_ms = batcher.first().and_then(|first| delivery.window_end_ms(first.arrived_ms));
    Limits { records, bytes: REQUEST_BYTES_MAX - delivery.frame_len(), before_ms }
}

/// The lane of a partition key, by FNV-1a. All records of a key go through one lane, which keeps their order.
fn lane_of(partition_key: &str, lanes: usize) -> usize {
    let hash = partition_key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of an FNV hash are its weakest.
    ((hash >> 32) % lanes as u64) as usize
}
